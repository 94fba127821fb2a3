"""Extension inputs: what to ask of extensions, typed, for the options of both ceremonies.

Extensions that are not typed here travel in `other`.
Spec: #sctn-extensions; CTAP 2.2, section 12, for those that only authenticators process.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ..errors import Code, ConfigurationError, DecodeError
from .encoding import decode_base64url, encode_base64url
from .wire import convert

CredentialProtection: TypeAlias = Literal[
    "userVerificationOptional", "userVerificationOptionalWithCredentialIDList", "userVerificationRequired"
]


class PrfValues(msgspec.Struct, frozen=True, kw_only=True):
    """One or two inputs of the pseudo-random function, of any length. Secret where the application says so."""

    first: bytes
    second: bytes | None = None

    def __repr__(self) -> str:
        return "PrfValues(…)"

    def to_dict(self) -> dict[str, str]:
        """The inputs as ``AuthenticationExtensionsPRFValuesJSON``."""
        values = {"first": encode_base64url(self.first)}
        if self.second is not None:
            values["second"] = encode_base64url(self.second)
        return values


class RegistrationExtensions(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask of extensions when a credential is created.

    Attributes:
        cred_props: Ask whether the credential is discoverable.
        cred_protect: How the authenticator shall protect the credential; None leaves it to the authenticator.
        enforce_cred_protect: Let the client refuse authenticators that cannot do so.
        min_pin_length: Ask for the authenticator's minimum PIN length (only for RP IDs that it lists).
        cred_blob: Up to 32 bytes to store beside the credential.
        large_blob: Whether the credential shall be able to store a large blob.
        prf: Ask for the pseudo-random function; `PrfValues` also evaluates it at once, where that is possible.
        hmac_create_secret: CTAP's older form of `prf`.
        appid_exclude: A FIDO AppID whose U2F credentials count as excluded.
        uvm: Ask which user verification methods were used.
        remote_client_data_json: Client data of a remote desktop's client, passed on unchanged.
        other: Inputs of extensions that are not typed here, JSON-ready, by identifier.
    """

    cred_props: bool = False
    cred_protect: CredentialProtection | None = None
    enforce_cred_protect: bool = False
    min_pin_length: bool = False
    cred_blob: bytes | None = None
    large_blob: Literal["required", "preferred"] | None = None
    prf: PrfValues | bool = False
    hmac_create_secret: bool = False
    appid_exclude: str | None = None
    uvm: bool = False
    remote_client_data_json: str | None = None
    other: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        return f"RegistrationExtensions({', '.join(self.to_dict())})"

    def to_dict(self) -> dict[str, Any]:
        """The inputs as ``AuthenticationExtensionsClientInputsJSON``."""
        inputs = dict(self.other)
        if self.cred_protect is not None:
            inputs["credentialProtectionPolicy"] = self.cred_protect
            inputs["enforceCredentialProtectionPolicy"] = self.enforce_cred_protect
        if self.cred_blob is not None:
            inputs["credBlob"] = encode_base64url(self.cred_blob)
        if self.large_blob is not None:
            inputs["largeBlob"] = {"support": self.large_blob}
        if self.prf:
            inputs["prf"] = {"eval": self.prf.to_dict()} if isinstance(self.prf, PrfValues) else {}
        if self.appid_exclude is not None:
            inputs["appidExclude"] = self.appid_exclude
        if self.remote_client_data_json is not None:
            inputs["remoteClientDataJSON"] = self.remote_client_data_json
        flags = {
            "credProps": self.cred_props,
            "minPinLength": self.min_pin_length,
            "hmacCreateSecret": self.hmac_create_secret,
            "uvm": self.uvm,
        }
        return inputs | {name: True for name, asked in flags.items() if asked}

    @staticmethod
    def from_dict(inputs: Mapping[str, Any]) -> "RegistrationExtensions":
        """The inputs that ``AuthenticationExtensionsClientInputsJSON`` holds.

        Raises:
            DecodeError: `json_invalid` or `base64url_invalid`: a known input of another shape.
            ConfigurationError: An input that only authentication has, or that lacks what it needs.
        """
        wire = convert(inputs, _RegistrationInputs, "extensions")
        prf: PrfValues | bool = wire.prf is not None
        if wire.prf is not None and wire.prf.eval is not None:
            prf = _prf_values(wire.prf.eval, "extensions.prf.eval")
        extensions = RegistrationExtensions(
            cred_props=wire.credProps,
            cred_protect=wire.credentialProtectionPolicy,
            enforce_cred_protect=wire.enforceCredentialProtectionPolicy,
            min_pin_length=wire.minPinLength,
            cred_blob=None if wire.credBlob is None else decode_base64url(wire.credBlob, "extensions.credBlob"),
            large_blob=None if wire.largeBlob is None else wire.largeBlob.support,
            prf=prf,
            hmac_create_secret=wire.hmacCreateSecret,
            appid_exclude=wire.appidExclude,
            uvm=wire.uvm,
            remote_client_data_json=wire.remoteClientDataJSON,
            other={name: value for name, value in inputs.items() if name not in _REGISTRATION_NAMES},
        )
        if wire.prf is not None and wire.prf.evalByCredential is not None:
            raise ConfigurationError("prf.evalByCredential has no meaning at registration", path="extensions")
        if wire.largeBlob is not None and (wire.largeBlob.read or wire.largeBlob.write is not None):
            raise ConfigurationError("largeBlob has only support at registration", path="extensions")
        extensions.check()
        return extensions

    def check(self) -> None:
        """Returns only when the inputs make sense together.

        Raises:
            ConfigurationError: Otherwise. Spec: #sctn-appid-extension, #sctn-large-blob-extension
        """
        if self.enforce_cred_protect and self.cred_protect is None:
            raise ConfigurationError("enforce_cred_protect needs cred_protect", path="extensions")
        if self.cred_blob is not None and len(self.cred_blob) > 32:
            raise ConfigurationError("a cred_blob has up to 32 bytes", path="extensions")
        _check_appid(self.appid_exclude)
        _refuse(self.other, _AUTHENTICATION_NAMES | _REGISTRATION_NAMES | {"hmacGetSecret"}, "registration")


