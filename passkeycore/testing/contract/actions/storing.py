"""Rules for actions: stored once, changed only as they were read, and gone with their user."""

from datetime import timedelta
from typing import Protocol

import msgspec

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import ActionFilter, ActionHistory, ActionPage
from passkeycore.engine.actions.repository import AsyncActionRepository
from passkeycore.engine.repository import AsyncPasskeyRepository
from passkeycore.testing.contract.actions.samples import action, full_action, later, named
from passkeycore.testing.contract.harness import expect, rule
from passkeycore.testing.contract.samples import NOW, TEXT, realm, user


class AsyncActionsOfUsers(AsyncActionRepository, AsyncPasskeyRepository, Protocol):
    """Actions, and users who can be removed."""


class ActionRules:
    """Part of `ActionContract`."""

    @rule
    async def test_an_action_comes_back(self, repository: AsyncActionRepository) -> None:
        """An action comes back equal in every member, and the custom data point by point in type as well.

        It needs no user whom the engine knows.
        """
        of = realm()
        for kept in (action(of), full_action(of)):
            expect(await repository.add_action(kept, None), kept, "the new action")
            expect(await repository.find_action(*named(kept)), kept, "the action")
            page = await repository.list_actions(of, ActionFilter(user_id=kept.user_id), NOW, None, 2)
            expect(page, ActionPage(actions=(kept,)), "the page")

    @rule
    async def test_an_unknown_action_is_none(self, repository: AsyncActionRepository) -> None:
        """An action that nobody added gives None, and cannot be written over."""
        none = action(realm())
        expect(await repository.find_action(*named(none)), None)
        expect(await repository.replace_action(later(none), None), False)
        expect(await repository.find_action(*named(none)), None, "the action afterwards")

    @rule
    async def test_an_action_is_stored_once(self, repository: AsyncActionRepository) -> None:
        """The first call stores the action; later ones change nothing and give the stored one, as it is by then."""
        of = realm()
        for first in (action(of), full_action(of)):
            other = msgspec.structs.replace(
                full_action(of),
                user_id=first.user_id,
                action=first.action,
                idempotency_key=first.idempotency_key,
                attempts=9,
                custom={"other": True},
            )
            expect(await repository.add_action(first, None), first, "the new action")
            expect(await repository.add_action(other, None), first, "the stored action")
            expect(await repository.find_action(*named(first)), first, "the action")
            moved = later(first, state=ActionState.CHALLENGE_FAILED, attempts=5)
            expect(await repository.replace_action(moved, None), True)
            for again in (other, first):
                expect(await repository.add_action(again, None), moved, "the action as it is by then")
            expect(await repository.find_action(*named(first)), moved, "the action afterwards")

    @rule
    async def test_actions_that_look_alike_are_different(self, repository: AsyncActionRepository) -> None:
        """Realm, user, word and key name an action, each byte for byte over its whole length."""
        one = action(realm(), user_id="user-a", idempotency_key="key-a")
        long = "k" * 254
        kept = [
            one,
            *(msgspec.structs.replace(one, realm=of) for of in (one.realm.lower(), one.realm + " ", one.realm + "%")),
            *(msgspec.structs.replace(one, user_id=who) for who in ("user-A", "user-a ", "user-_", "us\xe9r", "u%")),
            *(msgspec.structs.replace(one, action=word) for word in ("Transfer", "transfer-", "t", "a" * 64, "a" * 63)),
            *(
                msgspec.structs.replace(one, idempotency_key=key)
                for key in (
                    *("key-A", "key-a ", " key-a", "key_a", "key%", "k", "0", "00", "0.0", "null", "'; --", "\\"),
                    *("e\u0301", "\xe9", "\u0430", "a", long, long + "a", long + "A", TEXT, "\U0001f511", "\U0001f510"),
                )
            ),
            # Where the parts are put together, with something between them or nothing, some of these are the same.
            *(
                msgspec.structs.replace(one, user_id=parts[0], action=parts[1], idempotency_key=parts[2])
                for mark in (":", "/", "|", " ", "\x1f", "")
                for parts in (("ada", "xy", f"z{mark}z"), (f"ada{mark}xy", "z", "z"), (f"ada{mark}x", "y", "zz"))
            ),
            *(
                msgspec.structs.replace(one, user_id=parts[0], action=parts[1], idempotency_key=parts[2])
                for parts in (("ada", "x", "yzz"), ("ad", "ax", "yzz"))
            ),
        ]
        for each in kept:
            expect(await repository.add_action(each, None), each, f"the action {named(each)!a}")
        for each in kept:
            expect(await repository.find_action(*named(each)), each, f"the action {named(each)!a}")
        expect(await repository.replace_action(later(one, attempts=1), None), True)
        for each in kept[1:]:
            expect(await repository.find_action(*named(each)), each, f"the action {named(each)!a}")

    @rule
    async def test_an_action_is_changed(self, repository: AsyncActionRepository) -> None:
        """Every member but the four that name it can be written over, also with None, and no other action changes."""
        of = realm()
        kept = action(of)
        full = full_action(of)
        others = [action(of, user_id=kept.user_id), action(of, idempotency_key=kept.idempotency_key)]
        for each in (kept, *others):
            await repository.add_action(each, None)
        free = [name for name in kept.__struct_fields__ if name not in ("revision", *_NAMES)]
        for source in (full, kept):
            kept = later(kept, **{name: getattr(source, name) for name in free})
            expect(await repository.replace_action(kept, None), True)
            expect(await repository.find_action(*named(kept)), kept, "the action")
        for each in others:
            expect(await repository.find_action(*named(each)), each, "another action")

    @rule
    async def test_an_action_is_changed_only_as_read(self, repository: AsyncActionRepository) -> None:
        """Where the stored revision is not one less, nothing is written."""
        kept = action(realm())
        await repository.add_action(kept, None)
        for _ in range(2):
            kept = later(kept)
            expect(await repository.replace_action(kept, None), True)
        for revision in (0, 1, 2, 4, 5):
            stale = msgspec.structs.replace(kept, revision=revision, state=ActionState.CHALLENGE_SUCCEEDED)
            expect(await repository.replace_action(stale, None), False, f"the answer to revision {revision} after 2")
            expect(await repository.find_action(*named(kept)), kept, "the action")
        elsewhere = later(kept, realm=realm())
        expect(await repository.replace_action(elsewhere, None), False, "the answer in another realm")
        expect(await repository.find_action(*named(elsewhere)), None, "the action in another realm")

    @rule
    async def test_a_user_goes_with_all_actions(self, repository: AsyncActionsOfUsers) -> None:
        """Removing a user removes their actions, nobody else's; who gets the same id afterwards has no history."""
        of, elsewhere = realm(), realm()
        owner = await repository.get_or_create_user(user(of))
        members = {"state": ActionState.CHALLENGE_SUCCEEDED, "device_id": "phone", "user_verified": True}
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
            history = await repository.action_history(of, owner.user_id, "phone", NOW - timedelta(days=1))
            expect(history, ActionHistory(), "the removed user's history")
        expect(await repository.replace_action(later(gone[0]), None), False, "the answer to a change of one")
        for each in others:
            expect(await repository.find_action(*named(each)), each, "an action of somebody else")
        page = await repository.list_actions(of, ActionFilter(), NOW, None, 9)
        expect(page, ActionPage(actions=tuple(reversed(others[:3]))), "the actions of the realm")
        fresh = action(of, user_id=owner.user_id, idempotency_key=gone[0].idempotency_key)
        expect(await repository.add_action(fresh, None), fresh, "the action with a key that is free again")


_NAMES = ("realm", "user_id", "action", "idempotency_key")
