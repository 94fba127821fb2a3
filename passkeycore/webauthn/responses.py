"""What ``navigator.credentials`` returned, as WebAuthn JSON (``toJSON()``), read into typed values.

Reading refuses whatever is malformed or too large; it judges nothing. Copies that browsers add for convenience
(``publicKey``, ``publicKeyAlgorithm``, ``authenticatorData`` at registration) are never looked at.
Spec: #dictdef-registrationresponsejson, #dictdef-authenticationresponsejson
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from ..errors import Code, DecodeError, VerificationError
from .authenticator_data import AuthenticatorData
from .client_data import CollectedClientData
from .encoding import CBOR, check_size, decode_base64url, decode_cbor, decode_last_bytes
from .extensions import NO_RESULTS, ClientExtensionResults
from .policy import DEFAULT_POLICY, Limits, Policy
from .wire import decode_json

_ATTESTATION_OBJECT: Final = "response.attestationObject"
_NO_STATEMENT: Final = b"\xa3cfmtdnonegattStmt\xa0hauthData"  # {"fmt": "none", "attStmt": {}, "authData":


class AttestationObject(msgspec.Struct, frozen=True, kw_only=True):
    """The attestation object: an attestation statement around the authenticator data it is about.

    Attributes:
        raw: As received.
        format: The identifier of the statement's format.
        statement: The decoded statement: a map, or the array of ``compound``.
        authenticator_data: What the authenticator signed.
    """

    raw: bytes
    format: str
    statement: CBOR
    authenticator_data: AuthenticatorData

    @staticmethod
    def parse(raw: bytes, policy: Policy = DEFAULT_POLICY) -> "AttestationObject":
        """The attestation object that `raw` (CBOR) holds, and nothing after it.

        Raises:
            DecodeError: `too_large`, `cbor_invalid`, or what `AuthenticatorData.parse` raises.

        Spec: #sctn-generating-an-attestation-object
        """
        path = _ATTESTATION_OBJECT
        check_size(len(raw), policy.limits.attestation_object_bytes, path)
        # Most registrations come without a statement, and clients write that in one way: equal bytes need no reader.
        if raw.startswith(_NO_STATEMENT):
            rest = decode_last_bytes(raw, len(_NO_STATEMENT))
            if rest is not None:
                return AttestationObject(
                    raw=raw,
                    format="none",
                    statement={},
                    authenticator_data=AuthenticatorData.parse(rest, policy, path + ".authData"),
                )
        members = decode_cbor(raw, path, policy)
        if not isinstance(members, dict) or members.keys() != {"fmt", "attStmt", "authData"}:
            raise DecodeError(Code.CBOR_INVALID, "not a map of fmt, attStmt and authData", path=path)
        format, authenticator_data = members["fmt"], members["authData"]
        if not isinstance(format, str) or not isinstance(authenticator_data, bytes):
            raise DecodeError(Code.CBOR_INVALID, "fmt is not a text or authData not a byte string", path=path)
        return AttestationObject(
            raw=raw,
            format=format,
            statement=members["attStmt"],
            authenticator_data=AuthenticatorData.parse(authenticator_data, policy, path + ".authData"),
        )


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    """What both responses have.

    Attributes:
        id: The credential id as ``id`` spells it. The page can write what it likes here.
        raw_id: The credential id as ``rawId`` spells it. Likewise.
        type: ``public-key``, if honest.
        client_data_json: What the client says about the ceremony, as it says it; `client_data` reads it.
        authenticator_attachment: A hint how the authenticator is attached, or None.
        client_extension_results: Unsigned outputs of extensions.
        policy: What the response was read under.
    """

    id: bytes
    raw_id: bytes
    type: str
    client_data_json: bytes
    authenticator_attachment: str | None = None
    client_extension_results: ClientExtensionResults = NO_RESULTS
    policy: Policy = DEFAULT_POLICY

    def __repr__(self) -> str:
        return f"{type(self).__name__}(raw_id={self.raw_id.hex()}, …)"

    @property
    def client_data(self) -> CollectedClientData:
        """The members of `client_data_json`; read anew at each use.

        Raises:
            DecodeError: See `CollectedClientData.parse`.
        """
        return CollectedClientData.parse(self.client_data_json, self.policy)


class RegistrationResponse(_Response, frozen=True, kw_only=True):
    """``RegistrationResponseJSON``: what ``navigator.credentials.create()`` returned. Further attributes:

    Attributes:
        attestation_object: What the authenticator made.
        transports: Hints how to reach it, unknown ones included, without duplicates, in the client's order.
    """

    attestation_object: AttestationObject
    transports: tuple[str, ...] = ()

    @staticmethod
    def parse(body: bytes | str | Mapping[str, Any], policy: Policy = DEFAULT_POLICY) -> "RegistrationResponse":
        """The response that `body` (JSON text, or its members) holds.

        Client data is not read yet, but by whoever asks for `client_data`, and when the response is verified.

        Raises:
            DecodeError: Malformed or too large; `path` names the member.
        """
        wire = decode_json(_REGISTRATION, body, policy.limits.json_bytes)
        response, attachment, results = wire.response, wire.authenticatorAttachment, wire.clientExtensionResults
        raw_id = decode_base64url(wire.rawId, "rawId")
        return RegistrationResponse(
            id=raw_id if wire.id == wire.rawId else decode_base64url(wire.id, "id"),
            raw_id=raw_id,
            type=wire.type,
            client_data_json=decode_base64url(response.clientDataJSON, "response.clientDataJSON"),
            attestation_object=AttestationObject.parse(
                decode_base64url(response.attestationObject, _ATTESTATION_OBJECT), policy
            ),
            transports=_transports(response.transports or (), policy.limits),
            authenticator_attachment=_attachment(attachment, policy) if attachment else None,
            client_extension_results=ClientExtensionResults.parse(results, policy) if results else NO_RESULTS,
            policy=policy,
        )


class AuthenticationResponse(_Response, frozen=True, kw_only=True):
    """``AuthenticationResponseJSON``: what ``navigator.credentials.get()`` returned. Further attributes:

    Attributes:
        authenticator_data: What the authenticator signed.
        signature: Over `authenticator_data` and the hash of `client_data_json`.
        user_handle: Whose credential it is, says the authenticator; None when absent or empty. Nothing signs it.
    """

    authenticator_data: AuthenticatorData
    signature: bytes
    user_handle: bytes | None = None

    @staticmethod
    def parse(body: bytes | str | Mapping[str, Any], policy: Policy = DEFAULT_POLICY) -> "AuthenticationResponse":
        """The response that `body` (JSON text, or its members) holds; as `RegistrationResponse.parse`.

        Raises:
            DecodeError: Malformed or too large; `path` names the member.
        """
        wire = decode_json(_AUTHENTICATION, body, policy.limits.json_bytes)
        response, attachment, results = wire.response, wire.authenticatorAttachment, wire.clientExtensionResults
        raw_id = decode_base64url(wire.rawId, "rawId")
        signature = decode_base64url(response.signature, "response.signature")
        check_size(len(signature), policy.limits.signature_bytes, "response.signature")
        return AuthenticationResponse(
            id=raw_id if wire.id == wire.rawId else decode_base64url(wire.id, "id"),
            raw_id=raw_id,
            type=wire.type,
            client_data_json=decode_base64url(response.clientDataJSON, "response.clientDataJSON"),
            authenticator_data=AuthenticatorData.parse(
                decode_base64url(response.authenticatorData, "response.authenticatorData"), policy
            ),
            signature=signature,
            user_handle=_user_handle(response.userHandle) if response.userHandle else None,
            authenticator_attachment=_attachment(attachment, policy) if attachment else None,
            client_extension_results=ClientExtensionResults.parse(results, policy) if results else NO_RESULTS,
            policy=policy,
        )


def check_same_id(credential_id: bytes, response: RegistrationResponse | AuthenticationResponse, owner: str) -> None:
    """Returns only when `id` and `rawId` are both the `credential_id` that `owner` (for the message) has.

    Raises:
        VerificationError: `credential_id_mismatch`. The page writes `id`; whoever stores or looks up by it alone can be
            fed another user's.

    Spec: #sctn-registering-a-new-credential, #sctn-verifying-assertion
    """
    if not credential_id == response.raw_id == response.id:
        raise VerificationError(
            Code.CREDENTIAL_ID_MISMATCH,
            f"id, rawId and the credential id of {owner} are not the same",
            path="id",
            expected=credential_id,
            actual=response.id if response.id != credential_id else response.raw_id,
            spec="#dom-credential-id",
        )


class _AttestationJSON(msgspec.Struct, frozen=True):
    clientDataJSON: str  # noqa: N815
    attestationObject: str  # noqa: N815
    transports: tuple[str, ...] | None = None


class _RegistrationJSON(msgspec.Struct, frozen=True):
    id: str
    rawId: str  # noqa: N815
    type: str
    response: _AttestationJSON
    clientExtensionResults: dict[str, Any] | None = None  # noqa: N815
    authenticatorAttachment: str | None = None  # noqa: N815


class _AssertionJSON(msgspec.Struct, frozen=True):
    clientDataJSON: str  # noqa: N815
    authenticatorData: str  # noqa: N815
    signature: str
    userHandle: str | None = None  # noqa: N815


class _AuthenticationJSON(msgspec.Struct, frozen=True):
    id: str
    rawId: str  # noqa: N815
    type: str
    response: _AssertionJSON
    clientExtensionResults: dict[str, Any] | None = None  # noqa: N815
    authenticatorAttachment: str | None = None  # noqa: N815


_REGISTRATION: Final = msgspec.json.Decoder(_RegistrationJSON)
_AUTHENTICATION: Final = msgspec.json.Decoder(_AuthenticationJSON)


def _user_handle(text: str) -> bytes:
    handle = decode_base64url(text, "response.userHandle")
    check_size(len(handle), 64, "response.userHandle")  # spec: #user-handle
    return handle


@lru_cache(maxsize=256)  # there are few kinds of authenticators; what is too long is refused anew each time
def _transports(transports: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    check_size(len(transports), limits.transports, "response.transports")
    for transport in transports:
        check_size(len(transport), limits.transport_characters, "response.transports")
    return tuple(dict.fromkeys(transports))


def _attachment(attachment: str, policy: Policy) -> str:
    check_size(len(attachment), policy.limits.transport_characters, "authenticatorAttachment")
    return attachment
