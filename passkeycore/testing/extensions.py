"""The client's side of the extensions: inputs for the authenticator, and results in their JSON form.

Byte strings travel as base64url in the JSON forms of `prf`, `largeBlob`, `credBlob` and `getCredBlob`.
Extensions the kit does not know are passed over, as a client does. `appid`, `appidExclude` and
`remoteClientDataJSON` change the ceremony itself and are the client's own business.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Final

from passkeycore.testing.credential import Assertion, NewCredential
from passkeycore.testing.encoding import CborValue, JsonObject, b64url_decode, b64url_encode
from passkeycore.testing.options import ClientError, bytes_member, object_member

_PROTECTION_LEVELS: Final = {
    "userVerificationOptional": 1,
    "userVerificationOptionalWithCredentialIDList": 2,
    "userVerificationRequired": 3,
}


def prf_salt(value: bytes) -> bytes:
    """The `hmac-secret` salt, 32 bytes, that a client makes of a `prf` input.

    Spec: #prf-extension
    """
    return sha256(b"WebAuthn PRF\0" + value).digest()


def registration_inputs(requested: JsonObject, supported: Collection[str]) -> dict[str, CborValue]:
    """The CTAP extension inputs for the client inputs `requested`.

    Args:
        requested: `extensions` of the creation options.
        supported: The extensions the authenticator has.

    Raises:
        ClientError: An input is malformed or does not belong to a registration, or the server insists on
            something the authenticator lacks (`NotAllowedError`).
    """
    inputs: dict[str, CborValue] = {name: True for name in ("minPinLength", "uvm") if requested.get(name) is True}
    if "prf" in requested:
        prf = object_member(requested, "prf")
        if "evalByCredential" in prf:
            raise ClientError("NotSupportedError", "prf.evalByCredential is for authentication")
        inputs["hmac-secret"] = True
        if "eval" in prf:
            inputs["hmac-secret-mc"] = _salts(object_member(prf, "eval"))
    if requested.get("hmacCreateSecret") is True:
        inputs["hmac-secret"] = True
    if "credBlob" in requested:
        inputs["credBlob"] = bytes_member(requested, "credBlob")
    if "credentialProtectionPolicy" in requested:
        level = _PROTECTION_LEVELS.get(requested["credentialProtectionPolicy"])
        if level is None:
            raise ClientError("TypeError", "credentialProtectionPolicy is unknown")
        inputs["credProtect"] = level
        enforced = requested.get("enforceCredentialProtectionPolicy") is True
        if enforced and level > 1 and "credProtect" not in supported:
            raise ClientError("NotAllowedError", "the authenticator cannot protect credentials")
    large_blob = object_member(requested, "largeBlob")
    if "read" in large_blob or "write" in large_blob:
        raise ClientError("NotSupportedError", "largeBlob.read and .write are for authentication")
    if large_blob.get("support") == "required" and "largeBlob" not in supported:
        raise ClientError("NotAllowedError", "the authenticator has no large-blob storage")
    return inputs


def registration_results(requested: JsonObject, supported: Collection[str], made: NewCredential) -> JsonObject:
    """The client extension results for the client inputs `requested`, once the credential is made."""
    results: JsonObject = {}
    if requested.get("credProps") is True:
        results["credProps"] = {"rk": made.credential.discoverable}
    if "prf" in requested:
        results["prf"] = {"enabled": made.extensions.get("hmac-secret") is True, **_prf_results(made.secrets)}
    if requested.get("hmacCreateSecret") is True:
        results["hmacCreateSecret"] = made.extensions.get("hmac-secret") is True
    if "credBlob" in requested:
        results["credBlob"] = made.extensions.get("credBlob") is True
    if "largeBlob" in requested:
        results["largeBlob"] = {"supported": "largeBlob" in supported and made.credential.discoverable}
    if "uvm" in made.extensions:
        results["uvm"] = made.extensions["uvm"]
    return results


def authentication_inputs(
    requested: JsonObject, allowed: Sequence[bytes], credential_id: bytes
) -> dict[str, CborValue]:
    """The CTAP extension inputs for the client inputs `requested`.

    Args:
        requested: `extensions` of the request options.
        allowed: The ids of allowCredentials.
        credential_id: The credential that is going to sign, which selects among `prf.evalByCredential`.

    Raises:
        ClientError: An input is malformed, does not belong to an authentication, or does not fit `allowed`.
    """
    inputs: dict[str, CborValue] = {}
    if requested.get("uvm") is True:
        inputs["uvm"] = True
    if requested.get("getCredBlob") is True:
        inputs["credBlob"] = True
    prf = object_member(requested, "prf")
    by_credential = object_member(prf, "evalByCredential")
    if by_credential and not allowed:
        raise ClientError("NotSupportedError", "prf.evalByCredential needs allowCredentials")
    if not all(_names_one_of(key, allowed) for key in by_credential):
        raise ClientError("SyntaxError", "prf.evalByCredential names a credential outside allowCredentials")
    chosen = b64url_encode(credential_id)
    if chosen in by_credential:
        inputs["hmac-secret"] = _salts(object_member(by_credential, chosen))
    elif "eval" in prf:
        inputs["hmac-secret"] = _salts(object_member(prf, "eval"))
    large_blob = object_member(requested, "largeBlob")
    if "support" in large_blob or ("read" in large_blob and "write" in large_blob):
        raise ClientError("NotSupportedError", "largeBlob takes either read or write in an authentication")
    if "write" in large_blob and len(allowed) != 1:
        raise ClientError("NotSupportedError", "largeBlob.write needs exactly one entry in allowCredentials")
    return inputs


def authentication_results(requested: JsonObject, supported: Collection[str], assertion: Assertion) -> JsonObject:
    """The client extension results for the client inputs `requested`, writing the large blob if they say so.

    Raises:
        ClientError: `largeBlob.write` is malformed.
    """
    results: JsonObject = {}
    if "prf" in requested:
        results["prf"] = _prf_results(assertion.secrets)
    if requested.get("getCredBlob") is True and isinstance(blob := assertion.extensions.get("credBlob"), bytes):
        results["getCredBlob"] = b64url_encode(blob)
    if "largeBlob" in requested:
        results["largeBlob"] = _large_blob(object_member(requested, "largeBlob"), supported, assertion)
    if "uvm" in assertion.extensions:
        results["uvm"] = assertion.extensions["uvm"]
    return results


def _salts(values: JsonObject) -> list[bytes]:
    names = ("first", "second") if "second" in values else ("first",)
    return [prf_salt(bytes_member(values, name)) for name in names]


def _prf_results(secrets: Sequence[bytes]) -> JsonObject:
    named = dict(zip(("first", "second"), map(b64url_encode, secrets), strict=False))
    return {"results": named} if named else {}


def _names_one_of(text: str, allowed: Sequence[bytes]) -> bool:
    try:
        return b64url_decode(text) in allowed
    except ValueError:
        return False


def _large_blob(asked: JsonObject, supported: Collection[str], assertion: Assertion) -> JsonObject:
    usable = "largeBlob" in supported
    if "write" in asked:
        blob = bytes_member(asked, "write")
        if usable:
            assertion.credential.large_blob = blob
        return {"written": usable}
    if asked.get("read") is True and usable and assertion.credential.large_blob is not None:
        return {"blob": b64url_encode(assertion.credential.large_blob)}
    return {}
