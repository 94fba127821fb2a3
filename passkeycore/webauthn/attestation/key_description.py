"""The KeyDescription that an Android Keystore writes into the certificate of a key, read as DER.

What belongs here: the form of the extension. Which values are good enough is for `android_key` to say.
Source: Android Open Source Project, "Key and ID attestation", attestation versions 1 to 400, whose later versions only
add tags to the authorization lists; the values are those of KeyMint's Tag.aidl and its neighbours.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec
from cryptography.hazmat import asn1

from ...errors import Code, DecodeError
from .certificate import Certificate, certificate_error, decode_der, enclosed

OID: Final = "1.3.6.1.4.1.11129.2.1.17"
FORMAT: Final = "android-key"

SecurityLevel: TypeAlias = Literal["software", "trusted_environment", "strongbox"]
VerifiedBootState: TypeAlias = Literal["verified", "self_signed", "unverified", "failed"]

_SECURITY_LEVELS: Final[Mapping[bytes, SecurityLevel]] = {
    b"\0": "software",
    b"\1": "trusted_environment",
    b"\2": "strongbox",
}
_BOOT_STATES: Final[Mapping[bytes, VerifiedBootState]] = {
    b"\0": "verified",
    b"\1": "self_signed",
    b"\2": "unverified",
    b"\3": "failed",
}
_ENUMERATED: Final = b"\x0a"
_EXPLICIT: Final = 0b101_00000  # context-specific and constructed
_LONG_FORM: Final = 0b000_11111
_UINT: Final = 2**32  # what KeyMint calls a UINT or an ENUM
_LONGEST_VALUE: Final = 1024  # bytes of DER; a RootOfTrust has about 80


class RootOfTrust(msgspec.Struct, frozen=True):
    """How the device was started: whether its bootloader is locked, and what became of the system's verification."""

    device_locked: bool
    verified_boot_state: VerifiedBootState


class AuthorizationList(msgspec.Struct, frozen=True, kw_only=True):
    """The members of one authorization list that WebAuthn or its users have a use for; None where it lacks them.

    Attributes:
        is_empty: It has no members at all, not even unknown ones.
        purposes: Numbers of KeyPurpose.
        all_applications: The key is not bound to an application, whatever the member's value.
        origin: A number of KeyOrigin.
        root_of_trust: How the device was started.
        os_version: Such as 150000 for 15.0.0.
        os_patch_level: Year and month, such as 202601.
    """

    is_empty: bool
    purposes: frozenset[int] | None = None
    all_applications: bool = False
    origin: int | None = None
    root_of_trust: RootOfTrust | None = None
    os_version: int | None = None
    os_patch_level: int | None = None


class KeyDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What the Keystore says about a key.

    Attributes:
        attestation_version: From 1; 400 is that of KeyMint 4.
        security_level: Where the description was made.
        keymint_security_level: Where the key is kept.
        challenge: What whoever made the key asked to have attested.
        software: The authorizations that Android enforces.
        hardware: Those that the trusted environment or the StrongBox enforces.
    """

    attestation_version: int
    security_level: SecurityLevel
    keymint_security_level: SecurityLevel
    challenge: bytes
    software: AuthorizationList
    hardware: AuthorizationList

    @staticmethod
    def of(certificate: Certificate, tag_order: Literal["ascending", "any"]) -> "KeyDescription":
        """The description in the extension of `certificate`.

        Members that are unknown, or that nobody needs here, are skipped unread.

        Args:
            certificate: The certificate of the key.
            tag_order: Whether the members of the lists have to stand in ascending order of their tags.

        Raises:
            AttestationError: `attestation_certificate_invalid`: no such extension, an attestation version below 1,
                or a list with a member that stands twice or out of order.
            DecodeError: `certificate_malformed`: not DER of this form, or a number beyond 32 bits.
        """
        extension = certificate.extensions.get(OID)
        if extension is None:
            raise certificate_error(FORMAT, "the certificate of the key has no key description")
        shape = decode_der(_KeyDescription, extension.value)
        version = _unsigned(shape.attestation_version)
        if version < 1:
            raise certificate_error(FORMAT, "there is no attestation version below 1")
        _unsigned(shape.keymint_version)
        return KeyDescription(
            attestation_version=version,
            security_level=_enumerated(shape.security_level, _SECURITY_LEVELS),
            keymint_security_level=_enumerated(shape.keymint_security_level, _SECURITY_LEVELS),
            challenge=shape.challenge,
            software=_list(shape.software, tag_order),
            hardware=_list(shape.hardware, tag_order),
        )


@asn1.sequence
class _KeyDescription:
    attestation_version: int
    security_level: asn1.TLV
    keymint_version: int
    keymint_security_level: asn1.TLV
    challenge: bytes
    unique_id: bytes
    software: list[asn1.TLV]
    hardware: list[asn1.TLV]


# The content of an explicit tag has the form of a sequence's; each of these is a sequence of that one value.
@asn1.sequence
class _Integers:
    value: asn1.SetOf[int]


@asn1.sequence
class _Integer:
    value: int


@asn1.sequence
class _RootOfTrust:
    verified_boot_key: bytes
    device_locked: bool
    verified_boot_state: asn1.TLV
    verified_boot_hash: bytes | None  # since attestation version 3


@asn1.sequence
class _RootOfTrustValue:
    value: _RootOfTrust


def _read_purposes(content: bytes) -> frozenset[int]:
    return frozenset(map(_unsigned, decode_der(_Integers, content).value.as_list()))


def _read_integer(content: bytes) -> int:
    return _unsigned(decode_der(_Integer, content).value)


def _read_root_of_trust(content: bytes) -> RootOfTrust:
    shape = decode_der(_RootOfTrustValue, content).value
    return RootOfTrust(shape.device_locked, _enumerated(shape.verified_boot_state, _BOOT_STATES))


def _read_presence(_: bytes) -> bool:
    return True


_Read: TypeAlias = Callable[[bytes], object]
_MEMBERS: Final[Mapping[int, tuple[str, _Read]]] = {
    1: ("purposes", _read_purposes),
    600: ("all_applications", _read_presence),
    702: ("origin", _read_integer),
    704: ("root_of_trust", _read_root_of_trust),
    705: ("os_version", _read_integer),
    706: ("os_patch_level", _read_integer),
}


def _list(elements: Iterable[asn1.TLV], tag_order: Literal["ascending", "any"]) -> AuthorizationList:
    found: dict[int, asn1.TLV] = {}
    last = 0
    for element in elements:
        tag = _explicit_tag(element.tag_bytes)
        if tag in found:
            raise certificate_error(FORMAT, "an authorization stands twice")
        if tag < last and tag_order == "ascending":
            raise certificate_error(FORMAT, "the authorizations are not in ascending order")
        found[tag] = element
        last = tag
    values: dict[str, Any] = {
        name: read(_as_sequence(found[tag])) for tag, (name, read) in _MEMBERS.items() if tag in found
    }
    return AuthorizationList(is_empty=not found, **values)


def _explicit_tag(identifier: bytes) -> int:
    """The number of an explicit context tag; the reader has seen to it that the identifier is as short as can be."""
    if identifier[0] & ~_LONG_FORM != _EXPLICIT:
        raise _malformed("an authorization without a tag of its own")
    if len(identifier) == 1:
        return identifier[0] & _LONG_FORM
    number = 0
    for octet in identifier[1:]:
        number = number << 7 | octet & 0x7F
    return number


def _as_sequence(element: asn1.TLV) -> bytes:
    """The content of `element` as a SEQUENCE, DER."""
    if len(element.data) > _LONGEST_VALUE:
        raise _malformed("an authorization is longer than any")
    return enclosed(bytes(element.data))


def _enumerated(element: asn1.TLV, names: Mapping[bytes, Any]) -> Any:
    name = names.get(bytes(element.data))
    if element.tag_bytes != _ENUMERATED or name is None:
        raise _malformed("not one of the values that are listed")
    return name


def _unsigned(number: int) -> int:
    if not 0 <= number < _UINT:
        raise _malformed("a number beyond 32 bits, or below zero")
    return number


def _malformed(message: str) -> DecodeError:
    return DecodeError(
        Code.CERTIFICATE_MALFORMED,
        f"the key description: {message}",
        path="response.attestationObject.attStmt.x5c",
        spec="#sctn-android-key-attestation",
    )
