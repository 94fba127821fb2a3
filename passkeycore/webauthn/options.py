"""Options for ``navigator.credentials``, as WebAuthn JSON, and the states that carry a ceremony to its end.

Options go to the client and are public. The state stays on the server, is used once, and holds everything that the
finish needs, so that nothing the client says can change what was begun.
Spec: #sctn-parseCreationOptionsFromJSON, #sctn-parseRequestOptionsFromJSON
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

import msgspec

from ..errors import ChallengeError, Code, DecodeError
from .credential import Usage
from .encoding import decode_base64url, encode_base64url
from .extension_inputs import AuthenticationExtensions, RegistrationExtensions
from .trail import Trail
from .wire import convert, reason_of

Requirement: TypeAlias = Literal["required", "preferred", "discouraged"]
Conveyance: TypeAlias = Literal["none", "indirect", "direct", "enterprise"]

_S = TypeVar("_S", bound="_State")


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """Demands that belong together; make one with `sole_factor` or `second_factor`."""

    usage: Usage
    resident_key: Requirement
    user_verification: Requirement


def sole_factor() -> Preset:
    """For passkeys that replace the password: discoverable, and the user verified in a way that can be trusted."""
    return Preset(usage="sole_factor", resident_key="required", user_verification="required")


def second_factor() -> Preset:
    """For passkeys beside a password: presence is enough. They never finish a sole-factor ceremony."""
    return Preset(usage="second_factor", resident_key="discouraged", user_verification="discouraged")


class CredentialDescriptor(msgspec.Struct, frozen=True, kw_only=True):
    """``PublicKeyCredentialDescriptorJSON``: a credential, and hints where to look for it.

    Attributes:
        id: The credential id, 1..1023 bytes.
        transports: As they were reported at registration, unknown ones included.
        type: ``public-key``; other types are ignored by clients.
    """

    id: bytes
    transports: tuple[str, ...] = ()
    type: str = "public-key"

    def to_dict(self) -> dict[str, Any]:
        """The descriptor, JSON-ready."""
        members: dict[str, Any] = {"type": self.type, "id": encode_base64url(self.id)}
        return members | ({"transports": list(self.transports)} if self.transports else {})


class CreationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``PublicKeyCredentialCreationOptionsJSON``.

    Strings that the specification enumerates are kept as they are, also when they are not in its lists.

    Attributes:
        rp_id, rp_name: The Relying Party; without an id clients use the origin's host. The name is deprecated, but
            still a required member.
        user_handle: ``user.id``: 1..64 bytes, without personal data.
        user_name, user_display_name: For the user's eyes; the second is empty when there is none.
        challenge: 16 bytes or more.
        algorithms: COSE identifiers in order of preference.
        timeout_ms: A hint for the client, in milliseconds; None leaves it to the client.
        exclude_credentials: The user's credentials, so that one authenticator does not hold two.
        authenticator_attachment: ``platform``, ``cross-platform``, or None for either.
        resident_key, user_verification: ``required``, ``preferred`` or ``discouraged``.
        hints: ``security-key``, ``client-device``, ``hybrid``, in order of preference.
        attestation: ``none``, ``indirect``, ``direct`` or ``enterprise``.
        attestation_formats: Preferred statement formats.
        extensions: Typed inputs.
        mediation: ``conditional`` for a creation without a dialog. Not a member of the options proper: hand it to
            ``navigator.credentials.create()`` beside ``publicKey``; ``parseCreationOptionsFromJSON()`` skips it.
    """

    rp_id: str | None
    rp_name: str
    user_handle: bytes
    user_name: str
    user_display_name: str
    challenge: bytes
    algorithms: tuple[int, ...]
    timeout_ms: int | None = None
    exclude_credentials: tuple[CredentialDescriptor, ...] = ()
    authenticator_attachment: str | None = None
    resident_key: str = "discouraged"
    user_verification: str = "preferred"
    hints: tuple[str, ...] = ()
    attestation: str = "none"
    attestation_formats: tuple[str, ...] = ()
    extensions: RegistrationExtensions = RegistrationExtensions()
    mediation: str | None = None

    def __repr__(self) -> str:
        return f"CreationOptions(rp_id={self.rp_id!r}, challenge=…)"

    def to_dict(self) -> dict[str, Any]:
        """The options as ``PublicKey.parseCreationOptionsFromJSON()`` takes them, JSON-ready."""
        selection: dict[str, Any] = {
            "residentKey": self.resident_key,
            "requireResidentKey": self.resident_key == "required",
            "userVerification": self.user_verification,
        }
        if self.authenticator_attachment is not None:
            selection["authenticatorAttachment"] = self.authenticator_attachment
        return _without_none(
            {
                "rp": _without_none({"id": self.rp_id, "name": self.rp_name}),
                "user": {
                    "id": encode_base64url(self.user_handle),
                    "name": self.user_name,
                    "displayName": self.user_display_name,
                },
                "challenge": encode_base64url(self.challenge),
                "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in self.algorithms],
                "timeout": self.timeout_ms,
                "excludeCredentials": [credential.to_dict() for credential in self.exclude_credentials],
                "authenticatorSelection": selection,
                "hints": list(self.hints),
                "attestation": self.attestation,
                "attestationFormats": list(self.attestation_formats),
                "extensions": self.extensions.to_dict(),
                "mediation": self.mediation,
            }
        )

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return msgspec.json.encode(self.to_dict()).decode()

    @staticmethod
    def from_dict(members: Mapping[str, Any]) -> "CreationOptions":
        """The options that ``PublicKeyCredentialCreationOptionsJSON`` holds, with the specification's defaults.

        Raises:
            DecodeError: `json_invalid`, `base64url_invalid`.
            ConfigurationError: Extension inputs that make no sense.
        """
        wire = convert(members, _CreationJSON, "")
        selection = wire.authenticatorSelection or _Selection()
        return CreationOptions(
            rp_id=wire.rp.id,
            rp_name=wire.rp.name,
            user_handle=decode_base64url(wire.user.id, "user.id"),
            user_name=wire.user.name,
            user_display_name=wire.user.displayName,
            challenge=decode_base64url(wire.challenge, "challenge"),
            algorithms=tuple(p.alg for p in wire.pubKeyCredParams if p.type == "public-key"),
            timeout_ms=wire.timeout,
            exclude_credentials=_descriptors(wire.excludeCredentials, "excludeCredentials"),
            authenticator_attachment=selection.authenticatorAttachment,
            resident_key=selection.residentKey or ("required" if selection.requireResidentKey else "discouraged"),
            user_verification=selection.userVerification,
            hints=wire.hints,
            attestation=wire.attestation,
            attestation_formats=wire.attestationFormats,
            extensions=RegistrationExtensions.from_dict(wire.extensions),
            mediation=wire.mediation,
        )


class RequestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``PublicKeyCredentialRequestOptionsJSON``. Attributes as in `CreationOptions`.

    Attributes:
        allow_credentials: The credentials that may answer; empty lets the user choose any discoverable one.
        mediation: ``conditional`` for autofill; hand it to ``navigator.credentials.get()`` beside ``publicKey``.
    """

    challenge: bytes
    rp_id: str | None = None
    timeout_ms: int | None = None
    allow_credentials: tuple[CredentialDescriptor, ...] = ()
    user_verification: str = "preferred"
    hints: tuple[str, ...] = ()
    extensions: AuthenticationExtensions = AuthenticationExtensions()
    mediation: str | None = None

    def __repr__(self) -> str:
        return f"RequestOptions(rp_id={self.rp_id!r}, challenge=…)"

    def to_dict(self) -> dict[str, Any]:
        """The options as ``PublicKey.parseRequestOptionsFromJSON()`` takes them, JSON-ready."""
        return _without_none(
            {
                "challenge": encode_base64url(self.challenge),
                "timeout": self.timeout_ms,
                "rpId": self.rp_id,
                "allowCredentials": [credential.to_dict() for credential in self.allow_credentials],
                "userVerification": self.user_verification,
                "hints": list(self.hints),
                "extensions": self.extensions.to_dict(),
                "mediation": self.mediation,
            }
        )

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return msgspec.json.encode(self.to_dict()).decode()

    @staticmethod
    def from_dict(members: Mapping[str, Any]) -> "RequestOptions":
        """The options that ``PublicKeyCredentialRequestOptionsJSON`` holds, with the specification's defaults.

        Raises:
            DecodeError: `json_invalid`, `base64url_invalid`.
            ConfigurationError: Extension inputs that make no sense.
        """
        wire = convert(members, _RequestJSON, "")
        return RequestOptions(
            challenge=decode_base64url(wire.challenge, "challenge"),
            rp_id=wire.rpId,
            timeout_ms=wire.timeout,
            allow_credentials=_allowed(wire.allowCredentials),
            user_verification=wire.userVerification,
            hints=wire.hints,
            extensions=AuthenticationExtensions.from_dict(wire.extensions),
            mediation=wire.mediation,
        )


class _State(msgspec.Struct, frozen=True, kw_only=True, tag_field="ceremony"):
    """What both ceremonies carry from start to finish. Keep it on the server, and use it once.

    Attributes:
        challenge: As issued.
        rp_id: The RP ID whose hash the authenticator must have signed.
        origins: Every origin, web or app, that may answer; compared byte for byte.
        created_at, expires_at: UTC. A response outside of them is late.
        allow_cross_origin: The page is expected inside pages of other origins.
        top_origins: The pages that may embed it.
        user_verification: Whether UV is demanded.
        usage: The preset that was asked for, if any.
        mediation: ``conditional`` or None.
        extensions: Identifiers of the extensions that were asked for.
        user_handle: The user's handle; None when the user was not known at the start of an authentication.
        realm: Which of several tenants the ceremony belongs to.
        user_id: The application's own name for the user; finishing must repeat it when it is set.
        binding: SHA-256 of what ties the ceremony to one browser session or action; finishing must repeat it.
        purpose: What the ceremony is for, such as an action; opaque here.
        account_stamp: Whatever changes when the account's other secrets do; opaque here.
        version: Of this format.
    """

    challenge: bytes
    rp_id: str
    origins: tuple[str, ...]
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]
    allow_cross_origin: bool = False
    top_origins: tuple[str, ...] = ()
    user_verification: Requirement = "preferred"
    usage: Usage | None = None
    mediation: Literal["conditional"] | None = None
    extensions: tuple[str, ...] = ()
    user_handle: bytes | None = None
    realm: str = ""
    user_id: str | None = None
    binding: bytes | None = None
    purpose: str | None = None
    account_stamp: str | None = None
    version: Literal[1] = 1

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rp_id={self.rp_id!r}, challenge=…)"

    def to_json(self) -> str:
        """The state as JSON text. It holds the challenge: keep it on the server, or seal it."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls: type[_S], text: str | bytes) -> _S:
        """The state that `to_json` gave.

        Raises:
            DecodeError: `state_invalid`: another ceremony's state, another version, or no state at all.
        """
        try:
            # Read as either: only then does msgspec insist on the member that tells which.
            state = msgspec.json.decode(text, type=RegistrationState | AuthenticationState)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise DecodeError(Code.STATE_INVALID, f"not a {cls.__name__}: {reason_of(error)}") from None
        if not isinstance(state, cls):
            raise DecodeError(Code.STATE_INVALID, f"not a {cls.__name__}, but the other ceremony's")
        return state


