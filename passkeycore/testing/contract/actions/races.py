"""Rules for actions while many write at the same time."""

from functools import partial

import msgspec

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import Action, ActionFilter
from passkeycore.engine.actions.repository import AsyncActionRepository
from passkeycore.testing.contract.actions.samples import action, later, named
from passkeycore.testing.contract.harness import Together, expect, expect_one, race
from passkeycore.testing.contract.samples import CALLERS, NOW, ROUNDS, realm


class ActionRaces:
    """Part of `ActionContract`."""

    @race
    async def test_one_of_many_creates_the_action(self, repository: AsyncActionRepository, together: Together) -> None:
        """Of any number of callers who add one action, one does, and all get that one's."""
        for _ in range(ROUNDS):
            one = action(realm())
            actions = [
                action(one.realm, user_id=one.user_id, idempotency_key=one.idempotency_key, attempts=number)
                for number in range(CALLERS)
            ]
            answers = await together([partial(repository.add_action, each, None) for each in actions])
            for answer in answers:
                expect(answer, answers[0], "the action that another caller got")
            expect(answers[0] in actions, True, "that it is the action of one of them")
            expect(await repository.find_action(*named(one)), answers[0], "the action")

    @race
    async def test_one_of_many_equal_actions_is_new(
        self, repository: AsyncActionRepository, together: Together
    ) -> None:
        """Of any number of callers who add equal actions, one gets its own object back: it is the one who stored it."""
        for _ in range(ROUNDS):
            one = action(realm())
            actions = [msgspec.structs.replace(one) for _ in range(CALLERS)]
            answers = await together([partial(repository.add_action, each, None) for each in actions])
            own = [answer is each for answer, each in zip(answers, actions, strict=True)]
            expect_one(own, True, False)
            for answer in answers:
                expect(answer, one, "the action")

    @race
    async def test_one_of_many_changes_an_action(self, repository: AsyncActionRepository, together: Together) -> None:
        """Of many who read the same revision of an action, one writes; what stays is what that one wrote."""
        for _ in range(ROUNDS):
            kept = action(realm())
            await repository.add_action(kept, None)
            states = (ActionState.CHALLENGE_SUCCEEDED, ActionState.CHALLENGE_FAILED)
            versions = [later(kept, state=states[n % 2], attempts=n) for n in range(CALLERS)]
            others: list[Action | None] = []

            async def fail(one: Action, others: list[Action | None] = others) -> bool:
                answer = await repository.record_failure(one, None)
                if answer is not one:
                    others.append(answer)
                return answer is one

            async def replace(one: Action) -> bool:
                return await repository.replace_action(one, None)

            calls = [partial((replace, fail)[n // 2 % 2], each) for n, each in enumerate(versions)]
            won = expect_one(await together(calls), True, False)
            expect(await repository.find_action(*named(kept)), versions[won], "the action")
            for other in others:
                expect(other, versions[won], "the answer to somebody who lost")

    @race
    async def test_no_attempt_is_lost(self, repository: AsyncActionRepository, together: Together) -> None:
        """Whoever loses goes on from the answer, and every failure is counted once."""
        for _ in range(ROUNDS):
            kept = action(realm())
            await repository.add_action(kept, None)

            async def count(found: Action = kept) -> bool:
                for _ in range(CALLERS):  # each time that one loses, another has won
                    counted = later(found, attempts=found.attempts + 1)
                    answer = await repository.record_failure(counted, None)
                    if answer is None or answer is counted:
                        return answer is counted
                    found = answer
                return False

            expect(await together([count] * CALLERS), [True] * CALLERS, "the answers")
            found = await repository.find_action(*named(kept))
            expect(found, msgspec.structs.replace(kept, attempts=CALLERS, revision=CALLERS), "the action")

    @race
    async def test_no_action_is_lost(self, repository: AsyncActionRepository, together: Together) -> None:
        """Actions that many store at the same time are all there, each once, page by page."""
        of = realm()
        kept = [action(of, user_id=f"user-{number % 3}") for number in range(CALLERS * 2)]
        await together([partial(repository.add_action, each, None) for each in kept])
        seen: list[str] = []
        cursor: str | None = None
        for _ in kept:  # a cursor that stands still would go on for ever
            page = await repository.list_actions(of, ActionFilter(), NOW, cursor, 5)
            seen.extend(each.idempotency_key for each in page.actions)
            cursor = page.next_cursor
            if cursor is None:
                break
        expect(sorted(seen), sorted(each.idempotency_key for each in kept), "the keys of the actions")
