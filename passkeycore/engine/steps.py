"""Steps that both ceremonies have in common, and the checks of names.

A start puts a ceremony aside; a finish takes it, and ends it also when the body cannot be read.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias
from unicodedata import category

import msgspec

from ..errors import ChallengeError, Code, DecodeError, PasskeyError
from ..webauthn.client_data import claimed_challenge
from ..webauthn.encoding import decode_base64url
from ..webauthn.options import AuthenticationState, RegistrationState
from .context import Context
from .records import Ceremony, EventType

# Control characters, invisible ones and separators of lines. The two joiners stay, without which some scripts and many
# emoji cannot be written.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS: Final = {0x200C: None, 0x200D: None}
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")

Body: TypeAlias = bytes | str | Mapping[str, Any]


def found_ceremony(ceremony: Ceremony | None) -> Ceremony:
    """The ceremony that was taken.

    Raises:
        ChallengeError: `challenge_unknown`: there was none.
    """
    if ceremony is None:
        raise unknown_challenge()
    return ceremony


def unknown_challenge() -> ChallengeError:
    """The one error for whatever is wrong with a ceremony as such: which part, is nobody's business."""
    return ChallengeError(Code.CHALLENGE_UNKNOWN, "this ceremony was not begun here")


def ceremony_origins(context: Context, extra: str | None) -> Sequence[str] | None:
    """The origins that may answer one ceremony: those of the Relying Party and `extra`. None: just those."""
    return None if extra is None else (*context.rp.origins, *context.rp.related_origins, extra)


async def record_failure(
    context: Context,
    type: EventType,
    state: RegistrationState | AuthenticationState,
    user_id: str | None,
    credential_id: bytes,
    error: PasskeyError,
) -> None:
    """Stores and tells that a ceremony failed, which was begun here: else anybody could fill the store."""
    await context.record(
        context.event(type, user_id=user_id, credential_id=credential_id, code=error.code, purpose=state.purpose)
    )


class _NamedResponse(msgspec.Struct):
    clientDataJSON: str  # noqa: N815


class _Named(msgspec.Struct):
    response: _NamedResponse


async def spend_malformed(context: Context, body: Body, sealed_state: str | None, now: datetime) -> None:
    """Ends the ceremony that a malformed body names, if it can be read that far: the first finish counts."""
    await context.ceremonies.take(context.realm, _named_challenge(context, body), sealed_state, now)


def _named_challenge(context: Context, body: Body) -> bytes | None:
    try:
        if isinstance(body, Mapping):
            named = msgspec.convert(body, _Named)
        elif len(body) <= context.rp.policy.limits.json_bytes:
            named = msgspec.json.decode(body, type=_Named)
        else:
            return None  # not even looked at: nothing of it was judged
        client_data = decode_base64url(named.response.clientDataJSON, "response.clientDataJSON")
        return claimed_challenge(client_data, context.rp.policy)
    except (msgspec.MsgspecError, ValueError, RecursionError, TypeError, DecodeError):
        return None


def check_name(name: str, path: str, longest: int = 64) -> None:
    """Returns only when `name` can be shown to people: 1 to `longest` characters, some of which can be seen.

    Raises:
        DecodeError: `name_invalid`: names come from remote users.
    """
    if (
        not isinstance(name, str)
        or not 1 <= len(name) <= longest
        or not (seen := name.translate(_JOINERS)).strip()
        or not _UNSEEN.isdisjoint(map(category, seen))
    ):
        raise DecodeError(
            Code.NAME_INVALID, f"1 to {longest} characters, without control and invisible ones", path=path
        )


def check_names(name: str | None, display_name: str) -> None:
    """Likewise for the two names of a user, of which either may be missing."""
    if name is not None:
        check_name(name, "user_name", 256)
    if display_name != "":  # None and the like are no names either
        check_name(display_name, "user_display_name", 256)


def check_user_id(user_id: str) -> None:
    """Returns only when `user_id` is a text that every storage can hold: 1 to 255 characters, all but NUL.

    Raises:
        DecodeError: `user_id_invalid`: it may come from a remote user, and must not end in a driver's error.
    """
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= 255 or _UNSTORABLE.search(user_id):
        raise DecodeError(Code.USER_ID_INVALID, "1 to 255 characters, without NUL and lone surrogates", path="user_id")


def check_opaque(purpose: str | None, account_stamp: str | None) -> None:
    """Returns only when both can be kept in a ceremony: up to 1024 characters, without NUL and lone surrogates.

    Raises:
        DecodeError: `name_invalid`.
    """
    for path, text in (("purpose", purpose), ("account_stamp", account_stamp)):
        if text is not None and (not isinstance(text, str) or len(text) > 1024 or _UNSTORABLE.search(text)):
            raise DecodeError(Code.NAME_INVALID, "up to 1024 characters, without NUL and lone surrogates", path=path)
