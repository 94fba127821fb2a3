"""What a device shows of a challenge, so that its user knows what they approve, and where from.

It is kept with the challenge as its content; nobody signs it. Data points of the application's own are among it: they
are told only to who has signed something, as whoever knows a public key may look whether anything waits for it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from ...actions.facts import CustomValue
from ...engine.actions.records import Action
from ...engine.actions.tracking import ClientInfo
from .profiles import Json
from .wire import invalid_request, present

_LONGEST_USER_AGENT: Final = 512
_LONGEST: Final = 4_096  # characters, as the engine has it for the content of a challenge


class _Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    action_code: str | None = None
    idempotency_key: str | None = None
    device_id: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None
    custom: Mapping[str, CustomValue] | None = None


_SHOWN: Final = msgspec.json.Decoder(_Shown)


def describe(
    action: Action | None, word: str, client: ClientInfo, custom: Mapping[str, CustomValue] | None = None
) -> str:
    """The content of a challenge, up to 4096 characters.

    Args:
        action: Which one; None: it begins when it is known whose it is. Its own data points are left out where there
            are too many of them to fit: all of them, as a part could mislead.
        word: What the application calls it.
        client: Of whoever waits; an action knows better.
        custom: Data points that whoever waits has named; they count before those of an action of the same name.

    Raises:
        Refused: 400: `custom` does not fit.
    """
    source = client if action is None else action
    told = {} if action is None else dict(action.custom)
    shown = _Shown(
        action_code=word,
        idempotency_key=None if action is None else action.idempotency_key,
        device_id=source.device_id,
        user_agent=(source.user_agent or client.user_agent or "")[:_LONGEST_USER_AGENT] or None,
        ip_address=source.ip_address or client.ip_address,
    )
    for values in ({**told, **(custom or {})}, custom):
        content = _encoded(msgspec.structs.replace(shown, custom=values or None))
        if len(content) <= _LONGEST:
            return content
    raise invalid_request("There is too much in custom for a device to show.")


def described(content: str, *, with_custom: bool) -> Json:
    """What `describe` wrote, as the dialect tells it; nothing, where the challenge was begun elsewhere.

    Args:
        content: Of the challenge.
        with_custom: Tell the data points of the application's own.
    """
    shown = _read(content)
    if shown is None:
        return {}
    return present(
        {
            "actionCode": shown.action_code,
            "idempotencyKey": shown.idempotency_key,
            "deviceId": shown.device_id,
            "userAgent": shown.user_agent,
            "ipAddress": shown.ip_address,
            "custom": shown.custom if with_custom else None,
        }
    )


def has_custom(content: str) -> bool:
    """Whether there are data points of the application's own."""
    shown = _read(content)
    return shown is not None and bool(shown.custom)


def _encoded(shown: _Shown) -> str:
    return msgspec.json.encode(shown).decode()


def _read(content: str) -> _Shown | None:
    try:
        return _SHOWN.decode(content)
    except (msgspec.MsgspecError, ValueError):
        return None
