"""What the contract stores of actions, with members that storages get wrong."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from secrets import token_hex
from typing import Any, Final, TypeAlias

import msgspec

from passkeycore.actions.facts import CustomValue
from passkeycore.actions.states import METHODS, ActionState
from passkeycore.engine.actions.records import Action
from passkeycore.engine.actions.repository import AsyncActionRepository
from passkeycore.engine.records import Event
from passkeycore.testing.contract.harness import expect
from passkeycore.testing.contract.samples import LIFETIME, NOW, TEXT

Write: TypeAlias = Callable[[AsyncActionRepository, Action, Event | None], Coroutine[Any, Any, object]]
"""Writes over an action, and says whether it was written: True or False."""

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
    """A new action with every member set that a storage could lose, as large as they get."""
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
        last_failure_at=NOW + timedelta(microseconds=1),
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


async def replaced(repository: AsyncActionRepository, one: Action, event: Event | None) -> object:
    """Whether `one` was written, as `replace_action` answers."""
    return await repository.replace_action(one, event)


async def failed(repository: AsyncActionRepository, one: Action, event: Event | None) -> object:
    """Whether `one`, an object that was not stored before, was written by `record_failure`.

    Raises:
        ContractError: It was not, and the answer is not the action that is stored instead, or None for none.
    """
    answer = await repository.record_failure(one, event)
    if answer is one:
        return True
    expect(answer, await repository.find_action(*named(one)), "the answer to a failure that is not recorded")
    return False


WRITES: Final[tuple[Write, ...]] = (replaced, failed)
"""Both ways to write over an action."""
