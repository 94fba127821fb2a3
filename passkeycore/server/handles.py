"""User handles as some native SDKs give them back, which is not as WebAuthn has them.

iOS SDKs have taken the text of ``user.id`` for the handle itself, and the passkeys that they made carry that: wherever
such a passkey signs in, also in a browser, its handle is the base64url of what it should be.
"""

from typing import Any, Final, cast

import msgspec

from ..engine.passkeys.service import AsyncPasskeyService
from ..engine.records import Passkey, User
from ..errors import DecodeError
from ..webauthn.encoding import encode_base64url
from ..webauthn.wire import decode_json

_CREDENTIAL: Final = msgspec.json.Decoder(dict[str, Any])


async def as_its_owners(passkeys: AsyncPasskeyService, body: bytes) -> bytes | dict[str, Any]:
    """The credential in `body`, by `with_owners_handle`; as it came, where it names no passkey, or is none.

    Args:
        passkeys: Of the tenant.
        body: WebAuthn JSON, as the browser sent it.
    """
    try:
        credential = decode_json(_CREDENTIAL, body, passkeys.context.rp.policy.limits.json_bytes)
        named = credential.get("id")
        found = await passkeys.find_passkey(named) if isinstance(named, str) else None
    except DecodeError:
        return body  # which the engine refuses
    return body if found is None else with_owners_handle(credential, *found)


def with_owners_handle(credential: dict[str, Any], passkey: Passkey, owner: User) -> dict[str, Any]:
    """The credential with its user handle as it should be, where it is the owner's in one of the forms in use.

    Whose passkey it is, storage says, and the signature proves; any other handle stays, and the engine refuses it.

    Args:
        credential: What the client answered, as WebAuthn JSON.
        passkey: What its id names.
        owner: Whose that is.
    """
    handle = passkey.credential.user_handle or owner.user_handle
    right = encode_base64url(handle)
    # As it should be, as an SDK that took the text for the handle, and as one that gives the handle back as text.
    forms = {right, encode_base64url(right.encode()), handle.decode("utf-8", "replace")}
    response: object = credential.get("response")
    if not isinstance(response, dict):
        return credential
    members = cast("dict[str, Any]", response)
    said = members.get("userHandle")
    if not isinstance(said, str) or said not in forms:
        return credential
    return {**credential, "response": {**members, "userHandle": right}}
