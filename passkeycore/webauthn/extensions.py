"""Extension outputs: what clients (unsigned) and authenticators (signed) say that extensions did.

PRF results are secrets of the client: they are dropped while a response is read, never kept and never shown.
Spec: #sctn-extensions; CTAP 2.2, section 12, for those that only authenticators process.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from ..errors import Code, DecodeError, VerificationError
from .encoding import CBOR, check_size, decode_base64url
from .policy import Policy
from .wire import convert


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
        wire = convert(results, _ClientOutputs, path)
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
