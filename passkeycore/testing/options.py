"""What a server's options say, as a client reads them; `ClientError` is how a client refuses.

Only the JSON forms of the two options dictionaries are read here. Members that a client must tolerate are:
unknown ones are passed over, unknown enumeration values count as absent.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from passkeycore.testing.encoding import JsonObject, b64url_decode

D = TypeVar("D")

_DEFAULT_ALGORITHMS: Final = (-7, -257)


class ClientError(Exception):
    """A client refuses a ceremony, as the browser's promise would be rejected.

    `name` is the DOMException's: `NotAllowedError`, `InvalidStateError`, `SecurityError`,
    `NotSupportedError`, `SyntaxError` or `EncodingError`; also `TypeError`, which in a browser is an error of
    its own.
    """

    def __init__(self, name: str, message: str) -> None:
        """Keeps both."""
        super().__init__(name, message)
        self.name: str = name
        self.message: str = message

    def __str__(self) -> str:
        """Both, the name first."""
        return f"{self.name}: {self.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CreationOptions:
    """PublicKeyCredentialCreationOptionsJSON, as far as a client acts on it.

    Spec: #dictdef-publickeycredentialcreationoptionsjson
    """

    rp_id: str | None
    user_handle: bytes
    challenge: bytes
    algorithms: tuple[int, ...]
    """Never empty: an empty list means ES256 and RS256."""
    excluded: tuple[bytes, ...]
    attachment: str | None
    resident_key: str
    user_verification: str
    attestation: str
    extensions: JsonObject


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestOptions:
    """PublicKeyCredentialRequestOptionsJSON, as far as a client acts on it.

    Spec: #dictdef-publickeycredentialrequestoptionsjson
    """

    rp_id: str | None
    challenge: bytes
    allowed: tuple[bytes, ...]
    user_verification: str
    extensions: JsonObject


def read_creation_options(options: Mapping[str, object] | str | bytes) -> CreationOptions:
    """The creation options in `options`, a JSON object or its text.

    Raises:
        ClientError: The text is no JSON (`SyntaxError`), a required member is missing or of the wrong type
            (`TypeError`), base64url is malformed (`EncodingError`), or no entry of pubKeyCredParams has a
            known type (`NotSupportedError`).
    """
    document = _document(options)
    user = object_member(document, "user", required=True)
    for holder, name in (
        (user, "name"),
        (user, "displayName"),
        (object_member(document, "rp", required=True), "name"),
    ):
        _text(holder, name)
    user_handle = bytes_member(user, "id")
    if not 1 <= len(user_handle) <= 64:
        raise ClientError("TypeError", "user.id must be 1 to 64 bytes")
    selection = object_member(document, "authenticatorSelection")
    required = "required" if selection.get("requireResidentKey") is True else "discouraged"
    return CreationOptions(
        rp_id=_optional_text(object_member(document, "rp"), "id"),
        user_handle=user_handle,
        challenge=bytes_member(document, "challenge"),
        algorithms=_algorithms(document),
        excluded=_descriptors(document, "excludeCredentials"),
        attachment=_choice(selection, "authenticatorAttachment", ("platform", "cross-platform"), None),
        resident_key=_choice(selection, "residentKey", ("discouraged", "preferred", "required"), required),
        user_verification=_user_verification(selection),
        attestation=_choice(document, "attestation", ("none", "indirect", "direct", "enterprise"), "none"),
        extensions=object_member(document, "extensions"),
    )


def read_request_options(options: Mapping[str, object] | str | bytes) -> RequestOptions:
    """The request options in `options`, a JSON object or its text.

    Raises:
        ClientError: The text is no JSON (`SyntaxError`), a required member is missing or of the wrong type
            (`TypeError`), base64url is malformed (`EncodingError`), or no entry of a filled
            allowCredentials has a known type (`NotAllowedError`).
    """
    document = _document(options)
    allowed = _descriptors(document, "allowCredentials")
    if not allowed and document.get("allowCredentials"):
        raise ClientError("NotAllowedError", "allowCredentials names no type of credential this client knows")
    return RequestOptions(
        rp_id=_optional_text(document, "rpId"),
        challenge=bytes_member(document, "challenge"),
        allowed=allowed,
        user_verification=_user_verification(document),
        extensions=object_member(document, "extensions"),
    )


def object_member(holder: JsonObject, name: str, *, required: bool = False) -> JsonObject:
    """The object under `name`; empty if absent and not `required`.

    Raises:
        ClientError: It is missing or no object (`TypeError`).
    """
    value = holder.get(name)
    if value is None and not required:
        return {}
    if not isinstance(value, Mapping):
        raise ClientError("TypeError", f"{name} must be an object")
    return dict(cast("Mapping[str, object]", value))


def bytes_member(holder: JsonObject, name: str) -> bytes:
    """The bytes under `name`, written as base64url.

    Raises:
        ClientError: It is missing or no string (`TypeError`), or no base64url (`EncodingError`).
    """
    text = _text(holder, name)
    try:
        return b64url_decode(text)
    except ValueError as error:
        raise ClientError("EncodingError", f"{name} is {error}") from error


def _document(options: Mapping[str, object] | str | bytes) -> JsonObject:
    value: object = options
    if isinstance(options, str | bytes):
        try:
            value = json.loads(options)
        except ValueError as error:
            raise ClientError("SyntaxError", f"the options are not JSON: {error}") from error
    return object_member({"options": value}, "options", required=True)


def _text(holder: JsonObject, name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise ClientError("TypeError", f"{name} must be a string")
    return value


def _optional_text(holder: JsonObject, name: str) -> str | None:
    return None if holder.get(name) is None else _text(holder, name)


def _choice(holder: JsonObject, name: str, known: Sequence[str], default: D) -> str | D:
    value = _optional_text(holder, name)
    return value if value is not None and value in known else default


def _user_verification(holder: JsonObject) -> str:
    return _choice(holder, "userVerification", ("required", "preferred", "discouraged"), "preferred")


def _objects(holder: JsonObject, name: str, *, required: bool = False) -> list[JsonObject]:
    """The entries of type `public-key` in the list under `name`."""
    value = holder.get(name)
    if value is None and not required:
        return []
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ClientError("TypeError", f"{name} must be a list")
    entries = [object_member({name: entry}, name, required=True) for entry in cast("Sequence[object]", value)]
    return [entry for entry in entries if entry.get("type") == "public-key"]


def _descriptors(document: JsonObject, name: str) -> tuple[bytes, ...]:
    return tuple(bytes_member(entry, "id") for entry in _objects(document, name))


def _algorithms(document: JsonObject) -> tuple[int, ...]:
    entries = _objects(document, "pubKeyCredParams", required=True)
    found: list[int] = []
    for entry in entries:
        algorithm: object = entry.get("alg")
        if not isinstance(algorithm, int):
            raise ClientError("TypeError", "alg must be a number")
        found.append(algorithm)
    if not found and document.get("pubKeyCredParams"):
        raise ClientError("NotSupportedError", "pubKeyCredParams names no type of credential this client knows")
    return tuple(found) or _DEFAULT_ALGORITHMS
