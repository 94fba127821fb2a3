"""Mistakes with devices and their challenges."""

import unicodedata
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from passkeycore.engine.devices.records import DeviceChallenge, DeviceCredential
from passkeycore.engine.records import Event, User
from passkeycore.engine.repository import Addition
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.repositories.memory.tables import Owner
from tests.broken_repositories import Folding, pause, replace
from tests.broken_repositories.passkeys import ImpatientCleaning, LooseCounting, SilentCleaning, Unlocked

_T = TypeVar("_T")


class Folded(MemoryRepository):
    """A table in which keys are the same when `fold` gives the same."""

    def __init__(self, table: str, fold: Callable[[Any], Hashable]) -> None:
        super().__init__()
        setattr(self._device_challenges if table == "_values" else self, table, Folding(fold))


def keys(fold: Callable[[bytes], bytes]) -> Callable[[], MemoryRepository]:
    return lambda: Folded("_device_ids", lambda key: (*key[:2], fold(key[2])))


def ids(fold: Callable[[str], str]) -> Callable[[], MemoryRepository]:
    return lambda: Folded("_device_owners", lambda key: (key[0], fold(key[1])))


def challenges(fold: Callable[[str], str]) -> Callable[[], MemoryRepository]:
    return lambda: Folded("_values", lambda key: (key[0], fold(key[1])))


class Mangled(MemoryRepository):
    """Stores devices and challenges with `changes`."""

    def __init__(self, **changes: Callable[[Any], Any]) -> None:
        super().__init__()
        self.changes = changes

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        return super().add_device(self.mangled(device), limit, event)

    def add_device_challenge(self, challenge: DeviceChallenge, event: Event | None, /) -> bool:
        return super().add_device_challenge(self.mangled(challenge), event)

    def mangled(self, one: Any) -> Any:
        return replace(one, **{name: change(getattr(one, name)) for name, change in self.changes.items()})


def mangled(**changes: Callable[[Any], Any]) -> Callable[[], MemoryRepository]:
    return lambda: Mangled(**changes)


class AnyMethod(MemoryRepository):
    """Looks devices up by their key alone."""

    def find_device(self, realm: str, method: str, public_key: bytes, /) -> tuple[DeviceCredential, User] | None:
        found = (super(AnyMethod, self).find_device(realm, one, public_key) for one in ("push", "in-app", "qr-code"))
        return next((one for one in found if one is not None), None)


class NewestFirst(MemoryRepository):
    def list_devices(self, realm: str, user_id: str, /) -> tuple[DeviceCredential, ...]:
        return super().list_devices(realm, user_id)[::-1]


class Replaced(MemoryRepository):
    """INSERT OR REPLACE."""

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        owner = self._device_owners.get((device.realm, device.authenticator_id))
        if owner is not None:
            self.remove_device(device.realm, owner.user.user_id, device.authenticator_id, None)
        return super().add_device(device, limit, event)


class ReplacedKey(MemoryRepository):
    """Takes the owner's own key for a new version of the same device."""

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        found = self.find_device(device.realm, device.method, device.public_key)
        if found is not None and found[1].user_id == device.user_id:
            self.remove_device(device.realm, device.user_id, found[0].authenticator_id, None)
        return super().add_device(device, limit, event)


class Limited(MemoryRepository):
    """Counts `counted` of what the user has against the limit."""

    def __init__(self, counted: Callable[[Owner, DeviceCredential], int]) -> None:
        super().__init__()
        self.counted = counted

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        owner = self._users.get((device.realm, device.user_id))
        if owner is not None and self.counted(owner, device) >= limit:
            return "limit_reached"
        return super().add_device(device, 10**6, event)


def limited(counted: Callable[[Owner, DeviceCredential], int]) -> Callable[[], MemoryRepository]:
    return lambda: Limited(counted)


def of_the_method(owner: Owner, device: DeviceCredential) -> int:
    return sum(one.method == device.method for one in owner.devices.values())


