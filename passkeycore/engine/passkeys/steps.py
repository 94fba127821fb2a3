"""Steps that both ceremonies have in common.

A start puts a ceremony aside; a finish takes it, and ends it also when the body cannot be read.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from ...errors import ChallengeError, Code, DecodeError, PasskeyError
from ...webauthn.client_data import claimed_challenge
from ...webauthn.encoding import decode_base64url
from ...webauthn.options import AuthenticationState, RegistrationState
from ..records import Ceremony, EventType
from .context import Context

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
