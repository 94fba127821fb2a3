"""Apple App Attest: proof that a key belongs to a genuine copy of one of our apps, on a genuine device of Apple's.

A key is attested once, and what is kept of it is an `AppAttestKey`; from then on it makes assertions. Both are about
client data that app and server agree on, a fresh challenge among it. Nobody's presence is proven: no user is asked.
Source: https://developer.apple.com/documentation/devicecheck/validating-apps-that-connect-to-your-server
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, cast, get_args

import msgspec

from .errors import Code, ConfigurationError, DecodeError, SignatureError, VerificationError
from .webauthn.cose import ES256, PublicKey
from .webauthn.encoding import CBOR, check_size, decode_cbor

if TYPE_CHECKING:
    from cryptography.hazmat import asn1
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from .webauthn.attestation.certificate import Certificate

    class _Facts(Protocol):
        facts: list[asn1.TLV]


AppAttestEnvironment: TypeAlias = Literal["production", "development"]
"""Where Apple made the key: for apps that were distributed, or for those that are being developed."""

FORMAT: Final = "apple-appattest"
_AAGUIDS: Final[Mapping[bytes, AppAttestEnvironment]] = {
    b"appattest" + bytes(7): "production",
    b"appattestdevelop": "development",
}
_APP_ID: Final = re.compile(r"[A-Z0-9]{10}\.[A-Za-z0-9._-]{1,155}")
_CATEGORIES: Final = range(1, 11)

# Apple's own are about 6 KB and 150 bytes; most of an attestation is a receipt, which may grow.
_OBJECT_BYTES: Final = 32_768
_ASSERTION_BYTES: Final = 2_048
_CERTIFICATE_BYTES: Final = 8_192

# Authenticator data as Apple writes it: rpIdHash 32, flags 1, counter 4; then aaguid 16, length 2, credentialId 32 and
# the key, 77 bytes of canonical COSE. Extensions may follow. The flags that WebAuthn has for these parts do not tell:
# iOS 27 sends extensions without ED, and assertions have AT with nothing attested. So they are not read.
_HEADER: Final = 37
_CREDENTIAL_ID: Final = b"\x00\x20"
_KEY: Final = 87
_COSE_X: Final = bytes.fromhex("a5010203262001215820")  # ES256 on P-256, then x
_COSE_Y: Final = bytes.fromhex("225820")
_ATTESTED: Final = _KEY + 77
_SPKI: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")  # before x and y
_SPKI_BYTES: Final = 91

_NONCE: Final = "1.2.840.113635.100.8.2"
_NONCE_VALUE: Final = bytes.fromhex("3024a1220420")  # SEQUENCE { [1] { OCTET STRING of 32 bytes } }, in DER
_ACCESS: Final = "1.2.840.113635.100.8.6"
_PLATFORM: Final = "1.2.840.113635.100.8.7"
_PLATFORM_MACOS: Final = (bytes.fromhex("bf8802"), b"\x04\x06macosx")  # [1026] { OCTET STRING }; seen on macOS 27.2
# What Apple demands of a Mac: the key works only under System Integrity Protection and Full Security. Without these,
# whoever owns a Mac can let any program pass as the app. (SEQUENCE { [3] { OCTET STRING of what Apple publishes } })
_ACCESS_MACOS: Final = bytes.fromhex(
    "3046a344044230400c023131303a30090c026f6ba1030101ff30090c026f61a1030101ff300b0c046f64656ca1030101ff"
    "30150c046f73676ea0060c04727365633005a603020101"
)

_OBJECT: Final = "attestation_object"
_X5C: Final = "attestation_object.attStmt.x5c"
_AUTH_DATA: Final = "attestation_object.authData"
_ASSERTION: Final = "assertion"


class AppAttestKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of App Attest's, as it is kept after its attestation.

    Attributes:
        key_id: SHA-256 of the public key's point, 32 bytes.
        public_key: P-256, DER SubjectPublicKeyInfo, 91 bytes.
        app_id: Whose it is: team id, a dot, bundle id.
        environment: ``production``, or ``development`` for apps that are not in the store.
        sign_count: Of its last assertion; 0 after the attestation.
    """

    key_id: bytes
    public_key: bytes
    app_id: str
    environment: Literal["production", "development"]
    sign_count: int = 0


class AppAttestPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which apps count, and where their proof is demanded.

    Attributes:
        app_ids: Ours: the App ID prefix, which is nearly always the team id, a dot, and the bundle id. At least one.
        environments: ``production`` alone, because keys of the other one are of builds that nobody distributed.
        require_attestation: Refuse a device without an attestation. The default, because client SDKs leave it out
            silently when it fails, and so does an attacker. False where devices without App Attest are to be enrolled.
        require_assertions: Refuse an answer without an assertion by a device that has an attested key.
        validation_categories: The only ways in which the app may have come to the device, by Apple's numbers: 4 is the
            App Store, 2 TestFlight, 5 enterprise or ad hoc. None, because only iOS 27 and later tell: a list refuses
            all who do not.
    """

    app_ids: tuple[str, ...]
    environments: tuple[AppAttestEnvironment, ...] = ("production",)
    require_attestation: bool = True
    require_assertions: bool = True
    validation_categories: frozenset[int] | None = None

    def __post_init__(self) -> None:
        """Checks the policy, once.

        Raises:
            ConfigurationError: No app or environment, one that cannot be, or a single text where several belong.
        """
        self._settle("app_ids", tuple, lambda one: isinstance(one, str) and _APP_ID.fullmatch(one) is not None)
        self._settle("environments", tuple, lambda one: one in get_args(AppAttestEnvironment))
        if self.validation_categories is not None:
            self._settle("validation_categories", frozenset, lambda one: type(one) is int and one in _CATEGORIES)

    def _settle(self, name: str, kind: type[Collection[object]], good: Callable[[object], bool]) -> None:
        values: Collection[object] | None = getattr(self, name)
        if not (isinstance(values, Collection) and values and all(map(good, values))):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("not a list of at least one, all of them possible", path=f"app_attest.{name}")
        msgspec.structs.force_setattr(self, name, kind(values))  # type: ignore[call-arg]


def verify_attestation(
    attestation_object: bytes,
    *,
    key_id: bytes,
    client_data: bytes,
    policy: AppAttestPolicy,
    now: datetime,
    anchors: Sequence[bytes] | None = None,
) -> AppAttestKey:
    """The key, which Apple certified at `now` for a genuine copy of one of the policy's apps and for `client_data`.

    The receipt, with which a server may ask Apple for a fraud metric, is neither read nor kept. Flags are not judged.
    That no other user has the key is for the caller to see to.

    Args:
        attestation_object: CBOR, as the device got it from Apple, up to 32768 bytes.
        key_id: What the app calls the key, decoded: 32 bytes.
        client_data: That whose SHA-256 the app handed to ``attestKey``: the server's fresh challenge, and whatever else
            is to be bound to the key.
        policy: Which apps and environments count.
        now: The time to judge at, aware. Apple's certificates of keys last from days to a year.
        anchors: Roots, DER, instead of Apple's, for tests; None: the App Attest root that comes with this package.

    Raises:
        DecodeError: `too_large`; `app_attest_malformed`: not strict CBOR, or not of Apple's form. `path` names where.
        VerificationError: `app_attest_invalid`: every check that fails, the certificate path included. `path` names
            the member.
    """
    x5c, raw = _statement(attestation_object)
    leaf = _certificate(x5c[0])
    _check_path(x5c, _roots(anchors), now)
    nonce = sha256(raw + sha256(client_data).digest()).digest()
    extension = leaf.extensions.get(_NONCE)
    if extension is None or not compare_digest(extension.value, _NONCE_VALUE + nonce):
        raise _invalid("the certificate is not for this client data and authenticator data", _X5C)
    _check_platform(leaf)
    point = _point(leaf)
    if not compare_digest(sha256(b"\x04" + point).digest(), key_id):
        raise _invalid("not the identifier of the certified key", "key_id")
    app_id = next((one for one in policy.app_ids if compare_digest(raw[:32], sha256(one.encode()).digest())), None)
    if app_id is None:
        raise _invalid("the app is none of ours", f"{_AUTH_DATA}.rpIdHash")
    if any(raw[33:_HEADER]):
        raise _invalid("the key has been used before", f"{_AUTH_DATA}.counter")
    environment = _AAGUIDS.get(raw[_HEADER:53])
    if environment not in policy.environments:
        raise _invalid("not of an environment that counts", f"{_AUTH_DATA}.aaguid")
    if raw[53:_KEY] != _CREDENTIAL_ID + key_id:
        raise _invalid("not the identifier of the key", f"{_AUTH_DATA}.credentialId")
    if raw[_KEY:_ATTESTED] != _cose_key(point):
        raise _invalid("not the certified key", f"{_AUTH_DATA}.credentialPublicKey")
    _check_category(_extensions(raw, _ATTESTED, _AUTH_DATA), policy)
    return AppAttestKey(key_id=key_id, public_key=_SPKI + point, app_id=app_id, environment=environment)


def verify_assertion(assertion: bytes, *, client_data: bytes, key: AppAttestKey) -> int:
    """The key's new counter, more than the one that is stored: proof that the app still has the key.

    The caller stores it as the key's `sign_count`, by compare-and-set: two assertions that arrive together may not
    both count from the same one.

    Args:
        assertion: CBOR, as the device made it, up to 2048 bytes.
        client_data: That whose SHA-256 the app handed to ``generateAssertion``; the server's fresh challenge in it is
            for the caller to compare.
        key: As it is stored.

    Raises:
        DecodeError: `too_large`; `app_attest_malformed`: not strict CBOR, or not of Apple's form; or `key` holds no
            public key.
        SignatureError: `app_attest_invalid`: not signed by the key, or over other client data.
        VerificationError: `app_attest_invalid`: another app's, or a counter that did not grow.
    """
    check_size(len(assertion), _ASSERTION_BYTES, _ASSERTION)
    members = _map(decode_cbor(assertion, _ASSERTION, code=Code.APP_ATTEST_MALFORMED), _ASSERTION)
    signature = _bytes(members, "signature", _ASSERTION)
    raw = _bytes(members, "authenticatorData", _ASSERTION)
    path = f"{_ASSERTION}.authenticatorData"
    if len(raw) < _HEADER:
        raise _malformed("shorter than 37 bytes", path)
    _extensions(raw, _HEADER, path)
    if not compare_digest(raw[:32], sha256(key.app_id.encode()).digest()):
        raise _invalid("the app is not the key's", f"{path}.rpIdHash")
    # Apple signs the nonce with ECDSA over SHA-256, so it is hashed once more.
    _check_signature(key, signature, sha256(raw + sha256(client_data).digest()).digest())
    count = int.from_bytes(raw[33:_HEADER])
    if count <= key.sign_count:
        raise _invalid("the counter did not grow", f"{path}.counter", expected=key.sign_count + 1, actual=count)
    return count


def _statement(attestation_object: bytes) -> tuple[tuple[bytes, bytes], bytes]:
    """The two certificates, leaf first, and the authenticator data."""
    check_size(len(attestation_object), _OBJECT_BYTES, _OBJECT)
    members = _map(decode_cbor(attestation_object, _OBJECT, code=Code.APP_ATTEST_MALFORMED), _OBJECT)
    if members.get("fmt") != FORMAT:
        raise _malformed("not App Attest's", f"{_OBJECT}.fmt")
    x5c = _map(members.get("attStmt"), f"{_OBJECT}.attStmt").get("x5c")
    match x5c:
        case [bytes(leaf), bytes(intermediate)]:
            for der in (leaf, intermediate):
                check_size(len(der), _CERTIFICATE_BYTES, _X5C)
        case _:
            raise _malformed("not exactly a leaf and an intermediate", _X5C)
    raw = _bytes(members, "authData", _OBJECT)
    if len(raw) < _ATTESTED:
        raise _malformed(f"shorter than {_ATTESTED} bytes", _AUTH_DATA)
    return (leaf, intermediate), raw


def _certificate(der: bytes) -> "Certificate":
    from .webauthn.attestation.certificate import Certificate  # only those who attest pay for the import

    try:
        return Certificate.parse(der)
    except DecodeError as error:
        raise _malformed(f"the leaf cannot be read: {error.message}", _X5C) from None


def _roots(anchors: Sequence[bytes] | None) -> tuple[bytes, ...]:
    from .trust.roots import bundled

    return tuple(anchor.certificate for anchor in bundled(FORMAT)) if anchors is None else tuple(anchors)


def _check_path(x5c: tuple[bytes, bytes], roots: tuple[bytes, ...], now: datetime) -> None:
    """Returns only when leaf, intermediate and a root are the path, all of it, at `now`."""
    from .trust.chain import PathError, verified_path  # pyOpenSSL is loaded only where a path is judged

    try:
        path = verified_path(x5c, roots, now, FORMAT)
    except PathError as error:
        raise _invalid(str(error), _X5C) from None
    if len(path) != 3 or path[:2] != x5c:
        raise _invalid("the root did not certify the intermediate, or that not the leaf", _X5C)


def _check_platform(leaf: "Certificate") -> None:
    """Returns only when the key is not a Mac's, or is one under Apple's conditions for those."""
    from .webauthn.attestation.certificate import decode_der, enclosed

    platform = leaf.extensions.get(_PLATFORM)
    if platform is None:  # Macs, which have App Attest since macOS 27, say what they are
        return
    try:
        facts = decode_der(_facts(), enclosed(platform.value)).facts
    except DecodeError as error:
        raise _malformed(f"what the leaf says of its platform: {error.message}", _X5C) from None
    access = leaf.extensions.get(_ACCESS)
    if any((fact.tag_bytes, bytes(fact.data)) == _PLATFORM_MACOS for fact in facts) and (
        access is None or access.value != _ACCESS_MACOS
    ):
        raise _invalid("the key of a Mac without System Integrity Protection and Full Security", _X5C)


@cache
def _facts() -> "type[_Facts]":
    from cryptography.hazmat import asn1  # loads more than those need who only keep keys

    @asn1.sequence
    class Shape:
        facts: list[asn1.TLV]

    return Shape


def _point(leaf: "Certificate") -> bytes:
    """The coordinates of the certified key, 64 bytes."""
    bound = PublicKey.bind(ES256, leaf.public_key)
    if bound is None:
        raise _invalid("not a key of P-256", _X5C)
    numbers = cast("EllipticCurvePublicKey", bound.key).public_numbers()
    return numbers.x.to_bytes(32) + numbers.y.to_bytes(32)


def _cose_key(point: bytes) -> bytes:
    return _COSE_X + point[:32] + _COSE_Y + point[32:]


def _check_signature(key: AppAttestKey, signature: bytes, nonce: bytes) -> None:
    if len(key.public_key) != _SPKI_BYTES or not key.public_key.startswith(_SPKI):
        raise _malformed("not a SubjectPublicKeyInfo, in DER, with an uncompressed point of P-256", "key.public_key")
    try:
        PublicKey.parse(_cose_key(key.public_key[len(_SPKI) :])).verify(signature, nonce)
    except VerificationError:  # a signature that does not verify, or a point off the curve
        raise SignatureError(
            Code.APP_ATTEST_INVALID, "not signed by the key, or over other client data", path=f"{_ASSERTION}.signature"
        ) from None


def _check_category(extensions: Mapping[int | str, CBOR], policy: AppAttestPolicy) -> None:
    if policy.validation_categories is None:
        return
    category = extensions.get("apple_validation_category_01")
    if (
        not isinstance(category, bytes)
        or len(category) != 4
        or int.from_bytes(category, "little") not in policy.validation_categories
    ):
        raise _invalid("the app came to the device in another way than the allowed ones", f"{_AUTH_DATA}.extensions")


def _extensions(raw: bytes, start: int, path: str) -> Mapping[int | str, CBOR]:
    """What authenticator data says from `start` to its end; empty when it says nothing."""
    if len(raw) == start:
        return {}
    return _map(decode_cbor(raw[start:], path, code=Code.APP_ATTEST_MALFORMED), f"{path}.extensions")


def _map(value: CBOR, path: str) -> Mapping[int | str, CBOR]:
    if not isinstance(value, dict):
        raise _malformed("not a map", path)
    return value


def _bytes(members: Mapping[int | str, CBOR], name: str, path: str) -> bytes:
    value = members.get(name)
    if not isinstance(value, bytes):
        raise _malformed("not a byte string", f"{path}.{name}")
    return value


def _malformed(message: str, path: str) -> DecodeError:
    return DecodeError(Code.APP_ATTEST_MALFORMED, message, path=path)


def _invalid(message: str, path: str, *, expected: object = None, actual: object = None) -> VerificationError:
    return VerificationError(Code.APP_ATTEST_INVALID, message, path=path, expected=expected, actual=actual)
