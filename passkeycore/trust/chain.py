"""Certificate paths: from an attestation certificate to an anchor, built and checked by OpenSSL.

What OpenSSL's defaults lack is added here: dates (judged by us and on every call, because a reused store ignores every
time but its first, and because formats differ), weak signatures, small RSA keys and odd curves. Paths above the leaf
repeat for millions of devices, so those that were verified are remembered. Certificate policies are not judged: no
attestation format asks for one.
Source: RFC 5280, section 6.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import Final, TypeAlias

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509 import InvalidVersion, ObjectIdentifier
from OpenSSL import crypto

from ..errors import ConfigurationError, DecodeError
from ..webauthn.attestation.certificate import COMMON_NAME, Certificate, forget_certificates, remembered

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which pyOpenSSL does not name
_PSS: Final = asn1.encode_der(ObjectIdentifier("1.2.840.113549.1.1.10"))
_NULL: Final = b"\x05\x00"
# RFC 5758, 4055, 8410 and 9881: ECDSA and PKCS#1 with SHA-256, 384 and 512, Ed25519 and Ed448, ML-DSA.
_SIGNATURES: Final = frozenset(
    asn1.encode_der(ObjectIdentifier(f"{arc}.{last}"))
    for arc, numbers in (
        ("1.2.840.10045.4.3", (2, 3, 4)),
        ("1.2.840.113549.1.1", (11, 12, 13)),
        ("1.3.101", (112, 113)),
        ("2.16.840.1.101.3.4.3", (17, 18, 19)),
    )
    for last in numbers
)
_PSS_DIGESTS: Final = ("sha256", "sha384", "sha512")
_CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_RSA_BITS: Final = 2048
_NAME_CONSTRAINTS: Final = "2.5.29.30"
# What the remote provisioning of Android leaves in its certificates (source.android.com, "Remote key provisioning").
_PROVISIONING_INFO: Final = "1.3.6.1.4.1.11129.2.1.30"
_PROVISIONING_CA: Final = b"Droid CA"
_SHARED_LEAVES: Final = frozenset({"packed", "fido-u2f"})  # elsewhere each credential or device has its own
_REMEMBERED: Final = 256  # paths; each holds references to certificates of a few KiB


class PathError(Exception):
    """No acceptable path; the text says why. Never leaves this package."""


class _Link(msgspec.Struct, frozen=True):
    """A certificate of a path with what is judged on every call, read once."""

    certificate: Certificate
    not_before: datetime
    not_after: datetime


_Chain: TypeAlias = tuple[_Link, ...]


class _Memory:
    """What was verified lately, by what it was verified from; the oldest is forgotten first.

    Only verified values enter, so nobody can crowd it with junk.
    """

    def __init__(self) -> None:
        self._known: dict[object, _Chain] = {}
        self._lock = Lock()
        self.get = self._known.get

    def put(self, key: object, chain: _Chain) -> None:
        """Remembers `chain` under `key`."""
        with self._lock:
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[key] = chain

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._known.clear()


# By certificates and anchors alone: the anchors were chosen for the format and by the policy, and dates are judged on
# every call.
_paths: Final = _Memory()  # whole ones, for the certificate that a batch of devices shares
_uppers: Final = _Memory()  # what is above the leaf, for devices that have certificates of their own


def forget_paths() -> None:
    """Forgets every remembered path and certificate, but no store, for measurements."""
    _paths.clear()
    _uppers.clear()
    forget_certificates()


class _Anchors(msgspec.Struct, frozen=True):
    """Anchors, ready for use: OpenSSL stores of them, nearly always one, and what is judged of each."""

    stores: tuple[crypto.X509Store, ...]
    links: Mapping[bytes, _Link]


@lru_cache(maxsize=512)
def prepare(anchors: tuple[bytes, ...]) -> _Anchors:
    """The anchors (DER), ready for use, shared and never changed again.

    Of several anchors with one name a store would try a single one, so these are kept apart.

    Raises:
        ConfigurationError: One of them is not a certificate in DER.
    """
    stores: list[crypto.X509Store] = []
    names: list[object] = []
    links: dict[bytes, _Link] = {}
    for der in anchors:
        try:
            links[der] = _link(der)
            name = links[der].certificate.subject
            place = names.count(name)
            names.append(name)
            if place == len(stores):
                stores.append(crypto.X509Store())
                stores[place].set_flags(_NO_CHECK_TIME | crypto.X509StoreFlags.PARTIAL_CHAIN)
            stores[place].add_cert(_load(der))
        except (crypto.Error, ValueError, DecodeError):
            raise ConfigurationError("a trust anchor is not a certificate in DER", path="trust.anchors") from None
    return _Anchors(tuple(stores), links)


def verified_path(
    path: tuple[bytes, ...], anchors: tuple[bytes, ...], now: datetime | None, format: str = ""
) -> tuple[bytes, ...]:
    """The certificates from the leaf of `path` to one of the `anchors`, DER, every one of them acceptable at `now`.

    The rest of `path` may help to build it, in any order, with or without the anchor. `now` None means any time at
    which all were valid. `format` is the attestation format, whose rule about dates holds.

    Raises:
        PathError: There is none.
    """
    chain = _paths.get((path, anchors))
    if chain is None:
        chain = _build(path, anchors)
        if format in _SHARED_LEAVES:
            _paths.put((path, anchors), chain)
    check_dates = _DATES.get(format, _check_dates)
    try:
        check_dates(chain, now)
    except PathError as ended:
        # OpenSSL does not look at dates, so it may have taken an ended certificate where another one of the same name
        # and key, an anchor's renewal for instance, is still valid.
        others = tuple(der for der in path[1:] if _is_valid(der, now))
        living = tuple(der for der in anchors if _is_valid(der, now))
        if (others, living) == (path[1:], anchors) or not living:
            raise
        try:
            chain = _build((path[0], *others), living)
            check_dates(chain, now)
        except PathError:
            raise ended from None
    return tuple(link.certificate.raw for link in chain)


def _build(path: tuple[bytes, ...], anchors: tuple[bytes, ...]) -> _Chain:
    try:
        leaf = _link(path[0])
        _check_key(leaf, 0)
        if path[0] in anchors:  # a pinned attestation certificate is its own anchor
            return (leaf,)
        _check_signature(leaf, 0)
        loaded = _load(path[0])
        upper = _uppers.get((path[1:], anchors))
        if upper is not None:
            try:  # another certificate of `path` may have issued this leaf
                _verify(loaded, [], (upper[0].certificate.raw,))
                return (leaf, *upper)
            except crypto.X509StoreContextError:
                pass
        found = _verify(loaded, [_load(der) for der in path[1:]], anchors)
        known = prepare(anchors).links
        ders = (crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) for certificate in found[1:])
        upper = tuple(known.get(der) or _link(der) for der in ders)
        for position, link in enumerate(upper, 1):
            _check_key(link, position)
            if position < len(upper):  # nobody relies on the signature of an anchor: it is trusted as configured
                _check_signature(link, position)
    except crypto.X509StoreContextError as error:
        raise PathError(f"no path to a configured anchor: {error.errors[2]}") from None
    except (crypto.Error, ValueError, UnsupportedAlgorithm, InvalidVersion, DecodeError) as error:
        raise PathError(f"a certificate that cannot be read ({type(error).__name__})") from None
    # Under a remembered issuer OpenSSL would not see the name constraints above it.
    if upper and not any(_NAME_CONSTRAINTS in link.certificate.extensions for link in upper):
        _uppers.put((path[1:], anchors), upper)
    return (leaf, *upper)


def _verify(leaf: crypto.X509, others: list[crypto.X509], anchors: tuple[bytes, ...]) -> list[crypto.X509]:
    """The path from `leaf` to one of the anchors, or OpenSSL's reason why there is none."""
    *stores, last = prepare(anchors).stores
    for store in stores:
        try:
            return crypto.X509StoreContext(store, leaf, others).get_verified_chain()
        except crypto.X509StoreContextError:
            pass
    return crypto.X509StoreContext(last, leaf, others).get_verified_chain()


