"""Rules for actions: stored once, and changed only as they were read."""

from datetime import timedelta
from typing import Final

import msgspec

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import ActionFilter, ActionPage
from passkeycore.engine.actions.repository import AsyncActionRepository
from passkeycore.testing.contract.actions.samples import WRITES, action, full_action, later, named
from passkeycore.testing.contract.harness import demand, expect, rule
from passkeycore.testing.contract.samples import NOW, TEXT, realm

_INSTANT: Final = timedelta(microseconds=1)
_NAMES: Final = ("realm", "user_id", "action", "idempotency_key")


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
        expect(await repository.record_failure(later(none), None), None, "the answer to a failure of it")
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
    async def test_a_new_action_is_answered_with_itself(self, repository: AsyncActionRepository) -> None:
        """Who stored the action gets the very object back, and nobody else does, however equal theirs is."""
        of = realm()
        for first in (action(of), full_action(of)):
            demand(await repository.add_action(first, None) is first, "the answer to a new action is another object")
            again = msgspec.structs.replace(first)
            answer = await repository.add_action(again, None)
            expect(answer, first, "the stored action")
            demand(answer is not again, "the answer to an action that is there is the object that was given")

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
        """Every member but its names and its beginning can be written over, also with None, and no other changes."""
        of = realm()
        kept = action(of)
        full = full_action(of)
        others = [action(of, user_id=kept.user_id), action(of, idempotency_key=kept.idempotency_key)]
        for each in (kept, *others):
            await repository.add_action(each, None)
        free = [name for name in kept.__struct_fields__ if name not in ("revision", "created_at", *_NAMES)]
        plain = kept
        for write in WRITES:
            for source in (full, plain):
                kept = later(kept, **{name: getattr(source, name) for name in free})
                expect(await write(repository, kept, None), True)
                expect(await repository.find_action(*named(kept)), kept, "the action")
        for each in others:
            expect(await repository.find_action(*named(each)), each, "another action")

    @rule
    async def test_an_action_is_changed_only_as_read(self, repository: AsyncActionRepository) -> None:
        """Where the stored revision is not one less, nothing is written."""
        kept = action(realm())
        await repository.add_action(kept, None)
        for write in WRITES:
            kept = later(kept)
            expect(await write(repository, kept, None), True)
        for write in WRITES:
            for revision in (0, 1, 2, 4, 5):
                stale = msgspec.structs.replace(kept, revision=revision, state=ActionState.CHALLENGE_SUCCEEDED)
                expect(await write(repository, stale, None), False, f"the answer to revision {revision} after 2")
                expect(await repository.find_action(*named(kept)), kept, "the action")
        elsewhere = later(kept, realm=realm())
        for write in WRITES:
            expect(await write(repository, elsewhere, None), False, "the answer in another realm")
        expect(await repository.find_action(*named(elsewhere)), None, "the action in another realm")

    @rule
    async def test_an_action_that_was_removed_and_came_again_is_another(
        self, repository: AsyncActionRepository
    ) -> None:
        """What was read of an action before is not written over one with its names that began at another moment."""
        of = realm()
        gone = action(of)
        again = msgspec.structs.replace(gone, created_at=NOW + _INSTANT)
        await repository.add_action(gone, None)
        expect(await repository.remove_actions(of, gone.expires_at + _INSTANT), 1, "the number of actions removed")
        await repository.add_action(again, None)
        for write in WRITES:
            for begun in (gone.created_at, again.created_at + _INSTANT):
                stale = later(again, created_at=begun, attempts=1)
                expect(await write(repository, stale, None), False, f"the answer about {begun.isoformat()}")
                expect(await repository.find_action(*named(again)), again, "the action")
            again = later(again)
            expect(await write(repository, again, None), True, "the answer about the one that is there")

    @rule
    async def test_a_failure_is_answered_with_what_is_stored(self, repository: AsyncActionRepository) -> None:
        """With the very object that was recorded; with the stored one where it was not, however equal; or with None."""
        of = realm()
        for kept in (action(of), full_action(of)):
            await repository.add_action(kept, None)
            first = later(kept, attempts=8)
            answer = await repository.record_failure(first, None)
            demand(answer is first, "the answer to a failure that was recorded is another object")
            for lost in (msgspec.structs.replace(first), later(kept), later(later(first)), kept):
                answer = await repository.record_failure(lost, None)
                expect(answer, first, "the answer to a failure that was not recorded")
                demand(answer is not lost, "the answer to a failure that was not recorded is the object that was given")
            moved = later(first, state=ActionState.CHALLENGE_SUCCEEDED)
            expect(await repository.replace_action(moved, None), True)
            expect(await repository.record_failure(later(kept), None), moved, "the answer as it is by then")
        expect(await repository.remove_actions(of, NOW + timedelta(days=2)), 2, "the number of actions removed")
        expect(await repository.record_failure(later(kept), None), None, "the answer when the action is gone")
