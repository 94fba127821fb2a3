"""Certificate paths: from an attestation certificate to a configured anchor, built and checked by OpenSSL.

What OpenSSL's defaults lack is added here: the dates (judged by us, because a reused store ignores every time but
its first), weak signatures, small RSA keys and odd curves.
Source: RFC 5280, section 6.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from OpenSSL import crypto

from ..errors import ConfigurationError

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which pyOpenSSL does not name
_DIGESTS: Final = ("sha256", "sha384", "sha512")
_WITHOUT_DIGEST: Final = ("ed25519", "ed448", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")  # they hash as they sign
_CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_RSA_BITS: Final = 2048


class PathError(Exception):
    """No acceptable path; the text says why. Never leaves this package."""


@lru_cache(maxsize=64)
def store_of(anchors: tuple[bytes, ...]) -> crypto.X509Store:
    """An OpenSSL store of the anchors, shared and never changed again.

    Raises:
        ConfigurationError: One of them is not a certificate in DER.
    """
    store = crypto.X509Store()
    store.set_flags(_NO_CHECK_TIME | crypto.X509StoreFlags.PARTIAL_CHAIN)
    for der in anchors:
        try:
            store.add_cert(_certificate(der))
        except (crypto.Error, ValueError):
            raise ConfigurationError("a trust anchor is not a certificate in DER", path="trust.anchors") from None
    return store


def verified_path(path: tuple[bytes, ...], anchors: tuple[bytes, ...], now: datetime) -> tuple[bytes, ...]:
    """The certificates from the leaf of `path` to one of the `anchors`, DER, every one of them acceptable at `now`.

    The rest of `path` may help to build it, in any order, with or without the anchor.

    Raises:
        PathError: There is none.
    """
    try:
        leaf, *others = [_certificate(der) for der in path]
        if path[0] in anchors:  # a pinned attestation certificate is its own anchor
            chain = [leaf]
        else:
            chain = crypto.X509StoreContext(store_of(anchors), leaf, others).get_verified_chain()
        for position, certificate in enumerate(chain):
            _check(certificate, now, position, is_anchor=position == len(chain) - 1)
    except crypto.X509StoreContextError as error:
        raise PathError(f"no path to a configured anchor: {error.errors[2]}") from None
    except (crypto.Error, ValueError, UnsupportedAlgorithm) as error:
        raise PathError(f"a certificate that cannot be read ({type(error).__name__})") from None
    return tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) for certificate in chain)


def _certificate(der: bytes) -> crypto.X509:
    certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
    if crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) != der:  # OpenSSL skips what follows a certificate
        raise ValueError
    return certificate


def _check(certificate: crypto.X509, now: datetime, position: int, *, is_anchor: bool) -> None:
    name = f"certificate {position} of the path"
    if not _time(certificate.get_notBefore()) <= now <= _time(certificate.get_notAfter()):
        raise PathError(f"{name} is not valid at {now.isoformat()}")
    # Nobody relies on the signature of an anchor: it is trusted because it was configured.
    if not is_anchor:
        _check_signature_algorithm(certificate, name)
    key = certificate.get_pubkey().to_cryptography_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS:
        raise PathError(f"{name} has an RSA key of {key.key_size} bits")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        raise PathError(f"{name} has a key on {key.curve.name}")
    if isinstance(key, dsa.DSAPublicKey):
        raise PathError(f"{name} has a DSA key")


def _check_signature_algorithm(certificate: crypto.X509, name: str) -> None:
    algorithm = certificate.get_signature_algorithm().decode("ascii", "replace").lower()
    if algorithm in _WITHOUT_DIGEST or algorithm.endswith(_DIGESTS) or algorithm.startswith(_DIGESTS):
        return
    if algorithm == "rsassapss":  # its digest stands in its parameters
        digest = certificate.to_cryptography().signature_hash_algorithm
        if digest is not None and digest.name in _DIGESTS:
            return
    raise PathError(f"{name} is signed with {algorithm}")


def _time(text: bytes | None) -> datetime:
    if text is None:
        raise ValueError
    return datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
