"""Extensions: typed inputs for the options, typed outputs of clients (unsigned) and of authenticators (signed).

Extensions that are not typed here travel in `other` and are reported by name. PRF results are secrets of the
client: they are dropped while a response is read, never kept and never shown.
Spec: #sctn-extensions; CTAP 2.2, section 12, for those that only authenticators process.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec

from ..errors import Code, ConfigurationError, DecodeError, VerificationError
from .encoding import CBOR, check_size, decode_base64url, encode_base64url
from .policy import Policy
from .wire import decoding_error

CredentialProtection: TypeAlias = Literal[
    "userVerificationOptional", "userVerificationOptionalWithCredentialIDList", "userVerificationRequired"
]
_W = TypeVar("_W")


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
        wire = _convert(inputs, _RegistrationInputs)
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
            raise ConfigurationError("prf.evalByCredential has no meaning at registration")
        extensions.check()
        return extensions

    def check(self) -> None:
        """Returns only when the inputs make sense together.

        Raises:
            ConfigurationError: Otherwise. Spec: #sctn-appid-extension, #sctn-large-blob-extension
        """
        if self.enforce_cred_protect and self.cred_protect is None:
            raise ConfigurationError("enforce_cred_protect needs cred_protect", path="extensions")
        _refuse(self.other, ("appid", "getCredBlob"), "registration")


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
        other: Inputs of extensions that are not typed here, JSON-ready, by identifier.
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
        wire = _convert(inputs, _AuthenticationInputs)
        prf: PrfValues | None = None
        by_credential: dict[bytes, PrfValues] = {}
        if wire.prf is not None:
            if wire.prf.eval is not None:
                prf = _prf_values(wire.prf.eval, "extensions.prf.eval")
            for id, values in (wire.prf.evalByCredential or {}).items():
                path = "extensions.prf.evalByCredential"
                by_credential[decode_base64url(id, path)] = _prf_values(values, path)
        blob = wire.largeBlob or _LargeBlobInput()
        _refuse(inputs, ("appidExclude", "credProps", "credBlob", "credentialProtectionPolicy"), "authentication")
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
        _refuse(
            self.other,
            ("appidExclude", "credProps", "credBlob", "credentialProtectionPolicy"),
            "authentication",
        )


def _refuse(inputs: Mapping[str, Any], names: tuple[str, ...], ceremony: str) -> None:
    for name in names:
        if name in inputs:
            raise ConfigurationError(f"{name} has no meaning at {ceremony}", path="extensions")


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


def _convert(value: object, shape: type[_W], path: str = "extensions") -> _W:
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise decoding_error(error, path) from None


def _prf_values(values: Mapping[str, str], path: str) -> PrfValues:
    if "first" not in values:
        raise DecodeError(Code.JSON_INVALID, "first is missing", path=path)
    second = values.get("second")
    return PrfValues(
        first=decode_base64url(values["first"], path),
        second=None if second is None else decode_base64url(second, path),
    )


class ClientExtensionResults(msgspec.Struct, frozen=True, kw_only=True):
    """What the client says its extensions did. Nobody signs it: a hint about the credential, never a proof.

    None means that the output was absent, which says nothing.

    Attributes:
        names: The identifiers of every output that was present.
        discoverable: ``credProps.rk``: whether the credential is discoverable.
        prf_enabled: ``prf.enabled``, at registration.
        prf_results_received: The page sent results of the PRF to the server, where they do not belong. They were
            dropped.
        large_blob_supported: ``largeBlob.supported``, at registration.
        large_blob: ``largeBlob.blob``: what was read.
        large_blob_written: ``largeBlob.written``.
        appid: Whether the AppID was used instead of the RP ID.
        appid_exclude: Whether the AppID to exclude was considered.
        cred_blob_stored: ``credBlob`` at registration.
        cred_blob: ``getCredBlob`` at authentication.
        hmac_secret_created: ``hmacCreateSecret``.
        uvm: User verification methods: user verification, key protection and matcher protection of each.
        remote_client_data_json: Whether the client passed remote client data on.
    """

    names: frozenset[str] = frozenset()
    discoverable: bool | None = None
    prf_enabled: bool | None = None
    prf_results_received: bool = False
    large_blob_supported: bool | None = None
    large_blob: bytes | None = None
    large_blob_written: bool | None = None
    appid: bool | None = None
    appid_exclude: bool | None = None
    cred_blob_stored: bool | None = None
    cred_blob: bytes | None = None
    hmac_secret_created: bool | None = None
    uvm: tuple[tuple[int, ...], ...] = ()
    remote_client_data_json: bool | None = None

    def __repr__(self) -> str:
        return f"ClientExtensionResults(names={sorted(self.names)})"

    @staticmethod
    def parse(results: Mapping[str, Any], policy: Policy) -> "ClientExtensionResults":
        """The typed outputs in ``clientExtensionResults``.

        Raises:
            DecodeError: `too_large`, `json_invalid`, `base64url_invalid`: more outputs than allowed, or a known
                one of another shape.
        """
        path = "clientExtensionResults"
        check_size(len(results), policy.limits.extensions, path)
        wire = _convert(results, _ClientOutputs, path)
        prf, blob = wire.prf or _PrfOutput(), wire.largeBlob or _LargeBlobOutput()
        return ClientExtensionResults(
            names=frozenset(results),
            discoverable=None if wire.credProps is None else wire.credProps.rk,
            prf_enabled=prf.enabled,
            prf_results_received=prf.results is not None,
            large_blob_supported=blob.supported,
            large_blob=None if blob.blob is None else decode_base64url(blob.blob, path + ".largeBlob.blob"),
            large_blob_written=blob.written,
            appid=wire.appid,
            appid_exclude=wire.appidExclude,
            cred_blob_stored=wire.credBlob,
            cred_blob=None if wire.getCredBlob is None else decode_base64url(wire.getCredBlob, path + ".getCredBlob"),
            hmac_secret_created=wire.hmacCreateSecret,
            uvm=wire.uvm or (),
            remote_client_data_json=wire.remoteClientDataJSON,
        )


NO_RESULTS: Final = ClientExtensionResults()


class _CredPropsOutput(msgspec.Struct):
    rk: bool | None = None


class _PrfOutput(msgspec.Struct):
    enabled: bool | None = None
    results: Any = None


class _LargeBlobOutput(msgspec.Struct):
    supported: bool | None = None
    blob: str | None = None
    written: bool | None = None


class _ClientOutputs(msgspec.Struct):
    credProps: _CredPropsOutput | None = None  # noqa: N815
    prf: _PrfOutput | None = None
    largeBlob: _LargeBlobOutput | None = None  # noqa: N815
    appid: bool | None = None
    appidExclude: bool | None = None  # noqa: N815
    credBlob: bool | None = None  # noqa: N815
    getCredBlob: str | None = None  # noqa: N815
    hmacCreateSecret: bool | None = None  # noqa: N815
    uvm: tuple[tuple[int, ...], ...] | None = None
    remoteClientDataJSON: bool | None = None  # noqa: N815


class AuthenticatorExtensionOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """What the authenticator says its extensions did: signed together with the rest of its data.

    Attributes:
        names: The identifiers of every output that was present.
        cred_protect: The credential's protection: 1 optional, 2 optional with a credential id list, 3 required.
        min_pin_length: The authenticator's minimum PIN length, in code points.
        cred_blob_stored: ``credBlob`` at registration.
        cred_blob: ``credBlob`` at authentication; empty when nothing is stored.
        hmac_secret: Whether the PRF was set up, or an (encrypted) result was sent; the result is not kept here.
        uvm: As in `ClientExtensionResults`.
    """

    names: frozenset[str] = frozenset()
    cred_protect: int | None = None
    min_pin_length: int | None = None
    cred_blob_stored: bool | None = None
    cred_blob: bytes | None = None
    hmac_secret: bool | None = None
    uvm: tuple[tuple[int, ...], ...] = ()

    def __repr__(self) -> str:
        return f"AuthenticatorExtensionOutputs(names={sorted(self.names)})"

    @staticmethod
    def parse(outputs: CBOR, path: str) -> "AuthenticatorExtensionOutputs":
        """The typed outputs in the decoded extensions map of authenticator data.

        Raises:
            DecodeError: `extension_malformed`: not a map with text keys, or a known output of another shape.
        """
        if not isinstance(outputs, dict) or not all(isinstance(name, str) for name in outputs):
            raise _malformed("not a map with text keys", path)
        protect, pin = outputs.get("credProtect"), outputs.get("minPinLength")
        blob, secret, uvm = outputs.get("credBlob"), outputs.get("hmac-secret"), outputs.get("uvm")
        if not (protect is None or (type(protect) is int and 1 <= protect <= 3)):
            raise _malformed("credProtect is not 1, 2 or 3", path)
        if not (pin is None or (type(pin) is int and pin >= 0)):
            raise _malformed("minPinLength is not a length", path)
        if not (blob is None or isinstance(blob, (bool, bytes))):
            raise _malformed("credBlob is neither a boolean nor a byte string", path)
        if not (secret is None or isinstance(secret, (bool, bytes))):
            raise _malformed("hmac-secret is neither a boolean nor a byte string", path)
        if not (uvm is None or _is_uvm(uvm)):
            raise _malformed("uvm is not one to three lists of three numbers", path)
        return AuthenticatorExtensionOutputs(
            names=frozenset(str(name) for name in outputs),
            cred_protect=protect,
            min_pin_length=pin,
            cred_blob_stored=blob if isinstance(blob, bool) else None,
            cred_blob=blob if isinstance(blob, bytes) else None,
            hmac_secret=secret is not False if secret is not None else None,
            uvm=tuple(tuple(method) for method in uvm) if uvm is not None else (),  # type: ignore[union-attr, arg-type]
        )


NO_OUTPUTS: Final = AuthenticatorExtensionOutputs()


def _is_uvm(value: CBOR) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= 3
        and all(isinstance(m, list) and len(m) == 3 and all(type(n) is int for n in m) for m in value)
    )


def _malformed(message: str, path: str) -> DecodeError:
    return DecodeError(Code.EXTENSION_MALFORMED, message, path=path, spec="#sctn-extensions")


# Which client inputs lead to an authenticator output.
_ASKED_BY: Final[Mapping[str, frozenset[str]]] = {
    "credProtect": frozenset({"credentialProtectionPolicy"}),
    "credBlob": frozenset({"credBlob", "getCredBlob"}),
    "hmac-secret": frozenset({"prf", "hmacCreateSecret", "hmacGetSecret"}),
    "hmac-secret-mc": frozenset({"prf"}),
}


def check_solicited(
    results: ClientExtensionResults, outputs: AuthenticatorExtensionOutputs, asked: Collection[str]
) -> None:
    """Returns only when every output belongs to an extension that was `asked` for.

    Raises:
        VerificationError: `extension_unsolicited`.

    Spec: #sctn-extensions
    """
    for name in sorted(results.names | outputs.names):
        if name not in asked and _ASKED_BY.get(name, frozenset()).isdisjoint(asked):
            raise VerificationError(
                Code.EXTENSION_UNSOLICITED,
                "the output of an extension that was not asked for",
                path="clientExtensionResults" if name in results.names else "response.authenticatorData",
                expected=sorted(asked),
                actual=name,
                spec="#sctn-extensions",
            )