def not_expired(owner: Owner, device: DeviceCredential) -> int:
    now = device.created_at
    return sum(one.expires_at is None or one.expires_at > now for one in owner.devices.values())


class NeverFreed(MemoryRepository):
    """Counts devices up and never down."""

    def __init__(self) -> None:
        super().__init__()
        self.count = dict[tuple[str, str], int]()

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        owner = device.realm, device.user_id
        if self.count.get(owner, 0) >= limit:
            return "limit_reached"
        answer = super().add_device(device, limit, event)
        self.count[owner] = self.count.get(owner, 0) + (answer == "added")
        return answer


class Invented(MemoryRepository):
    """Creates the user where there is none."""

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        self.get_or_create_user(
            User(
                user_id=device.user_id,
                user_handle=device.public_key[-64:],
                name="",
                created_at=device.created_at,
                realm=device.realm,
            )
        )
        return super().add_device(device, limit, event)


class DisabledIgnored(MemoryRepository):
    """Does not look whether the user is disabled."""

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        return self.enabled(device, lambda: super(DisabledIgnored, self).add_device(device, limit, event))

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        return self.enabled(
            device, lambda: super(DisabledIgnored, self).replace_device_challenge(challenge, device, event)
        )

    def enabled(self, device: DeviceCredential | None, call: Callable[[], _T]) -> _T:
        owner = None if device is None else self._users.get((device.realm, device.user_id))
        if owner is None:
            return call()
        since, owner.user = owner.user.disabled_at, replace(owner.user, disabled_at=None)
        answer = call()
        owner.user = replace(owner.user, disabled_at=since)
        return answer


class DisabledFrozen(MemoryRepository):
    """Nothing about a disabled user can be written."""

    def replace_device(self, device: DeviceCredential, event: Event | None, /) -> bool:
        owner = self._users.get((device.realm, device.user_id))
        frozen = owner is not None and owner.user.disabled_at is not None
        return not frozen and super().replace_device(device, event)

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        owner = self._users.get((challenge.realm, challenge.user_id or ""))
        frozen = owner is not None and owner.user.disabled_at is not None
        return not frozen and super().replace_device_challenge(challenge, device, event)


class Coalesced(MemoryRepository):
    """COALESCE(?, column): what is there cannot become None."""

    def replace_device(self, device: DeviceCredential, event: Event | None, /) -> bool:
        found = self.find_device(device.realm, device.method, device.public_key)
        return super().replace_device(device if found is None else _coalesced(device, found[0]), event)

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        found = self.find_device_challenge(challenge.realm, challenge.challenge_id)
        merged = challenge if found is None else _coalesced(challenge, found)
        return super().replace_device_challenge(merged, device, event)


def _coalesced(new: Any, old: Any) -> Any:
    return replace(new, **{name: getattr(old, name) for name in new.__struct_fields__ if getattr(new, name) is None})


class Revisions(MemoryRepository):
    """Compares revisions in another way: `judge` gives the one to compare, of the new and the stored one."""

    def __init__(self, judge: Callable[[int, int], int], *, devices: bool = True, challenges: bool = True) -> None:
        super().__init__()
        self.judge, self.devices, self.challenges = judge, devices, challenges

    def replace_device(self, device: DeviceCredential, event: Event | None, /) -> bool:
        return super().replace_device(self.judged(device), event)

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        found = self.find_device_challenge(challenge.realm, challenge.challenge_id)
        if found is not None and self.challenges:
            challenge = replace(challenge, revision=self.judge(challenge.revision, found.revision))
        device = device if device is None else self.judged(device)
        return super().replace_device_challenge(challenge, device, event)

    def judged(self, device: DeviceCredential) -> DeviceCredential:
        owner = self._device_owners.get((device.realm, device.authenticator_id))
        if owner is None or not self.devices:
            return device
        stored = owner.devices[device.authenticator_id]
        return replace(device, revision=self.judge(device.revision, stored.revision))


