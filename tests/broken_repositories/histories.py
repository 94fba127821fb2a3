"""Mistakes with what a user's actions say about the next one."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import Action, ActionHistory
from passkeycore.engine.records import Event
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.repositories.memory.past import Past
from tests.broken_repositories.actions import INSTANT, attempts_alone, failures

SumUp = Callable[[list[Action], Collection[str], str | None, datetime, datetime], ActionHistory]


class History(MemoryRepository):
    """Sums up in another way."""

    def __init__(self, sum_up: SumUp) -> None:
        super().__init__()
        self.sum_up = sum_up

    def action_history(
        self,
        realm: str,
        user_id: str,
        authenticator_ids: Collection[str],
        device_id: str | None,
        since: datetime,
        now: datetime,
        /,
    ) -> ActionHistory:
        actions = [one for _, one in self._actions.values() if (one.realm, one.user_id) == (realm, user_id)]
        return self.sum_up(actions, authenticator_ids, device_id, since, now)


FAILED, SUCCEEDED = ActionState.CHALLENGE_FAILED, ActionState.CHALLENGE_SUCCEEDED
REQUIRED = ActionState.CHALLENGE_REQUIRED


def within(at: datetime | None, since: datetime, now: datetime) -> bool:
    return at is not None and since <= at <= now


def history(
    *,
    failed: Callable[[Action, datetime, datetime], bool] = lambda one, since, now: within(one.failed_at, since, now),
    known: Callable[[Action, str | None, datetime], bool] = lambda one, device_id, _: (
        one.state is SUCCEEDED and device_id is not None and one.device_id == device_id
    ),
    verified: Callable[[Action], bool] = lambda one: one.state is SUCCEEDED and one.user_verified,
    at: Callable[[Action], datetime] = lambda one: one.state_updated_at,
    latest: Callable[[list[datetime]], datetime] = max,
    knows: Callable[[Action, Collection[str]], bool] = lambda one, asked: one.authenticator_id in asked,
    trusts: Callable[[Action, Collection[str]], bool] = lambda one, asked: one.authenticator_id in asked,
    counts: Callable[[Action, Collection[str]], bool] = lambda one, asked: True,
) -> Callable[[], MemoryRepository]:
    def sum_up(
        actions: list[Action], asked: Collection[str], device_id: str | None, since: datetime, now: datetime
    ) -> ActionHistory:
        times = [at(one) for one in actions if verified(one) and trusts(one, asked)]
        return ActionHistory(
            recent_failures=sum(failed(one, since, now) and counts(one, asked) for one in actions),
            device_known=any(known(one, device_id, since) and knows(one, asked) for one in actions),
            user_verified_at=latest(times) if times else None,
        )

    return lambda: History(sum_up)


class Accumulated(MemoryRepository):
    """Counts what comes, and takes nothing back."""

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        stored = self.find_action(action.realm, action.user_id, action.action, action.idempotency_key)
        if stored is None or not super().replace_action(action, event):
            return False
        self._pasts[action.realm, action.user_id].add(stored)
        return True


class Uncounted(MemoryRepository):
    """Counts what an action was when it came."""

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        past = self._pasts.get((action.realm, action.user_id))
        self._pasts[action.realm, action.user_id] = Past()
        replaced = past is not None and super().replace_action(action, event)
        if past is not None:
            self._pasts[action.realm, action.user_id] = past
        return replaced


class RealmlessHistory(MemoryRepository):
    def action_history(
        self,
        realm: str,
        user_id: str,
        authenticator_ids: Collection[str],
        device_id: str | None,
        since: datetime,
        now: datetime,
        /,
    ) -> ActionHistory:
        each = [
            super(RealmlessHistory, self).action_history(of, user_id, authenticator_ids, device_id, since, now)
            for of in {place[0] for place in self._actions}
        ]
        times = [one.user_verified_at for one in each if one.user_verified_at is not None]
        return ActionHistory(
            recent_failures=sum(one.recent_failures for one in each),
            device_known=any(one.device_known for one in each),
            user_verified_at=max(times, default=None),
        )


MISTAKES: list[tuple[str, Callable[[], object]]] = [
    *(
        ("the_history_counts_recent_failures", history(failed=failed))
        for failed in (
            lambda one, since, now: one.failed_at is not None,
            lambda one, since, now: within(one.failed_at, since + INSTANT, now),
            lambda one, since, now: within(one.failed_at, since, now - INSTANT),
            lambda one, since, now: within(one.failed_at, since, datetime.max.replace(tzinfo=UTC)),
            lambda one, since, now: one.failed_at is not None and within(one.created_at, since, now),
            lambda one, since, now: one.failed_at is not None and within(one.state_updated_at, since, now),
            lambda one, since, now: within(one.failed_at, since, now) or one.state is REQUIRED,
        )
    ),
    *(
        ("what_went_wrong_counts_when_it_did_unless_it_was_met_in_the_end", history(failed=failed))
        for failed in (
            lambda one, since, now: within(one.last_failure_at, since, now),
            lambda one, since, now: one.state is FAILED and within(one.state_updated_at, since, now),
            lambda one, since, now: one.attempts > 0 and within(one.failed_at, since, now),
            lambda one, since, now: one.state is FAILED and within(one.failed_at, since, now),
            lambda one, since, now: one.state is not ActionState.ALLOW and within(one.failed_at, since, now),
            lambda one, since, now: (
                within(one.failed_at, since, now) or (one.state is REQUIRED and within(one.expires_at, since, now))
            ),
            lambda one, since, now: one.state in (REQUIRED, FAILED) and within(one.failed_at, since, now),
            lambda one, since, now: (
                within(one.failed_at, since, now) and (one.state is FAILED or now >= one.expires_at)
            ),
            lambda one, since, now: (
                within(one.failed_at, since, now) or (one.attempts > 0 and within(one.state_updated_at, since, now))
            ),
        )
    ),
    (
        "what_went_wrong_counts_when_it_did_unless_it_was_met_in_the_end",
        history(counts=lambda one, asked: one.authenticator_id in asked),
    ),
    *(
        ("only_what_is_asked_for_has_earned_trust", broken)
        for judge in (
            lambda one, asked: True,
            lambda one, asked: not asked or one.authenticator_id in asked,
            lambda one, asked: one.authenticator_id in (None, *asked),
            lambda one, asked: one.authenticator_id in list(asked)[:1],
            lambda one, asked: str(one.authenticator_id).lower() in map(str.lower, asked),
            lambda one, asked: str(one.authenticator_id) in map(str.rstrip, asked),
            lambda one, asked: str(one.authenticator_id) in (*asked,),
            lambda one, asked: one.authenticator_id in list(asked)[:32],
        )
        for broken in (history(knows=judge), history(trusts=judge))
    ),
    ("the_history_counts_recent_failures", RealmlessHistory),
    ("the_history_knows_devices", RealmlessHistory),
    ("the_history_knows_devices", history(known=lambda one, device_id, _: one.device_id == device_id)),
    (
        "the_history_knows_devices",
        history(known=lambda one, device_id, _: one.state is SUCCEEDED and one.device_id == device_id),
    ),
    (
        "the_history_knows_devices",
        history(
            known=lambda one, device_id, since: (
                one.state is SUCCEEDED
                and device_id is not None
                and one.device_id == device_id
                and one.state_updated_at >= since
            )
        ),
    ),
    ("the_history_knows_the_last_user_verification", history(verified=lambda one: one.state is SUCCEEDED)),
    ("the_history_knows_the_last_user_verification", history(verified=lambda one: one.user_verified)),
    ("the_history_knows_the_last_user_verification", history(latest=lambda times: times[-1])),
    ("the_history_knows_the_last_user_verification", history(at=lambda one: one.created_at)),
    ("the_history_knows_the_last_user_verification", RealmlessHistory),
    ("the_history_follows_every_change", Accumulated),
    ("the_history_follows_every_change", Uncounted),
    ("the_history_follows_every_change", failures(attempts_alone)),
]
"""The rule that finds it, and the repository."""