def _load(der: bytes) -> crypto.X509:
    Certificate.parse(der)  # OpenSSL skips what follows a certificate, and takes more than DER
    return crypto.load_certificate(crypto.FILETYPE_ASN1, der)


@remembered
def _link(der: bytes) -> _Link:
    certificate = Certificate.parse(der)
    return _Link(certificate, certificate.not_before, certificate.not_after)


def _check_key(link: _Link, position: int) -> None:
    fault = _fault_of(link.certificate.public_key)
    if fault is not None:
        raise PathError(f"certificate {position} of the path has {fault}")


def _fault_of(key: object) -> str | None:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return None if key.curve.name in _CURVES else f"a key on {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return None if key.key_size >= _RSA_BITS else f"an RSA key of {key.key_size} bits"
    return "a DSA key" if isinstance(key, dsa.DSAPublicKey) else None


def _check_signature(link: _Link, position: int) -> None:
    algorithm = link.certificate.signature_algorithm  # real devices write the NULL of RSA elsewhere, too
    if algorithm.removesuffix(_NULL) in _SIGNATURES:
        return
    if algorithm.startswith(_PSS):  # its digest stands in its parameters
        digest = _load(link.certificate.raw).to_cryptography().signature_hash_algorithm
        if digest is not None and digest.name in _PSS_DIGESTS:
            return
    raise PathError(f"certificate {position} of the path is signed with an algorithm that is not accepted")


def _is_valid(der: bytes, now: datetime | None) -> bool:
    try:
        return now is None or _link(der).not_before <= now <= _link(der).not_after
    except DecodeError:
        return False


def _check_dates(chain: _Chain, now: datetime | None, *, may_have_ended: bool = False) -> None:
    if now is None:
        now = max(link.not_before for link in chain)
    for position, link in enumerate(chain):
        if now < link.not_before or (now > link.not_after and not may_have_ended):
            raise PathError(f"certificate {position} of the path is not valid at {now.isoformat()}")


def _check_android_dates(chain: _Chain, now: datetime | None) -> None:
    """Devices whose keys came from the factory keep certificates that nobody can renew, so theirs may have ended.

    Remotely provisioned ones get new certificates every few weeks, and an old one is no longer vouched for.
    """
    _check_dates(chain, now, may_have_ended=not any(_is_provisioning(link.certificate.raw) for link in chain[1:]))


@remembered
def _is_provisioning(der: bytes) -> bool:
    """Whether it is an authority of Android's remote provisioning."""
    certificate = Certificate.parse(der)
    return _PROVISIONING_INFO in certificate.extensions or any(
        attribute.type == COMMON_NAME and attribute.value.startswith(_PROVISIONING_CA)
        for attribute in certificate.subject
    )


_DATES: Final[Mapping[str, Callable[[_Chain, datetime | None], None]]] = {"android-key": _check_android_dates}