def any_revision(new: int, stored: int) -> int:
    return stored + 1


def no_lower_revision(new: int, stored: int) -> int:
    """WHERE revision < ?"""
    return stored + 1 if new > stored else new


class Upserted(MemoryRepository):
    """What is not there is written all the same."""

    def replace_device(self, device: DeviceCredential, event: Event | None, /) -> bool:
        return super().replace_device(device, event) or self.add_device(device, 10**6, event) == "added"

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        pause()
        if device is not None and (device.realm, device.authenticator_id) not in self._device_owners:
            self.add_device(replace(device, revision=device.revision - 1), 10**6, None)
        return super().replace_device_challenge(challenge, device, event) or self.add_device_challenge(challenge, event)


class AnybodyRemoves(MemoryRepository):
    """The owner is not in the WHERE clause."""

    def remove_device(self, realm: str, user_id: str, authenticator_id: str, event: Event | None, /) -> bool:
        owner = self._device_owners.get((realm, authenticator_id))
        user_id = user_id if owner is None else owner.user.user_id
        return super().remove_device(realm, user_id, authenticator_id, event)


class Marked(MemoryRepository):
    """Removed devices stay in the unique index."""

    def _forget_device(self, device: DeviceCredential) -> None:
        pass


class AllRemoved(MemoryRepository):
    """Devices are among the passkeys, and go with these."""

    def remove_passkeys(self, realm: str, user_id: str, event: Event | None, /) -> int:
        for device in self.list_devices(realm, user_id):
            self.remove_device(realm, user_id, device.authenticator_id, None)
        return super().remove_passkeys(realm, user_id, event)


class TakenChallenge(MemoryRepository):
    """Looking at a challenge takes it."""

    def find_device_challenge(self, realm: str, challenge_id: str, /) -> DeviceChallenge | None:
        return self._device_challenges.take(realm, challenge_id)


class ReplacedChallenge(MemoryRepository):
    def add_device_challenge(self, challenge: DeviceChallenge, event: Event | None, /) -> bool:
        self._device_challenges.take(challenge.realm, challenge.challenge_id)
        return super().add_device_challenge(challenge, event)


class Pending(MemoryRepository):
    """Lists challenges in another way."""

    def __init__(self, which: Callable[[list[DeviceChallenge], str, datetime, int], list[DeviceChallenge]]) -> None:
        super().__init__()
        self.which = which

    def pending_device_challenges(
        self, realm: str, user_id: str, now: datetime, limit: int, /
    ) -> tuple[DeviceChallenge, ...]:
        found = [one for _, _, one in self._device_challenges._values.values() if one.realm == realm]
        return tuple(self.which(found, user_id, now, limit))


def pending(
    *,
    states: tuple[str, ...] = ("pending", "claimed"),
    theirs: Callable[[str | None, str], bool] = lambda one, other: one == other,
    late: timedelta = timedelta(0),
    newest_first: bool = True,
    unlimited: bool = False,
) -> Callable[[], MemoryRepository]:
    def which(found: list[DeviceChallenge], user_id: str, now: datetime, limit: int) -> list[DeviceChallenge]:
        some = [
            one for one in found if one.state in states and theirs(one.user_id, user_id) and one.expires_at > now - late
        ]
        some.sort(key=lambda one: one.created_at, reverse=newest_first)
        return some if unlimited else some[:limit]

    return lambda: Pending(which)


class StateAlone(MemoryRepository):
    """Writes no member of a challenge but its state."""

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        found = self.find_device_challenge(challenge.realm, challenge.challenge_id)
        if found is not None:
            challenge = replace(found, state=challenge.state, revision=challenge.revision)
        return super().replace_device_challenge(challenge, device, event)


