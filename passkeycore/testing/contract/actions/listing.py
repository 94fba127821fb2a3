"""Rules for looking back on actions: in pages, filtered, and summed up for rules."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import Action, ActionFilter, ActionHistory, ActionPage
from passkeycore.engine.actions.repository import AsyncActionRepository
from passkeycore.errors import Code, DecodeError
from passkeycore.testing.contract.actions.samples import WRITES, action, later
from passkeycore.testing.contract.harness import ContractError, expect, rule
from passkeycore.testing.contract.samples import NOW, TEXT, realm

_ALL: Final = ActionFilter()
_SECOND: Final = timedelta(seconds=1)
_INSTANT: Final = timedelta(microseconds=1)
_REQUIRED, _SUCCEEDED, _FAILED = (
    ActionState.CHALLENGE_REQUIRED,
    ActionState.CHALLENGE_SUCCEEDED,
    ActionState.CHALLENGE_FAILED,
)
_KEYS: Final = ("key", "other")
_MET: Final[dict[str, Any]] = {"state": _SUCCEEDED, "authenticator_id": "key"}


class ActionListingRules:
    """Part of `ActionContract`."""

    @rule
    async def test_the_last_action_comes_first(self, repository: AsyncActionRepository) -> None:
        """Actions are listed from the last stored to the first, whatever time they tell and however they changed."""
        of = realm()
        kept = [action(of, created_at=NOW + seconds * _SECOND) for seconds in (3, 1, 2, 2, -5)]
        for each in kept:
            await repository.add_action(each, None)
        kept[1] = later(kept[1], state_updated_at=NOW + timedelta(days=1))
        expect(await repository.replace_action(kept[1], None), True)
        await repository.add_action(kept[0], None)
        page = await repository.list_actions(of, _ALL, NOW, None, 9)
        expect(page, ActionPage(actions=tuple(reversed(kept))), "the page")

    @rule
    async def test_pages_hold_each_action_once(self, repository: AsyncActionRepository) -> None:
        """Pages of any size hold every action once, also those of a filter, while others are stored and changed."""
        of = realm()
        kept = [action(of, user_id=("ada", "eve")[number % 2]) for number in range(8)]
        for each in kept:
            await repository.add_action(each, None)
        for which in (_ALL, ActionFilter(user_id="ada"), ActionFilter(states=(_REQUIRED,), actions=("transfer",))):
            for limit in (1, 2, 3, 4, 7, 8, 9):
                wanted = [each for each in reversed(kept) if which.user_id in (None, each.user_id)]
                seen: list[Action] = []
                cursor: str | None = None
                while True:
                    page = await repository.list_actions(of, which, NOW, cursor, limit)
                    left = len(wanted) - len(seen)
                    expect(len(page.actions), min(left, limit), f"the number of actions where {left} are left")
                    seen, cursor = [*seen, *page.actions], page.next_cursor
                    expect(cursor is None, left <= limit, f"whether it ends where {left} are left and {limit} asked")
                    if cursor is None:
                        break
                    if len(seen) == limit:  # once, newer than everything that is on a page to come
                        late = action(of, user_id="ada")
                        await repository.add_action(late, None)
                        kept.append(late)
                    at = len(wanted) - 1
                    before, wanted[at] = wanted[at], later(wanted[at])
                    expect(await repository.replace_action(wanted[at], None), True)
                    kept[kept.index(before)] = wanted[at]
                expect(tuple(seen), tuple(wanted), f"the actions in pages of {limit}")

    @rule
    async def test_actions_are_filtered(self, repository: AsyncActionRepository) -> None:
        """A filter keeps the actions that meet all its members; `since` is included and `until` is not."""
        of = realm()
        kept = [
            action(of, state=state, user_id=user_id, action=word, created_at=NOW + seconds * _SECOND)
            for seconds, state in enumerate((_SUCCEEDED, ActionState.ALLOW, ActionState.BLOCK))
            for user_id in ("ada", "Ada", "ada ", "a%", TEXT)
            for word in ("pay", "Pay", "p_y")
        ]
        for each in kept:
            await repository.add_action(each, None)
        for which in (
            _ALL,
            ActionFilter(user_id="ada"),
            ActionFilter(user_id="a%"),
            ActionFilter(user_id=TEXT),
            ActionFilter(user_id="' OR 1=1 --"),
            ActionFilter(actions=()),
            ActionFilter(actions=("pay",)),
            ActionFilter(actions=("p_y", "Pay", "none")),
            ActionFilter(states=()),
            ActionFilter(states=(ActionState.ALLOW,)),
            ActionFilter(states=(ActionState.BLOCK, _SUCCEEDED, _FAILED)),
            ActionFilter(since=NOW + _SECOND),
            ActionFilter(since=NOW + _SECOND + _INSTANT),
            ActionFilter(until=NOW + _SECOND),
            ActionFilter(until=NOW + _SECOND + _INSTANT),
            ActionFilter(
                user_id="Ada",
                actions=("pay",),
                states=(ActionState.ALLOW, _SUCCEEDED),
                since=NOW + _SECOND,
                until=NOW + 2 * _SECOND,
            ),
        ):
            wanted = tuple(each for each in reversed(kept) if _meets(each, which))
            page = await repository.list_actions(of, which, NOW, None, 100)
            expect(page, ActionPage(actions=wanted), f"the page of {which}")
        expect(await repository.list_actions(realm(), _ALL, NOW, None, 9), ActionPage(actions=()), "another realm")

    @rule
    async def test_a_challenge_that_is_late_counts_as_failed(self, repository: AsyncActionRepository) -> None:
        """From `expires_at` on CHALLENGE_REQUIRED is found as CHALLENGE_FAILED, and given as it is stored."""
        of = realm()
        over, open_ = action(of, expires_at=NOW), action(of, expires_at=NOW + _INSTANT)
        failed, passed = action(of, state=_FAILED), action(of, state=_SUCCEEDED, expires_at=NOW)
        review = action(of, state=ActionState.REVIEW_REQUIRED, expires_at=NOW)
        kept = (over, open_, failed, passed, review)
        for each in kept:
            await repository.add_action(each, None)
        cases: tuple[tuple[tuple[ActionState, ...] | None, tuple[Action, ...]], ...] = (
            (None, kept),
            ((_REQUIRED,), (open_,)),
            ((_FAILED,), (over, failed)),
            ((_REQUIRED, _FAILED), (over, open_, failed)),
            ((_SUCCEEDED,), (passed,)),
            ((_SUCCEEDED, _REQUIRED), (open_, passed)),
            ((ActionState.REVIEW_REQUIRED, _FAILED), (over, failed, review)),
        )
        for states, wanted in cases:
            for limit in (1, 9):
                page = await repository.list_actions(of, ActionFilter(states=states), NOW, None, limit)
                expect(page.actions, wanted[::-1][:limit], f"the actions in {states}")
        page = await repository.list_actions(of, ActionFilter(states=(_FAILED,)), NOW + _INSTANT, None, 9)
        expect(page, ActionPage(actions=(failed, open_, over)), "the page of those that failed a moment later")

    @rule
    async def test_no_cursor_of_actions_is_a_decode_error(self, repository: AsyncActionRepository) -> None:
        """What is no cursor of this repository's is a `DecodeError` with the code `cursor_invalid`."""
        of = realm()
        await repository.add_action(action(of), None)
        for cursor in ("", "no cursor", "'", "\u0661", "9" * 100, "9" * 10_000, "-", "1 OR 1=1", "\x00", "\ud800"):
            try:
                await repository.list_actions(of, _ALL, NOW, cursor, 1)
            except DecodeError as error:
                expect(error.code, Code.CURSOR_INVALID, f"the code for {cursor[:20]!a}")
            else:
                raise ContractError(f"{cursor[:20]!a} was taken for a cursor")

    @rule
    async def test_the_history_counts_recent_failures(self, repository: AsyncActionRepository) -> None:
        """Of this user alone, what failed from `since` to `now`; both are included."""
        of, never = realm(), NOW + timedelta(days=9)
        kept = [
            *(action(of, user_id="ada", state=_FAILED, last_failure_at=NOW + late * _SECOND) for late in (-1, 0, 1, 9)),
            *(action(of, user_id="ada", state=state) for state in ActionState),
            action(of, user_id="ada", state=_FAILED, last_failure_at=never),
            *(action(of, user_id=who, state=_FAILED, last_failure_at=NOW) for who in ("Ada", "ada ", "%")),
            action(realm(), user_id="ada", state=_FAILED, last_failure_at=NOW),
        ]
        for each in kept:
            await repository.add_action(each, None)
        last = NOW + 9 * _SECOND
        for since, now, count in (
            *((NOW, last, 3), (NOW + _INSTANT, last, 2), (NOW - _SECOND, last, 4)),
            *((NOW - _SECOND + _INSTANT, last, 3), (last, last, 1), (last + _INSTANT, last + _SECOND, 0)),
            *((NOW, last - _INSTANT, 2), (NOW, NOW + _SECOND, 2), (NOW, NOW + _SECOND - _INSTANT, 1), (NOW, NOW, 1)),
            *((NOW - _SECOND, NOW - _INSTANT, 1), (NOW + _INSTANT, NOW + 2 * _INSTANT, 0), (last, NOW, 0)),
        ):
            history = await repository.action_history(of, "ada", (), None, since, now)
            wanted = ActionHistory(recent_failures=count)
            expect(history, wanted, f"the history from {since.isoformat()} to {now.isoformat()}")
        history = await repository.action_history(of, "nobody", _KEYS, "phone", NOW, last)
        expect(history, ActionHistory(), "the history of nobody")

    @rule
    async def test_what_went_wrong_counts_when_it_did_unless_it_was_met_in_the_end(
        self, repository: AsyncActionRepository
    ) -> None:
        """An action counts at its `last_failure_at`, open or not, and whoever's authenticator it was; never once met.

        One that nobody tried to meet before it lapsed does not count, whether it is stored as CHALLENGE_FAILED or not.
        """
        of, tried, over = realm(), NOW + _SECOND, NOW + 3 * _SECOND
        once: dict[str, Any] = {"attempts": 1, "last_failure_at": tried}
        cases: tuple[tuple[dict[str, Any], bool], ...] = (
            *(({"state": state, **once}, state is not _SUCCEEDED) for state in ActionState),
            *(({"state": state, "attempts": 3}, False) for state in ActionState),
            *(({"state": state, "expires_at": tried, "state_updated_at": tried}, False) for state in ActionState),
            # Tried in vain, and then late; or the last attempt; or rejected at once.
            ({"expires_at": over, **once}, True),
            ({"state": _FAILED, "expires_at": over, "state_updated_at": over, **once}, True),
            ({"state": _FAILED, "state_updated_at": tried, **once, "attempts": 3}, True),
            ({"state": _FAILED, "state_updated_at": tried, "last_failure_at": tried}, True),
            ({"state": _SUCCEEDED, "state_updated_at": over, "authenticator_id": "key", **once}, False),
        )
        for changes, counts in cases:
            each = action(of, **changes)
            await repository.add_action(each, None)
            for asked in ((), _KEYS):
                for since, now in ((NOW, over), *_around(tried)):
                    history = await repository.action_history(of, each.user_id, asked, None, since, now)
                    wanted = int(counts and since <= tried <= now)
                    expect(history.recent_failures, wanted, f"the failures of {changes}, {since} to {now}")

    @rule
    async def test_the_history_knows_devices(self, repository: AsyncActionRepository) -> None:
        """A device is known once the user met a challenge with it, whenever that was; no device is never known."""
        of = realm()
        long_ago = {"created_at": NOW - timedelta(days=900), "state_updated_at": NOW - timedelta(days=900)}
        kept = [
            action(of, user_id="ada", device_id="phone", **_MET, **long_ago),
            action(of, user_id="ada", device_id=None, **_MET),
            *(action(of, user_id="ada", device_id=state, **(_MET | {"state": state})) for state in ActionState),
            action(of, user_id="eve", device_id="tablet", **_MET),
            action(realm(), user_id="ada", device_id="tablet", **_MET),
            action(of, user_id="ada", device_id=TEXT, **_MET),
        ]
        for each in kept:
            await repository.add_action(each, None)
        for device_id, known in (
            *(("phone", True), (TEXT, True), (_SUCCEEDED.value, True), (None, False), ("", False), ("None", False)),
            *((other, False) for other in ("tablet", "Phone", "phone ", "phon", "%", "ph_ne")),
            *((state.value, False) for state in ActionState if state is not _SUCCEEDED),
        ):
            history = await repository.action_history(of, "ada", _KEYS, device_id, NOW, NOW)
            expect(history.device_known, known, f"whether {device_id!a} is known")

    @rule
    async def test_the_history_knows_the_last_user_verification(self, repository: AsyncActionRepository) -> None:
        """The latest of those that are CHALLENGE_SUCCEEDED with user verification; None where there is none."""
        of = realm()
        verified = {"user_verified": True, **_MET}
        soon, late = NOW - timedelta(days=90), NOW + timedelta(microseconds=1)
        history = await repository.action_history(of, "ada", _KEYS, None, NOW, NOW)
        expect(history, ActionHistory(), "the history of nobody")
        for each, wanted in (
            (action(of, user_id="ada", **_MET), None),
            (action(of, user_id="ada", **(verified | {"state": ActionState.ALLOW})), None),
            (action(of, user_id="eve", **verified), None),
            (action(realm(), user_id="ada", **verified), None),
            (action(of, user_id="ada", state_updated_at=soon, **verified), soon),
            (action(of, user_id="ada", state_updated_at=late, **verified), late),
            (action(of, user_id="ada", state_updated_at=NOW, **verified), late),
            (action(of, user_id="ada", state_updated_at=NOW + _SECOND, **_MET), late),
            (action(of, user_id="ada", created_at=NOW + timedelta(days=1), state_updated_at=soon, **verified), late),
        ):
            await repository.add_action(each, None)
            history = await repository.action_history(of, "ada", _KEYS, None, NOW, NOW)
            expect(history, ActionHistory(user_verified_at=wanted), "the history")

    @rule
    async def test_only_what_is_asked_for_has_earned_trust(self, repository: AsyncActionRepository) -> None:
        """Devices and user verification count for successes by one of `authenticator_ids`, any collection of them.

        None of them: nothing is trusted. Nor is a success of which nobody knows the authenticator.
        """
        of, met = realm(), {"state": _SUCCEEDED, "user_verified": True}
        late = NOW + _SECOND
        for each in (
            action(of, user_id="ada", device_id="phone", authenticator_id="key", **met),
            action(of, user_id="ada", device_id="tablet", authenticator_id=TEXT[:32], state_updated_at=late, **met),
            action(of, user_id="ada", device_id="phone", authenticator_id="gone", state_updated_at=late, **met),
            action(of, user_id="ada", device_id="watch", authenticator_id="unverified", state=_SUCCEEDED),
            action(of, user_id="ada", device_id="laptop", state_updated_at=late, **met),
            action(of, user_id="eve", device_id="laptop", authenticator_id="hers", **met),
        ):
            await repository.add_action(each, None)
        many = [f"key-{number}" for number in range(40)]
        cases: tuple[tuple[Collection[str], set[str], datetime | None], ...] = (
            ((), set(), None),
            (("key",), {"phone"}, NOW),
            (["gone"], {"phone"}, late),
            ({"unverified"}, {"watch"}, None),
            (frozenset({TEXT[:32], "key"}), {"phone", "tablet"}, late),
            ({"unverified": 1, "key": 2}.keys(), {"phone", "watch"}, NOW),
            ([*many, "key", "key"], {"phone"}, NOW),
            (many, set(), None),
            *(((other,), set[str](), None) for other in ("Key", "key ", "ke", "k%", "k_y", "None", "", "hers")),
        )
        for asked, known, verified_at in cases:
            for device_id in ("phone", "tablet", "watch", "laptop", None):
                history = await repository.action_history(of, "ada", asked, device_id, NOW, NOW)
                wanted = ActionHistory(device_known=device_id in known, user_verified_at=verified_at)
                expect(history, wanted, f"the history of {list(asked)[-3:]} with {device_id}")

    @rule
    async def test_the_history_follows_every_change(self, repository: AsyncActionRepository) -> None:
        """What is written over counts as what it is then, and no more as what it was."""
        met = {"user_verified": True, "state_updated_at": NOW + _SECOND, **_MET}
        failed, trusted = ActionHistory(recent_failures=1), ActionHistory(device_known=True, user_verified_at=NOW)
        steps: tuple[tuple[dict[str, Any], ActionHistory], ...] = (
            ({"last_failure_at": NOW}, failed),
            ({"last_failure_at": NOW - _INSTANT}, ActionHistory()),
            ({"state": _FAILED, "last_failure_at": NOW + _SECOND}, failed),
            (met, ActionHistory(device_known=True, user_verified_at=NOW + _SECOND)),
            ({"state_updated_at": NOW}, trusted),
            ({"authenticator_id": "gone"}, ActionHistory()),
            ({"authenticator_id": "other"}, trusted),
            ({"authenticator_id": None}, ActionHistory()),
            ({"authenticator_id": "key"}, trusted),
            ({"user_verified": False}, ActionHistory(device_known=True)),
            ({"device_id": "other"}, ActionHistory()),
            ({"device_id": "phone", "user_verified": True}, trusted),
            ({"state": ActionState.REVIEW_FAILED}, failed),
            ({"last_failure_at": None}, ActionHistory()),
            ({"state": _REQUIRED, "last_failure_at": NOW, "expires_at": NOW + _SECOND}, failed),
            ({"last_failure_at": NOW + 2 * _SECOND}, ActionHistory()),
        )
        for write in WRITES:
            of = realm()
            kept, untouched = (action(of, user_id="ada", device_id=name) for name in ("phone", "tablet"))
            for each in (kept, untouched):
                await repository.add_action(each, None)
            for changes, wanted in steps:
                kept = later(kept, **changes)
                expect(await write(repository, kept, None), True)
                history = await repository.action_history(of, "ada", _KEYS, "phone", NOW, NOW + _SECOND)
                expect(history, wanted, f"the history after {changes}")


def _around(at: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """Times that just include `at`, and times that just do not."""
    return (at, at), (at + _INSTANT, at + _SECOND), (at - _SECOND, at - _INSTANT)


def _meets(each: Action, which: ActionFilter) -> bool:
    return (
        which.user_id in (None, each.user_id)
        and (which.actions is None or each.action in which.actions)
        and (which.states is None or each.state in which.states)
        and (which.since is None or which.since <= each.created_at)
        and (which.until is None or each.created_at < which.until)
    )