class RegistrationState(_State, frozen=True, kw_only=True, tag="registration"):
    """A registration that was begun. Further attributes:

    Attributes:
        algorithms: COSE identifiers that were offered.
        resident_key: Whether a discoverable credential was demanded.
        attestation: The conveyance that was asked for.
        authenticator_attachment: The attachment that was asked for.
        exclude_credentials: Ids of the credentials that must not come again.
        credential_name: A name for the new credential; opaque here.
    """

    algorithms: tuple[int, ...]
    resident_key: Requirement = "preferred"
    attestation: Conveyance = "none"
    authenticator_attachment: str | None = None
    exclude_credentials: tuple[bytes, ...] = ()
    credential_name: str | None = None


class AuthenticationState(_State, frozen=True, kw_only=True, tag="authentication"):
    """An authentication that was begun. Further attributes:

    Attributes:
        allow_credentials: Ids of the credentials that may answer; empty for any of the user's.
        appid: The FIDO AppID that may stand in for the RP ID, when it was asked for.
        require_trusted_user_verification: UV must be one that can be trusted; see
            `VerifiedAuthentication.user_verification_trusted`.
    """

    allow_credentials: tuple[bytes, ...] = ()
    appid: str | None = None
    require_trusted_user_verification: bool = False


_CLOCK_SKEW: Final = timedelta(seconds=60)  # between the machine that began a ceremony and the one that finishes it