class StaleIndex(MemoryRepository):
    """Who claims a challenge does not get it on their list."""

    def _list(self, challenge: DeviceChallenge) -> None:
        if challenge.revision == 0:
            super()._list(challenge)

    def _unlist(self, challenges: Any) -> None:
        super()._unlist(one for one in challenges if one.revision == 0)


class TwoSteps(MemoryRepository):
    """Writes the one in one transaction and the other in the next."""

    def __init__(self, *, device_first: bool) -> None:
        super().__init__()
        self.device_first = device_first

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        if device is None:
            return super().replace_device_challenge(challenge, None, event)
        steps: list[Callable[[], bool]] = [
            lambda: self.replace_device(device, None),
            lambda: super(TwoSteps, self).replace_device_challenge(challenge, None, event),
        ]
        first, second = steps if self.device_first else steps[::-1]
        return first() and second()


class Orphans(MemoryRepository):
    """Leaves something of a removed user's behind."""

    def __init__(self, *, devices: bool = False, challenges: bool = False) -> None:
        super().__init__()
        self.devices, self.challenges = devices, challenges

    def _forget(self, realm: str, user_id: str) -> bool:
        if self.devices:
            self._users[realm, user_id].devices = {}
        if self.challenges:
            self._asked.pop((realm, user_id), None)
        return super()._forget(realm, user_id)


class GreedyRemoval(MemoryRepository):
    """Removes the challenges of the whole realm with a user."""

    def _forget(self, realm: str, user_id: str) -> bool:
        for of, challenge_id in list(self._device_challenges._values):
            if of == realm:
                self._unlist(filter(None, [self._device_challenges.take(of, challenge_id)]))
        return super()._forget(realm, user_id)


class RevisionAlone(MemoryRepository):
    """Takes what has the id of a device, at this revision, for that device, save in `compared`."""

    def __init__(self, *compared: str) -> None:
        super().__init__()
        self.compared = compared

    def _owner_as_read(self, device: DeviceCredential) -> Owner | None:
        owner = self._device_owners.get((device.realm, device.authenticator_id))
        if owner is None:
            return None
        stored = owner.devices[device.authenticator_id]
        unlike = any(getattr(stored, name) != getattr(device, name) for name in self.compared)
        return None if unlike or stored.revision != device.revision - 1 else owner


class NoCleaning(MemoryRepository):
    """Removes nothing, as if the storage did it by itself."""

    def remove_expired(self, now: datetime, /) -> int:
        return 0


class KeptAnswers(MemoryRepository):
    """Cleans up what is open, and keeps what was answered."""

    def remove_expired(self, now: datetime, /) -> int:
        answered = [one for _, _, one in self._device_challenges._values.values() if one.state == "approved"]
        removed = super().remove_expired(now)
        for one in answered:
            self._device_challenges.add(one.realm, one.challenge_id, one, one.expires_at)
        return removed


class Unrecorded(MemoryRepository):
    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        return super().replace_device_challenge(challenge, device, event if device is None else None)


class UnrecordedChallenge(MemoryRepository):
    def add_device_challenge(self, challenge: DeviceChallenge, event: Event | None, /) -> bool:
        return super().add_device_challenge(challenge, None)


class RecordedChallenge(MemoryRepository):
    """Stores the event of whoever comes with a challenge."""

    def add_device_challenge(self, challenge: DeviceChallenge, event: Event | None, /) -> bool:
        if event is not None:
            self.add_event(event)
        return super().add_device_challenge(challenge, None)


class Recorded(MemoryRepository):
    """Stores events on its own account, beside the change."""

    def replace_device(self, device: DeviceCredential, event: Event | None, /) -> bool:
        if event is not None:
            self.add_event(event)
        return super().replace_device(device, None)


