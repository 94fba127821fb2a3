"""Rules for what takes actions away: their user goes, whom the engine may not know, or they are long over."""

from datetime import timedelta
from typing import Any, Final

import msgspec

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import ActionFilter, ActionHistory, ActionPage
from passkeycore.engine.actions.repository import AsyncActionRepository, AsyncActionsOfUsers
from passkeycore.testing.contract.actions.samples import action, later, named
from passkeycore.testing.contract.harness import expect, rule
from passkeycore.testing.contract.samples import NOW, realm, user

_DAY: Final = timedelta(days=1)
_INSTANT: Final = timedelta(microseconds=1)
_MET: Final[dict[str, Any]] = {
    "state": ActionState.CHALLENGE_SUCCEEDED,
    "authenticator_id": "key",
    "user_verified": True,
}


class ActionRemovalRules:
    """Part of `ActionContract`."""

    @rule
    async def test_a_user_goes_with_all_actions(self, repository: AsyncActionsOfUsers) -> None:
        """Removing a user removes their actions, nobody else's; who gets the same id afterwards has no history."""
        of, elsewhere = realm(), realm()
        owner = await repository.get_or_create_user(user(of))
        members = {"device_id": "phone", **_MET}
        gone = [action(of, user_id=owner.user_id, action=word, **members) for word in ("pay", "pay", "sign-in")]
        others = [
            *(action(of, user_id=who) for who in (owner.user_id.upper(), owner.user_id + " ", owner.user_id[:-1])),
            action(elsewhere, user_id=owner.user_id, idempotency_key=gone[0].idempotency_key),
        ]
        for each in (*gone, *others):
            await repository.add_action(each, None)
        expect(await repository.remove_user(of, owner.user_id, None), True)
        for again in (False, True):
            if again:
                await repository.get_or_create_user(user(of, user_id=owner.user_id))
            for each in gone:
                expect(await repository.find_action(*named(each)), None, "an action of the removed user")
            page = await repository.list_actions(of, ActionFilter(user_id=owner.user_id), NOW, None, 9)
            expect(page, ActionPage(actions=()), "the removed user's actions")
            history = await repository.action_history(of, owner.user_id, ("key",), "phone", NOW - _DAY, NOW + _DAY)
            expect(history, ActionHistory(), "the removed user's history")
        expect(await repository.replace_action(later(gone[0]), None), False, "the answer to a change of one")
        for each in others:
            expect(await repository.find_action(*named(each)), each, "an action of somebody else")
        page = await repository.list_actions(of, ActionFilter(), NOW, None, 9)
        expect(page, ActionPage(actions=tuple(reversed(others[:3]))), "the actions of the realm")
        fresh = action(of, user_id=owner.user_id, idempotency_key=gone[0].idempotency_key)
        expect(await repository.add_action(fresh, None), fresh, "the action with a key that is free again")

    @rule
    async def test_a_user_who_is_not_known_goes_with_all_actions(self, repository: AsyncActionsOfUsers) -> None:
        """Actions of somebody whom nothing else is kept of are removed all the same, and only they; then False."""
        of, who = realm(), user(realm()).user_id
        gone = [action(of, user_id=who, action=word) for word in ("pay", "pay", "sign-in")]
        others = [
            *(action(of, user_id=other) for other in (who.upper(), who + " ", who[:-1], "%")),
            action(realm(), user_id=who, idempotency_key=gone[0].idempotency_key),
        ]
        for each in (*gone, *others):
            await repository.add_action(each, None)
        for answer in (True, False):
            expect(await repository.remove_user(of, who, None), answer)
            for each in gone:
                expect(await repository.find_action(*named(each)), None, "an action of the removed user")
            page = await repository.list_actions(of, ActionFilter(user_id=who), NOW, None, 9)
            expect(page, ActionPage(actions=()), "the removed user's actions")
            for each in others:
                expect(await repository.find_action(*named(each)), each, "an action of somebody else")

    @rule
    async def test_actions_that_are_over_are_removed(self, repository: AsyncActionRepository) -> None:
        """Those of the realm that expire before then go and are counted, in whatever state; nothing else does."""
        of = realm()
        over = [
            action(of, user_id=who, state=state, expires_at=NOW - late)
            for who in ("ada", "eve")
            for state, late in zip(ActionState, (_INSTANT, _DAY, _INSTANT, 900 * _DAY) * 9, strict=False)
        ]
        shortened = action(of, user_id="ada", expires_at=NOW + _DAY)
        prolonged = action(of, user_id="ada", expires_at=NOW - _INSTANT)
        left = [
            *(action(of, user_id=who, state=state, expires_at=NOW) for who in ("ada", "joe") for state in ActionState),
            action(of.lower(), user_id="ada", expires_at=NOW - _DAY, idempotency_key=over[0].idempotency_key),
            action(of + " ", user_id="ada", expires_at=NOW - _DAY),
        ]
        for each in (*left[:4], *over, shortened, prolonged, *left[4:]):
            await repository.add_action(each, None)
        over.append(later(shortened, expires_at=NOW - _INSTANT))
        left.append(later(prolonged, expires_at=NOW))
        for each in (over[-1], left[-1]):
            expect(await repository.replace_action(each, None), True)
        expect(await repository.remove_actions(realm(), NOW), 0, "the number of an empty realm")
        expect(await repository.remove_actions(of, NOW), len(over), "the number of actions removed")
        expect(await repository.remove_actions(of, NOW), 0, "the number the second time")
        for each in over:
            expect(await repository.find_action(*named(each)), None, "an action that was over")
            expect(await repository.replace_action(later(each), None), False, "the answer to a change of it")
        for each in left:
            expect(await repository.find_action(*named(each)), each, "an action that was not over")

    @rule
    async def test_nothing_is_known_of_actions_that_were_removed(self, repository: AsyncActionRepository) -> None:
        """They are in no list and no history, and their names are free: whoever comes again gets a new action."""
        of = realm()
        failed = {"state": ActionState.CHALLENGE_FAILED, "attempts": 1, "last_failure_at": NOW}
        kept = [
            action(of, user_id="ada", device_id="phone", **_MET),
            action(of, user_id="ada", **failed),
        ]
        gone = [
            action(of, user_id="ada", device_id="tablet", expires_at=NOW, state_updated_at=NOW + _INSTANT, **_MET),
            action(of, user_id="ada", expires_at=NOW, **failed),
            action(of, user_id="ada", expires_at=NOW, attempts=1, last_failure_at=NOW),
            action(of, user_id="eve", device_id="tablet", expires_at=NOW, **_MET),
        ]
        for each in (gone[0], kept[0], *gone[1:], kept[1]):
            await repository.add_action(each, None)
        before = await repository.action_history(of, "ada", ("key",), "tablet", NOW, NOW)
        wanted = ActionHistory(recent_failures=3, device_known=True, user_verified_at=NOW + _INSTANT)
        expect(before, wanted, "the history before")
        expect(await repository.remove_actions(of, NOW + _INSTANT), len(gone), "the number of actions removed")
        left = ActionHistory(recent_failures=1, user_verified_at=NOW)
        for name, device_id, history in (
            *(("ada", "tablet", left), ("ada", "phone", msgspec.structs.replace(left, device_known=True))),
            ("eve", "tablet", ActionHistory()),
        ):
            seen = await repository.action_history(of, name, ("key",), device_id, NOW, NOW)
            expect(seen, history, f"the history of {name} with the {device_id}")
        for who, listed in ((None, tuple(reversed(kept))), ("ada", tuple(reversed(kept))), ("eve", ())):
            page = await repository.list_actions(of, ActionFilter(user_id=who), NOW, None, 9)
            expect(page, ActionPage(actions=listed), "the page")
        for each in gone:
            fresh = action(of, user_id=each.user_id, idempotency_key=each.idempotency_key)
            expect(await repository.add_action(fresh, None), fresh, "the action with a name that is free again")
            expect(await repository.find_action(*named(fresh)), fresh, "the new action")
