"""Rules for a store of events: with the change or not at all, in pages, filtered, and counted."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_bytes
from typing import Any, Final, Protocol

from passkeycore.engine.records import Event, EventCount, EventFilter, EventPage, EventType
from passkeycore.engine.repository import AsyncEventRepository, AsyncPasskeyRepository
from passkeycore.errors import Code, DecodeError
from passkeycore.testing.contract.harness import ContractError, Together, demand, expect, race, rule
from passkeycore.testing.contract.samples import CALLERS, NOW, TEXT, event, passkey, realm, update, user

_ALL: Final = EventFilter()
_SECOND: Final = timedelta(seconds=1)


class AsyncRecordingRepository(AsyncPasskeyRepository, AsyncEventRepository, Protocol):
    """Passkeys, and events in the same transactions."""


class EventContract:
    """What an `EventRepository` must do that is a `PasskeyRepository`, too, synchronous or asynchronous."""

    @rule
    async def test_an_event_comes_back(self, repository: AsyncEventRepository) -> None:
        """An event comes back equal in every member, also when most are None."""
        of = realm()
        full = event(
            of,
            EventType.AUTHENTICATION_FAILED,
            at=NOW + timedelta(microseconds=1),
            user_id=TEXT,
            credential_id=token_bytes(1022) + b"\x00",
            code=Code.SIGNATURE_INVALID,
            details={"purpose": TEXT, "": "", TEXT: "a" * 1000},
        )
        for kept in (full, event(of)):
            await repository.add_event(kept)
            page = await repository.list_events(of, _ALL, None, 1)
            expect(page.events, (kept,), "the events")

    @rule
    async def test_every_change_stores_its_event(self, repository: AsyncRecordingRepository) -> None:
        """An event that is given with a change is there when the change is."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        new = user(of)
        kept, second, third = passkey(owner), passkey(new), passkey(owner)
        changes: list[Callable[[Event], Coroutine[Any, Any, object]]] = [
            lambda noted: repository.add_passkey(kept, 5, None, noted),
            lambda noted: repository.add_passkey(second, 5, new, noted),
            lambda noted: repository.advance_passkey(of, update(kept), NOW, noted),
            lambda noted: repository.rename_passkey(of, owner.user_id, kept.credential_id, "renamed", noted),
            lambda noted: repository.confirm_user_verification(of, owner.user_id, kept.credential_id, noted),
            lambda noted: repository.remove_passkey(of, owner.user_id, kept.credential_id, noted),
            lambda noted: repository.add_passkey(third, 5, None, noted),
            lambda noted: repository.remove_passkeys(of, owner.user_id, noted),
            lambda noted: repository.rename_user(of, owner.user_id, "renamed", "", noted),
            lambda noted: repository.set_user_disabled(of, owner.user_id, NOW, noted),
            lambda noted: repository.set_user_disabled(of, owner.user_id, None, noted),
            lambda noted: repository.remove_user(of, owner.user_id, noted),
        ]
        stored: list[Event] = []
        for number, change in enumerate(changes):
            noted = event(of, user_id=owner.user_id, credential_id=kept.credential_id, details={"change": str(number)})
            answer = await change(noted)
            demand(answer in (True, 1, "added"), f"the answer to change {number} is {answer!r}")
            stored.insert(0, noted)
            page = await repository.list_events(of, _ALL, None, 100)
            expect(page.events, tuple(stored), f"the events after change {number}")

    @rule
    async def test_where_nothing_changes_no_event_is_stored(self, repository: AsyncRecordingRepository) -> None:
        """An event that is given with a change that is refused is not stored."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        disabled = await repository.get_or_create_user(user(of, disabled_at=NOW))
        kept, elsewhere, nobody = passkey(owner), realm(), user(of)
        await repository.add_passkey(kept, 5, None, None)
        mine, other = owner.user_id, disabled.user_id
        noted = event(of, user_id=mine)
        refused: list[Callable[[], Coroutine[Any, Any, object]]] = [
            partial(repository.add_passkey, kept, 5, None, noted),
            partial(repository.add_passkey, passkey(owner), 1, None, noted),
            partial(repository.add_passkey, passkey(nobody), 5, None, noted),
            partial(repository.add_passkey, passkey(disabled), 5, None, noted),
            partial(repository.add_passkey, passkey(owner), 5, owner, noted),
            partial(repository.add_passkey, passkey(nobody, credential_id=kept.credential_id), 5, nobody, noted),
            partial(repository.advance_passkey, of, update(kept, expected_sign_count=4), NOW, noted),
            partial(repository.advance_passkey, elsewhere, update(kept), NOW, noted),
            partial(repository.rename_passkey, of, other, kept.credential_id, "renamed", noted),
            partial(repository.confirm_user_verification, of, other, kept.credential_id, noted),
            partial(repository.remove_passkey, of, other, kept.credential_id, noted),
            partial(repository.remove_passkey, of, mine, token_bytes(32), noted),
            partial(repository.remove_passkeys, of, other, noted),
            partial(repository.rename_user, of, nobody.user_id, "renamed", "", noted),
            partial(repository.set_user_disabled, of, nobody.user_id, NOW, noted),
            partial(repository.remove_user, of, nobody.user_id, noted),
        ]
        for number, change in enumerate(refused):
            await change()
            for one in (of, elsewhere):
                page = await repository.list_events(one, _ALL, None, 100)
                expect(page, EventPage(events=()), f"the events after refusal {number}")

    @rule
    async def test_the_last_stored_comes_first(self, repository: AsyncEventRepository) -> None:
        """Events are listed from the last stored to the first, whatever time they tell."""
        of = realm()
        kept = [event(of, at=NOW + seconds * _SECOND) for seconds in (3, 1, 2, 2, -5)]
        for each in kept:
            await repository.add_event(each)
        expect(await repository.list_events(of, _ALL, None, 9), EventPage(events=tuple(reversed(kept))), "the page")

    @rule
    async def test_pages_hold_each_event_once(self, repository: AsyncEventRepository) -> None:
        """Pages of any size hold every event once, also those of a filter, while others are being stored."""
        of = realm()
        kept = [event(of, user_id=("ada", "eve")[number % 2]) for number in range(8)]
        for each in kept:
            await repository.add_event(each)
        for which in (EventFilter(), EventFilter(user_id="ada")):
            wanted = tuple(each for each in reversed(kept) if which.user_id in (None, each.user_id))
            for limit in (1, 2, 3, 4, 7, 8, 9):
                seen: tuple[Event, ...] = ()
                cursor: str | None = None
                while True:
                    page = await repository.list_events(of, which, cursor, limit)
                    left = len(wanted) - len(seen)
                    expect(len(page.events), min(left, limit), f"the number of events where {left} are left")
                    seen, cursor = seen + page.events, page.next_cursor
                    expect(cursor is None, left <= limit, f"whether it ends where {left} are left and {limit} asked")
                    if cursor is None:
                        break
                    late = event(of, user_id="ada")  # newer than everything that is on a page to come
                    await repository.add_event(late)
                    kept.append(late)
                expect(seen, wanted, f"the events in pages of {limit}")
                wanted = tuple(each for each in reversed(kept) if which.user_id in (None, each.user_id))

    @rule
    async def test_events_are_filtered(self, repository: AsyncEventRepository) -> None:
        """A filter keeps the events that meet all its members; `since` is included and `until` is not."""
        of, ids = realm(), (token_bytes(16), token_bytes(16).lower() + b"\x00")
        kept = [
            event(of, kind, user_id=user_id, credential_id=credential_id, at=NOW + seconds * _SECOND)
            for seconds, kind in enumerate((EventType.USER_RENAMED, EventType.USER_REMOVED, EventType.PASSKEY_RENAMED))
            for user_id in (None, "ada", "Ada", "ada ", "a%")
            for credential_id in (None, *ids)
        ]
        for each in kept:
            await repository.add_event(each)
        instant = timedelta(microseconds=1)
        for which in (
            _ALL,
            EventFilter(types=()),
            EventFilter(types=(EventType.USER_RENAMED,)),
            EventFilter(types=(EventType.USER_RENAMED, EventType.PASSKEY_RENAMED)),
            EventFilter(user_id="ada"),
            EventFilter(user_id="a%"),
            EventFilter(user_id="' OR 1=1 --"),
            EventFilter(credential_id=ids[0]),
            EventFilter(credential_id=ids[1][:-1]),
            EventFilter(since=NOW + _SECOND),
            EventFilter(since=NOW + _SECOND + instant),
            EventFilter(until=NOW + _SECOND),
            EventFilter(until=NOW + _SECOND + instant),
            EventFilter(since=NOW + _SECOND, until=NOW + 2 * _SECOND, user_id="Ada", credential_id=ids[1]),
        ):
            wanted = [each for each in kept if _meets(each, which)]
            page = await repository.list_events(of, which, None, 100)
            expect(page, EventPage(events=tuple(reversed(wanted))), f"the page of {which}")
            counted = sum(each.count for each in await repository.count_events(of, which))
            expect(counted, len(wanted), f"the count of {which}")

    @rule
    async def test_no_cursor_is_a_decode_error(self, repository: AsyncEventRepository) -> None:
        """What is no cursor of this repository's is a `DecodeError` with the code `cursor_invalid`."""
        of = realm()
        await repository.add_event(event(of))
        for cursor in ("", "no cursor", "'", "\u0661", "9" * 100, "9" * 10_000, "-", "1 OR 1=1", "\x00", "\ud800"):
            try:
                await repository.list_events(of, _ALL, cursor, 1)
            except DecodeError as error:
                expect(error.code, Code.CURSOR_INVALID, f"the code for {cursor[:20]!a}")
            else:
                raise ContractError(f"{cursor[:20]!a} was taken for a cursor")

    @rule
    async def test_events_are_counted_by_day_and_type(self, repository: AsyncEventRepository) -> None:
        """Counts come by day, from midnight to midnight UTC, and within a day by type; what is 0 is left out."""
        of, midnight = realm(), datetime(2026, 3, 1, tzinfo=UTC)
        removed, renamed = EventType.USER_REMOVED, EventType.USER_RENAMED
        before = midnight - timedelta(microseconds=1)
        for kind, at in (
            *((renamed, midnight), (removed, midnight), (renamed, before), (renamed, midnight + timedelta(hours=23))),
            *((removed, midnight + timedelta(days=1)), (renamed, midnight + timedelta(days=400))),
        ):
            await repository.add_event(event(of, kind, at=at))
        day, next_day = midnight.date(), midnight.date() + timedelta(days=1)
        late = (midnight + timedelta(days=400)).date()
        wanted = (
            EventCount(day=before.date(), type=renamed, count=1),
            EventCount(day=day, type=removed, count=1),
            EventCount(day=day, type=renamed, count=2),
            EventCount(day=next_day, type=removed, count=1),
            EventCount(day=late, type=renamed, count=1),
        )
        expect(await repository.count_events(of, _ALL), wanted, "the counts")
        expect(await repository.count_events(of, EventFilter(types=(removed,))), (wanted[1], wanted[3]), "the counts")
        within = EventFilter(since=midnight, until=midnight + timedelta(days=1))
        expect(await repository.count_events(of, within), wanted[1:3], "the counts of one day")
        part = EventFilter(since=midnight + _SECOND)
        expect((await repository.count_events(of, part))[0].count, 1, "the count of a part of a day")
        expect(await repository.count_events(realm(), _ALL), (), "the counts of another realm")

    @rule
    async def test_events_stay_when_their_user_goes(self, repository: AsyncRecordingRepository) -> None:
        """Events about a user and a passkey stay when both are removed."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        kept = passkey(owner)
        first = event(of, user_id=owner.user_id, credential_id=kept.credential_id)
        last = event(of, EventType.USER_REMOVED, user_id=owner.user_id)
        await repository.add_passkey(kept, 5, None, first)
        await repository.remove_user(of, owner.user_id, last)
        page = await repository.list_events(of, EventFilter(user_id=owner.user_id), None, 9)
        expect(page, EventPage(events=(last, first)), "the page")

    @rule
    async def test_realms_have_their_own_events(self, repository: AsyncEventRepository) -> None:
        """A realm lists and counts its own events alone."""
        one = realm()
        realms = (one, one.lower(), one + " ", one + "%")
        kept = {of: event(of, user_id="ada") for of in realms}
        for each in kept.values():
            await repository.add_event(each)
        for of in realms:
            page = await repository.list_events(of, EventFilter(user_id="ada"), None, 9)
            expect(page, EventPage(events=(kept[of],)), f"the page of realm {of!r}")
            counts = (EventCount(day=NOW.date(), type=EventType.USER_RENAMED, count=1),)
            expect(await repository.count_events(of, _ALL), counts, f"the counts of realm {of!r}")

    @race
    async def test_no_event_is_lost(self, repository: AsyncEventRepository, together: Together) -> None:
        """Events that many store at the same time are all there, each once, page by page."""
        of = realm()
        kept = [event(of) for _ in range(CALLERS * 2)]
        await together([partial(repository.add_event, each) for each in kept])
        seen: list[str] = []
        cursor: str | None = None
        while len(seen) < len(kept) * 2:  # a cursor that stands still would go on for ever
            page = await repository.list_events(of, _ALL, cursor, 5)
            demand(len(page.events) > 0, "a page that the cursor leads to is empty")
            seen.extend(each.id for each in page.events)
            cursor = page.next_cursor
            if cursor is None:
                break
        expect(sorted(seen), sorted(each.id for each in kept), "the ids of the events")


def _meets(each: Event, which: EventFilter) -> bool:
    return (
        (which.types is None or each.type in which.types)
        and which.user_id in (None, each.user_id)
        and which.credential_id in (None, each.credential_id)
        and (which.since is None or which.since <= each.at)
        and (which.until is None or each.at < which.until)
    )