class AuthenticationExtensions(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask of extensions when a credential signs in.

    Attributes:
        appid: A FIDO AppID: credentials that U2F registered under it may answer too.
        get_cred_blob: Ask for the bytes stored beside the credential.
        large_blob_read: Ask for the large blob.
        large_blob_write: Store this large blob; needs exactly one allowed credential.
        prf: Inputs for whichever credential is used.
        prf_by_credential: Inputs by credential id, each of them in the allow list.
        uvm: Ask which user verification methods were used.
        remote_client_data_json: Client data of a remote desktop's client, passed on unchanged.
        other: Inputs of extensions that are not typed here (``hmacGetSecret`` included), JSON-ready, by identifier.
    """

    appid: str | None = None
    get_cred_blob: bool = False
    large_blob_read: bool = False
    large_blob_write: bytes | None = None
    prf: PrfValues | None = None
    prf_by_credential: Mapping[bytes, PrfValues] = {}
    uvm: bool = False
    remote_client_data_json: str | None = None
    other: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        return f"AuthenticationExtensions({', '.join(self.to_dict())})"

    def to_dict(self) -> dict[str, Any]:
        """The inputs as ``AuthenticationExtensionsClientInputsJSON``."""
        inputs = dict(self.other)
        if self.appid is not None:
            inputs["appid"] = self.appid
        if self.large_blob_read:
            inputs["largeBlob"] = {"read": True}
        if self.large_blob_write is not None:
            inputs["largeBlob"] = {"write": encode_base64url(self.large_blob_write)}
        if self.prf is not None or self.prf_by_credential:
            prf: dict[str, Any] = {}
            if self.prf is not None:
                prf["eval"] = self.prf.to_dict()
            if self.prf_by_credential:
                prf["evalByCredential"] = {
                    encode_base64url(id): values.to_dict() for id, values in self.prf_by_credential.items()
                }
            inputs["prf"] = prf
        if self.remote_client_data_json is not None:
            inputs["remoteClientDataJSON"] = self.remote_client_data_json
        flags = {"getCredBlob": self.get_cred_blob, "uvm": self.uvm}
        return inputs | {name: True for name, asked in flags.items() if asked}

    @staticmethod
    def from_dict(inputs: Mapping[str, Any]) -> "AuthenticationExtensions":
        """The inputs that ``AuthenticationExtensionsClientInputsJSON`` holds.

        Raises:
            DecodeError: `json_invalid` or `base64url_invalid`: a known input of another shape.
            ConfigurationError: An input that only registration has.
        """
        wire = convert(inputs, _AuthenticationInputs, "extensions")
        prf: PrfValues | None = None
        by_credential: dict[bytes, PrfValues] = {}
        if wire.prf is not None:
            if wire.prf.eval is not None:
                prf = _prf_values(wire.prf.eval, "extensions.prf.eval")
            for id, values in (wire.prf.evalByCredential or {}).items():
                path = "extensions.prf.evalByCredential"
                by_credential[decode_base64url(id, path)] = _prf_values(values, path)
        blob = wire.largeBlob or _LargeBlobInput()
        _refuse(inputs, _REGISTRATION_NAMES - _AUTHENTICATION_NAMES, "authentication")
        if blob.support is not None:
            raise ConfigurationError("largeBlob has no support at authentication", path="extensions")
        return AuthenticationExtensions(
            appid=wire.appid,
            get_cred_blob=wire.getCredBlob,
            large_blob_read=blob.read,
            large_blob_write=None if blob.write is None else decode_base64url(blob.write, "extensions.largeBlob.write"),
            prf=prf,
            prf_by_credential=by_credential,
            uvm=wire.uvm,
            remote_client_data_json=wire.remoteClientDataJSON,
            other={name: value for name, value in inputs.items() if name not in _AUTHENTICATION_NAMES},
        )

    def check(self, allowed: Collection[bytes]) -> None:
        """Returns only when the inputs make sense together and with the `allowed` credential ids.

        Raises:
            ConfigurationError: Otherwise. Spec: #prf-extension, #sctn-large-blob-extension
        """
        if self.large_blob_write is not None and (self.large_blob_read or len(allowed) != 1):
            raise ConfigurationError(
                "large_blob_write excludes large_blob_read and needs exactly one allowed credential",
                path="extensions",
            )
        if not self.prf_by_credential.keys() <= set(allowed):
            raise ConfigurationError("prf_by_credential names a credential that is not allowed", path="extensions")
        _check_appid(self.appid)
        _refuse(self.other, _REGISTRATION_NAMES | _AUTHENTICATION_NAMES, "authentication")


def _refuse(inputs: Mapping[str, Any], names: frozenset[str] | set[str], ceremony: str) -> None:
    for name in inputs:
        if name in names:
            raise ConfigurationError(f"{name} has no meaning at {ceremony}, or a member of its own", path="extensions")


def _check_appid(appid: str | None) -> None:
    # Spec: FIDO AppID and Facet Specification, section 3.1.2.
    if appid is not None and not appid.startswith("https://"):
        raise ConfigurationError("an AppID is an https URL", path="extensions")


class _PrfInput(msgspec.Struct):
    eval: dict[str, str] | None = None
    evalByCredential: dict[str, dict[str, str]] | None = None  # noqa: N815


class _LargeBlobInput(msgspec.Struct):
    support: Literal["required", "preferred"] | None = None
    read: bool = False
    write: str | None = None


class _RegistrationInputs(msgspec.Struct):
    credProps: bool = False  # noqa: N815
    credentialProtectionPolicy: CredentialProtection | None = None  # noqa: N815
    enforceCredentialProtectionPolicy: bool = False  # noqa: N815
    minPinLength: bool = False  # noqa: N815
    credBlob: str | None = None  # noqa: N815
    largeBlob: _LargeBlobInput | None = None  # noqa: N815
    prf: _PrfInput | None = None
    hmacCreateSecret: bool = False  # noqa: N815
    appidExclude: str | None = None  # noqa: N815
    uvm: bool = False
    remoteClientDataJSON: str | None = None  # noqa: N815


class _AuthenticationInputs(msgspec.Struct):
    appid: str | None = None
    getCredBlob: bool = False  # noqa: N815
    largeBlob: _LargeBlobInput | None = None  # noqa: N815
    prf: _PrfInput | None = None
    uvm: bool = False
    remoteClientDataJSON: str | None = None  # noqa: N815


_REGISTRATION_NAMES: Final = frozenset(_RegistrationInputs.__struct_fields__)
_AUTHENTICATION_NAMES: Final = frozenset(_AuthenticationInputs.__struct_fields__)


def _prf_values(values: Mapping[str, str], path: str) -> PrfValues:
    if "first" not in values:
        raise DecodeError(Code.JSON_INVALID, "first is missing", path=path)
    second = values.get("second")
    return PrfValues(
        first=decode_base64url(values["first"], path),
        second=None if second is None else decode_base64url(second, path),
    )