def check_time(state: RegistrationState | AuthenticationState, now: datetime, trail: Trail | None) -> None:
    """Returns only while the ceremony is open. The last check of all, so that only a valid response learns of it.

    Raises:
        ChallengeError: `challenge_expired`: later than `expires_at`, or a minute before it was created.

    Spec: #sctn-cryptographic-challenges
    """
    if trail is not None:
        trail.see("time", state.expires_at.isoformat(), now.isoformat())
    if now > state.expires_at or state.created_at - now > _CLOCK_SKEW:
        raise ChallengeError(Code.CHALLENGE_EXPIRED, "the ceremony is over", spec="#sctn-cryptographic-challenges")


class RegistrationStart(msgspec.Struct, frozen=True, kw_only=True):
    """A registration that has just begun: `options` for the client, `state` for the server."""

    options: CreationOptions
    state: RegistrationState

    def to_dict(self) -> dict[str, Any]:
        """The options for the client, JSON-ready."""
        return self.options.to_dict()

    def to_json(self) -> str:
        """The options for the client, as JSON text."""
        return self.options.to_json()


class AuthenticationStart(msgspec.Struct, frozen=True, kw_only=True):
    """An authentication that has just begun: `options` for the client, `state` for the server."""

    options: RequestOptions
    state: AuthenticationState

    def to_dict(self) -> dict[str, Any]:
        """The options for the client, JSON-ready."""
        return self.options.to_dict()

    def to_json(self) -> str:
        """The options for the client, as JSON text."""
        return self.options.to_json()


class _Descriptor(msgspec.Struct):
    type: str
    id: str
    transports: tuple[str, ...] = ()


class _Parameter(msgspec.Struct):
    type: str
    alg: int


class _Rp(msgspec.Struct):
    name: str
    id: str | None = None


class _User(msgspec.Struct):
    id: str
    name: str
    displayName: str  # noqa: N815


class _Selection(msgspec.Struct):
    authenticatorAttachment: str | None = None  # noqa: N815
    residentKey: str | None = None  # noqa: N815
    requireResidentKey: bool = False  # noqa: N815
    userVerification: str = "preferred"  # noqa: N815


class _CreationJSON(msgspec.Struct):
    rp: _Rp
    user: _User
    challenge: str
    pubKeyCredParams: tuple[_Parameter, ...]  # noqa: N815
    timeout: Annotated[int, msgspec.Meta(ge=0)] | None = None
    excludeCredentials: tuple[_Descriptor, ...] = ()  # noqa: N815
    authenticatorSelection: _Selection | None = None  # noqa: N815
    hints: tuple[str, ...] = ()
    attestation: str = "none"
    attestationFormats: tuple[str, ...] = ()  # noqa: N815
    extensions: dict[str, Any] = {}
    mediation: str | None = None


class _RequestJSON(msgspec.Struct):
    challenge: str
    timeout: Annotated[int, msgspec.Meta(ge=0)] | None = None
    rpId: str | None = None  # noqa: N815
    allowCredentials: tuple[_Descriptor, ...] = ()  # noqa: N815
    userVerification: str = "preferred"  # noqa: N815
    hints: tuple[str, ...] = ()
    extensions: dict[str, Any] = {}
    mediation: str | None = None


def _descriptors(wire: tuple[_Descriptor, ...], path: str) -> tuple[CredentialDescriptor, ...]:
    return tuple(
        CredentialDescriptor(id=decode_base64url(d.id, path), transports=d.transports, type=d.type) for d in wire
    )


def _allowed(wire: tuple[_Descriptor, ...]) -> tuple[CredentialDescriptor, ...]:
    descriptors = _descriptors(wire, "allowCredentials")
    # Clients leave unknown types out, and an empty list would then mean any credential.
    if descriptors and all(descriptor.type != "public-key" for descriptor in descriptors):
        raise DecodeError(Code.JSON_INVALID, "no type that is known", path="allowCredentials")
    return descriptors


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


MINIMUM_ALGORITHMS_OF_CLIENTS: Final = (-7, -257)  # what a client uses for an empty pubKeyCredParams
