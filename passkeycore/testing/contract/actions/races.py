"""Rules for actions while many write at the same time."""

from functools import partial

import msgspec

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import ActionFilter
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
    async def test_one_of_many_changes_an_action(self, repository: AsyncActionRepository, together: Together) -> None:
        """Of many who read the same revision of an action, one writes; what stays is what that one wrote."""
        for _ in range(ROUNDS):
            kept = action(realm())
            await repository.add_action(kept, None)
            states = (ActionState.CHALLENGE_SUCCEEDED, ActionState.CHALLENGE_FAILED)
            versions = [later(kept, state=states[n % 2], attempts=n) for n in range(CALLERS)]
            won = expect_one(
                await together([partial(repository.replace_action, each, None) for each in versions]), True, False
            )
            expect(await repository.find_action(*named(kept)), versions[won], "the action")

    @race
    async def test_no_attempt_is_lost(self, repository: AsyncActionRepository, together: Together) -> None:
        """Writers who read again when they lost count every attempt once."""
        for _ in range(ROUNDS):
            kept = action(realm())
            await repository.add_action(kept, None)

            async def count(name: tuple[str, str, str, str] = named(kept)) -> bool:
                for _ in range(CALLERS + 1):  # each time that one loses, another has won
                    found = await repository.find_action(*name)
                    if found is None:
                        return False
                    if await repository.replace_action(later(found, attempts=found.attempts + 1), None):
                        return True
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
