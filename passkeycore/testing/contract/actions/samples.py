"""What the contract stores of actions, with members that storages get wrong."""

from datetime import timedelta
from secrets import token_hex
from typing import Any, Final

import msgspec

from passkeycore.actions.facts import CustomValue
from passkeycore.actions.states import METHODS, ActionState
from passkeycore.engine.actions.records import Action
from passkeycore.testing.contract.samples import LIFETIME, NOW, TEXT

_CUSTOM: Final[dict[str, CustomValue]] = {
    "yes": True,
    "no": False,
    "one": 1,
    "zero": 0,
    "one point": 1.0,
    "text": "1",
    "true": "true",
    "large": 2**53 + 1,
    "low": -(2**63),
    "tenth": 0.1,
    "huge": 1e300,
    "tiny": 5e-324,
    "": "",
    TEXT: TEXT,
}
"""True, 1 and 1.0 are equal in Python, and the same in many a storage."""


def action(of: str, **changes: Any) -> Action:
    """A new action in this realm, of a user whom nobody knows, that waits for its challenge."""
    members: dict[str, Any] = {
        "user_id": f"user-{token_hex(8)}",
        "action": "transfer",
        "idempotency_key": token_hex(16),
        "state": ActionState.CHALLENGE_REQUIRED,
        "allowed_methods": METHODS,
        "created_at": NOW,
        "expires_at": NOW + LIFETIME,
        "state_updated_at": NOW,
        "realm": of,
    }
    return Action(**(members | changes))


def full_action(of: str) -> Action:
    """An action with every member set, as large as they get."""
    return action(
        of,
        user_id=TEXT + token_hex(8) + " ",
        action="Aa0_-" * 12 + "Zz9-",
        idempotency_key=(TEXT * 10)[:222] + token_hex(16) + " ",
        state=ActionState.CHALLENGE_SUCCEEDED,
        allowed_methods=("qr-code", "passkey"),
        scope=("add:authenticators", TEXT),
        rule_ids=(TEXT, "second", "first"),
        ip_address="2001:db8::ffff:192.0.2.1",
        user_agent=TEXT * 30,
        device_id=TEXT,
        custom=_CUSTOM,
        redirect_url="https://example.org/" + "a" * 2000 + "?q=%20'",
        created_at=NOW - timedelta(microseconds=1),
        expires_at=NOW + timedelta(days=1, microseconds=1),
        state_updated_at=NOW + timedelta(microseconds=2),
        attempts=3,
        method="in-app",
        authenticator_id=TEXT[:32],
        user_verified=True,
        consumed_at=NOW + timedelta(seconds=1, microseconds=-1),
    )


def later(one: Action, **changes: Any) -> Action:
    """`one`, changed once more."""
    return msgspec.structs.replace(one, revision=one.revision + 1, **changes)


def named(one: Action) -> tuple[str, str, str, str]:
    """What names an action: its realm, user, word and idempotency key."""
    return one.realm, one.user_id, one.action, one.idempotency_key