RACES = (
    *("one_of_many_enrols_a_key", "a_device_is_enrolled_once_for_its_user"),
    *("the_limit_of_devices_holds_for_many_writers", "one_of_many_changes_a_device", "one_of_many_removes_a_device"),
    *("no_device_outlives_its_user", "one_of_many_adds_a_device_challenge", "a_device_challenge_is_answered_once"),
    "a_device_answers_one_challenge_at_a_time",
)

MISTAKES: list[tuple[str, Callable[[], object]]] = [
    *((rule, Unlocked) for rule in RACES),
    ("a_device_comes_back", mangled(app_attest=lambda key: key and replace(key, sign_count=0))),
    ("a_device_comes_back", mangled(user_authentication_required=int)),
    ("a_device_comes_back", mangled(push_token=lambda token: token and token[:255])),
    ("a_device_comes_back", mangled(push_token=lambda token: token or "")),
    ("a_device_comes_back", mangled(platform=str.strip)),
    ("a_device_comes_back", mangled(last_used_at=lambda at: at and at.replace(microsecond=0))),
    ("a_device_comes_back", mangled(expires_at=lambda at: at and at.replace(tzinfo=None))),
    ("an_unknown_device_is_none", AnyMethod),
    ("the_oldest_device_comes_first", NewestFirst),
    ("devices_that_look_alike_are_different", keys(bytes.lower)),
    ("devices_that_look_alike_are_different", keys(lambda key: key[:64])),
    ("devices_that_look_alike_are_different", keys(lambda key: key.replace(b"\0", b" "))),
    ("devices_that_look_alike_are_different", ids(str.lower)),
    ("devices_that_look_alike_are_different", ids(str.rstrip)),
    ("devices_that_look_alike_are_different", ids(lambda text: text[:63])),
    ("devices_that_look_alike_are_different", ids(lambda text: unicodedata.normalize("NFC", text))),
    ("a_device_is_never_replaced", Replaced),
    ("a_device_is_never_replaced", ReplacedKey),
    ("one_key_serves_several_methods", lambda: Folded("_device_ids", lambda key: (key[0], key[2]))),
    ("one_key_serves_several_methods", AnyMethod),
    ("no_more_devices_than_the_limit", limited(of_the_method)),
    ("no_more_devices_than_the_limit", limited(not_expired)),
    ("no_more_devices_than_the_limit", limited(lambda owner, _: len(owner.devices) + len(owner.passkeys))),
    ("no_more_devices_than_the_limit", limited(lambda owner, _: len(owner.devices) - 1)),
    ("no_more_devices_than_the_limit", NeverFreed),
    ("only_a_known_user_gets_a_device", Invented),
    ("only_a_known_user_gets_a_device", DisabledIgnored),
    ("a_device_is_changed", Coalesced),
    ("a_device_is_changed", DisabledFrozen),
    ("a_device_is_changed_only_as_read", lambda: Revisions(any_revision)),
    ("a_device_is_changed_only_as_read", lambda: Revisions(no_lower_revision)),
    ("a_device_is_changed_only_as_read", Upserted),
    *(
        (rule, lambda compared=compared: RevisionAlone(*compared))
        for rule in (
            "a_device_that_took_the_id_of_another_stays",
            "a_device_that_took_the_id_of_another_does_not_answer_for_it",
        )
        for compared in ((), ("method", "public_key"), ("user_id", "public_key"), ("user_id", "method"))
    ),
    ("the_owner_removes_a_device", AnybodyRemoves),
    ("the_owner_removes_a_device", Marked),
    ("passkeys_and_devices_keep_apart", AllRemoved),
    ("realms_have_their_own_devices", lambda: Folded("_device_ids", lambda key: key[1:])),
    ("realms_have_their_own_devices", lambda: Folded("_device_owners", lambda key: key[1])),
    ("one_of_many_changes_a_device", lambda: Revisions(any_revision)),
    # challenges
    ("a_device_challenge_comes_back", mangled(content=lambda text: text[:4095])),
    ("a_device_challenge_comes_back", mangled(binding=lambda binding: binding and binding[:16])),
    ("a_device_challenge_comes_back", mangled(verification_code=lambda code: code and str(int(code)))),
    ("a_device_challenge_comes_back", mangled(taken_at=lambda at: None)),
    ("a_device_challenge_comes_back", mangled(purpose=lambda purpose: purpose or "")),
    ("a_device_challenge_comes_back", TakenChallenge),
    ("an_unknown_device_challenge_is_none", Upserted),
    ("a_device_challenge_is_never_replaced_by_a_new_one", ReplacedChallenge),
    ("device_challenges_that_look_alike_are_different", challenges(str.lower)),
    ("device_challenges_that_look_alike_are_different", challenges(lambda text: text[:42])),
    ("device_challenges_that_look_alike_are_different", lambda: Folded("_values", lambda key: key[1])),
    ("pending_device_challenges_are_listed", pending(states=("pending",))),
    ("pending_device_challenges_are_listed", pending(states=("pending", "claimed", "approved"))),
    ("pending_device_challenges_are_listed", pending(theirs=lambda one, other: one in (None, other))),
    ("pending_device_challenges_are_listed", pending(theirs=lambda one, other: (one or "").lower() == other)),
    ("pending_device_challenges_are_listed", pending(late=timedelta(microseconds=1))),
    ("pending_device_challenges_are_listed", pending(late=timedelta(microseconds=-1))),
    ("pending_device_challenges_are_listed", pending(newest_first=False)),
    ("pending_device_challenges_are_listed", pending(unlimited=True)),
    ("a_device_challenge_is_written_over", StateAlone),
    ("a_device_challenge_is_written_over", StaleIndex),
    ("a_device_challenge_is_written_over", Coalesced),
    ("an_answer_is_written_only_as_read", lambda: Revisions(any_revision, devices=False)),
    ("an_answer_is_written_only_as_read", lambda: Revisions(any_revision, challenges=False)),
    ("an_answer_is_written_only_as_read", lambda: Revisions(no_lower_revision)),
    ("an_answer_is_written_only_as_read", lambda: TwoSteps(device_first=True)),
    ("an_answer_is_written_only_as_read", lambda: TwoSteps(device_first=False)),
    ("a_device_that_is_gone_does_not_answer", Upserted),
    ("a_device_that_is_gone_does_not_answer", lambda: TwoSteps(device_first=False)),
    ("nobody_who_is_disabled_answers", DisabledIgnored),
    ("nobody_who_is_disabled_answers", DisabledFrozen),
    ("nobody_who_is_disabled_answers", lambda: TwoSteps(device_first=True)),
    ("a_user_goes_with_all_devices_and_their_challenges", lambda: Orphans(devices=True)),
    ("a_user_goes_with_all_devices_and_their_challenges", lambda: Orphans(challenges=True)),
    ("a_user_goes_with_all_devices_and_their_challenges", StaleIndex),
    ("a_user_goes_with_all_devices_and_their_challenges", GreedyRemoval),
    ("a_minute_passes_before_a_device_challenge_is_removed", ImpatientCleaning),
    ("device_challenges_that_expired_are_removed", NoCleaning),
    ("device_challenges_that_expired_are_removed", KeptAnswers),
    ("device_challenges_that_expired_are_removed", SilentCleaning),
    ("device_challenges_that_expired_are_removed", LooseCounting),
    ("an_answer_comes_before_a_removal_or_not_at_all", Upserted),
    ("a_device_answers_one_challenge_at_a_time", lambda: Revisions(any_revision, challenges=False)),
    # events
    ("every_change_of_a_device_stores_its_event", Unrecorded),
    ("every_change_of_a_device_stores_its_event", UnrecordedChallenge),
    ("no_event_is_stored_where_no_device_changes", Recorded),
    ("no_event_is_stored_where_no_device_changes", RecordedChallenge),
]
"""The rule that finds it, and the repository."""
