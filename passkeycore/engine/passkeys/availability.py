"""Whether to offer somebody a passkey on the device in front of them. Nothing is written here."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from ...errors import Code, DecodeError
from ...webauthn.encoding import check_size, decode_base64url
from ..checks import check_user_id
from .context import Context

PromptReason: TypeAlias = Literal[
    "not_supported", "present", "limit_reached", "removed", "not_used_here", "none_created"
]

_MOST_STORED: Final = 64  # ids; a shared tablet remembers one for each of its users
_LONGEST_ID: Final = 1_023  # bytes: no credential has more


class PromptDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to offer a new passkey, and why. It tells what the user has: for nobody else's eyes.

    ==================  ======  =======================================================================================
    reason              prompt  what is so
    ==================  ======  =======================================================================================
    ``not_supported``   no      The device cannot have any.
    ``present``         no      A passkey of the user's was made or used on this device.
    ``limit_reached``   no      The user has as many as they may.
    ``removed``         yes     What the device remembers is no passkey of the user's: any more, or at all, as on a
                                device that people share.
    ``not_used_here``   yes     The user has passkeys, but the device remembers none. One may have been synced to it:
                                the client then says so instead of making another, because of ``excludeCredentials``.
    ``none_created``    yes     The user has no passkeys, and the device remembers none.
    ==================  ======  =======================================================================================

    Attributes:
        prompt: Offer it.
        reason: Why, or why not.
    """

    prompt: bool
    reason: PromptReason


async def should_prompt_to_create(
    context: Context, user_id: str, *, stored_credential_ids: Sequence[bytes | str], supported: bool = True
) -> PromptDecision:
    """Whether to offer the user, who is signed in, a passkey on this device, and why.

    A server cannot see what a device has, so the client keeps the credential ids that were used on it: after every
    registration *and* every authentication that the server accepted, it stores the response's ``rawId`` under the
    user, where the app or the browser keeps its settings. It forgets none by itself; those that are not good any more
    do not count here.

    Args:
        user_id: Who is signed in. Somebody who is not known, or is disabled, is answered as one without passkeys.
        stored_credential_ids: What the client has stored, bytes or base64url, at most 64. A malformed one is as
            none. One of somebody else's, of another Relying Party or of another realm is as one that was removed.
        supported: Whether the client can make passkeys at all. True by default: one that cannot has no reason to ask.

    Raises:
        DecodeError: `user_id_invalid`; `too_large`: more than 64 ids; `credential_id_invalid`: no list of them.
    """
    check_user_id(user_id)
    if isinstance(stored_credential_ids, (str, bytes)) or not isinstance(stored_credential_ids, Sequence):
        raise DecodeError(Code.CREDENTIAL_ID_INVALID, "a list of credential ids", path="stored_credential_ids")
    check_size(len(stored_credential_ids), _MOST_STORED, "stored_credential_ids")
    if not supported:
        return PromptDecision(prompt=False, reason="not_supported")
    account = await context.repository.find_account(context.realm, user_id)
    passkeys = () if account is None or account.user.disabled_at is not None else account.passkeys
    ours = {passkey.credential_id for passkey in passkeys if passkey.credential.rp_id == context.rp.id}
    remembered = {_credential_id(stored) for stored in stored_credential_ids} - {None}
    if not ours.isdisjoint(remembered):
        return PromptDecision(prompt=False, reason="present")
    if len(passkeys) >= context.max_passkeys_per_user:
        return PromptDecision(prompt=False, reason="limit_reached")
    if remembered:
        return PromptDecision(prompt=True, reason="removed")
    return PromptDecision(prompt=True, reason="not_used_here" if ours else "none_created")


def _credential_id(stored: object) -> bytes | None:
    """The id that a client stored; None: it is none. Storage on a device is whatever its owner makes of it."""
    try:
        id = decode_base64url(stored, "stored_credential_ids") if isinstance(stored, str) else stored
    except DecodeError:
        return None
    return id if isinstance(id, bytes) and 1 <= len(id) <= _LONGEST_ID else None
