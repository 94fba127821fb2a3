"""The contract of repositories: memory meets it, and every mistake of `broken_repositories` is found by its rule."""

import inspect
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from copy import deepcopy
from datetime import timedelta, timezone
from typing import Any

import pytest

from passkeycore import ConfigurationError, PasskeyError
from passkeycore.engine.records import Ceremony
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing.contract import (
    ActionContract,
    ActionEventContract,
    ActionEventRollbackContract,
    CeremonyContract,
    ContractError,
    DeviceContract,
    DeviceEventContract,
    DeviceEventRollbackContract,
    EventContract,
    OutboxContract,
    OutboxRollbackContract,
    PasskeyContract,
    SpentContract,
    SpentRollbackContract,
)
from tests.broken_repositories import actions, devices, histories, outbox
from tests.broken_repositories import passkeys as broken

Factory = Callable[[], object]
EAST = timezone(timedelta(hours=2))


class Contract(
    CeremonyContract,
    PasskeyContract,
    EventContract,
    SpentContract,
    DeviceContract,
    DeviceEventContract,
    ActionContract,
    ActionEventContract,
    OutboxContract,
):
    """All of it. (Not collected: only classes whose names begin with Test are.)"""


class UndoneContract(
    SpentRollbackContract, DeviceEventRollbackContract, ActionEventRollbackContract, OutboxRollbackContract
):
    """All of it within a transaction of the caller's."""


class TestMemory(Contract):
    @pytest.fixture
    def repository(self) -> MemoryRepository:
        return MemoryRepository(outbox=True)


class TestAsyncMemory(Contract):
    @pytest.fixture
    def repository(self) -> AsyncMemoryRepository:
        return AsyncMemoryRepository(outbox=True)


class TestOpenedMemory(CeremonyContract):
    """An asynchronous context manager is opened and closed around each rule."""

    @pytest.fixture
    def repository(self) -> AbstractAsyncContextManager[AsyncMemoryRepository]:
        return opened([])


@asynccontextmanager
async def opened(seen: list[str]) -> AsyncGenerator[AsyncMemoryRepository]:
    seen.append("opened")
    yield AsyncMemoryRepository()
    seen.append("closed")


RACES = (
    *("one_caller_gets_it", "one_caller_adds_it", "one_caller_spends_it", "one_of_many_creates_the_user"),
    *("one_of_many_users_registers_a_credential", "a_credential_is_registered_once_for_its_user"),
    *("the_limit_holds_for_many_writers", "one_of_many_registers_a_new_user", "one_of_many_authentications_is_written"),
    *("one_of_many_removes_a_passkey", "no_event_is_lost"),
)

MISTAKES: list[tuple[str, Factory]] = [
    *((rule, broken.Unlocked) for rule in RACES),
    ("the_limit_holds_for_many_writers", broken.ListedFirstLimit),
    ("the_limit_holds_while_some_are_removed", broken.ListedFirstLimit),
    ("everybody_gets_their_own", broken.SharedAnswer),
    ("no_change_undoes_another", broken.LostUpdate),
    ("no_change_undoes_another", broken.LostUserUpdate),
    ("one_caller_gets_it", broken.AsyncUnlocked),
    # ceremonies and spent keys
    ("a_ceremony_is_taken_once", broken.KeptCeremony),
    ("a_ceremony_is_taken_once", broken.HalfCeremony),
    ("a_challenge_is_never_replaced", broken.ReplacedCeremony),
    ("challenges_that_look_alike_are_different", broken.folded(broken.FoldedCeremonies, bytes.lower)),
    ("challenges_that_look_alike_are_different", broken.folded(broken.FoldedCeremonies, lambda key: key[:16])),
    ("challenges_that_look_alike_are_different", broken.folded(broken.FoldedCeremonies, broken.without_zeros)),
    ("challenges_that_look_alike_are_different", broken.folded(broken.FoldedCeremonies, lambda key: key[:63])),
    ("realms_know_nothing_of_each_other", broken.realmless(broken.FoldedCeremonies)),
    ("realms_know_nothing_of_each_other", lambda: broken.FoldedCeremonies(lambda key: (key[0].lower(), key[1]))),
    ("realms_know_nothing_of_each_other", lambda: broken.FoldedCeremonies(lambda key: (key[0].rstrip(), key[1]))),
    ("a_minute_passes_before_it_is_removed", broken.ImpatientCleaning),
    ("what_expired_is_removed", broken.GreedyCleaning),
    ("what_expired_is_removed", broken.OneStepCleaning),
    ("what_expired_is_removed", broken.SilentCleaning),
    ("what_expired_is_removed", broken.LooseCounting),
    ("a_key_is_spent_once", broken.SpentUntil),
    ("a_key_stays_spent_until_it_is_over", broken.ForgetfulCleaning),
    ("a_key_stays_spent_until_it_is_over", broken.ImpatientCleaning),
    ("a_key_stays_spent_until_it_is_over", broken.HalfCleaning),
    ("keys_that_look_alike_are_different", broken.folded(broken.FoldedCeremonies, bytes.lower)),
    ("keys_that_look_alike_are_different", broken.folded(broken.FoldedCeremonies, lambda key: key.split(b"\0")[0])),
    ("realms_spend_apart", broken.realmless(broken.FoldedCeremonies)),
    # users
    ("a_user_is_created_once", broken.OverwritingUser),
    ("a_user_is_created_once", broken.EchoedUser),
    ("one_of_many_creates_the_user", broken.EchoedUser),
    ("user_ids_that_look_alike_are_different_users", broken.folded(broken.FoldedUsers, str.lower)),
    ("user_ids_that_look_alike_are_different_users", broken.folded(broken.FoldedUsers, str.rstrip)),
    ("user_ids_that_look_alike_are_different_users", broken.folded(broken.FoldedUsers, lambda text: text[:191])),
    ("user_ids_that_look_alike_are_different_users", broken.folded(broken.FoldedUsers, broken.composed)),
    ("nobody_cannot_be_changed", broken.InventedUser),
    ("a_user_is_renamed", broken.StaleName),
    ("a_user_is_disabled_and_enabled", broken.OneWayDisabling),
    ("a_user_goes_with_all_passkeys", broken.Orphans),
    ("a_user_who_came_again_does_not_inherit", broken.AnyHandle),
    ("no_two_users_have_one_user_handle", broken.SharedHandle),
    ("no_two_users_have_one_user_handle", broken.TwinHandle),
    ("user_handles_are_bytes", broken.ShortHandle),
    # passkeys
    ("a_passkey_comes_back", broken.mangled(lambda record: {"attestation_object": None})),
    ("a_passkey_comes_back", broken.mangled(lambda record: {"public_key": record.public_key[:2000]})),
    ("a_passkey_comes_back", broken.mangled(lambda record: {"backup_state": bool(record.backup_state)})),
    ("a_passkey_comes_back", broken.mangled(lambda record: {"uv_initialized": int(record.uv_initialized)})),
    ("a_passkey_comes_back", broken.mangled(lambda record: {"transports": list(record.transports)})),
    ("a_passkey_comes_back", broken.mangled(lambda record: {"transports": record.transports[:1]})),
    ("a_passkey_comes_back", broken.mangled(lambda record: {"usage": None})),
    ("a_passkey_comes_back", broken.mangled(lambda record: {"client_data_json": memoryview(b"")})),
    ("a_passkey_comes_back", broken.dated(lambda at: at.replace(microsecond=0))),
    ("a_passkey_comes_back", broken.dated(lambda at: at.replace(tzinfo=None))),
    ("a_passkey_comes_back", broken.dated(lambda at: at.astimezone(EAST))),
    ("the_oldest_passkey_comes_first", broken.NewestFirst),
    ("credential_ids_that_look_alike_are_different", broken.folded(broken.FoldedCredentials, bytes.lower)),
    ("credential_ids_that_look_alike_are_different", broken.folded(broken.FoldedCredentials, lambda id_: id_[:255])),
    ("credential_ids_that_look_alike_are_different", broken.folded(broken.FoldedCredentials, lambda id_: id_[:1022])),
    (
        "credential_ids_that_look_alike_are_different",
        broken.folded(broken.FoldedCredentials, broken.without_zeros),
    ),
    ("a_passkey_is_never_replaced", broken.ReplacedPasskey),
    ("a_passkey_is_never_replaced", broken.UpdatedPasskey),
    ("a_passkey_is_never_replaced", broken.HalfAccount),
    ("one_of_many_users_registers_a_credential", broken.ReplacedPasskey),
    ("a_credential_is_registered_once_for_its_user", broken.UpdatedPasskey),
    ("no_more_than_the_limit", broken.NeverFreed),
    ("no_more_than_the_limit", broken.OneTooMany),
    ("only_a_known_user_gets_a_passkey", broken.AnyHandle),
    ("only_a_known_user_gets_a_passkey", broken.DisabledWelcome),
    ("a_new_user_comes_with_the_passkey", broken.HalfAccount),
    ("a_new_user_comes_with_the_passkey", broken.JoinedAccount),
    ("one_of_many_registers_a_new_user", broken.HalfAccount),
    ("an_authentication_is_written", broken.ForgottenUse),
    *(
        ("an_authentication_is_written_only_as_judged", broken.ignoring(member))
        for member in ("sign_count", "backup_state", "uv_initialized")
    ),
    ("an_authentication_is_written_only_as_judged", lambda: broken.Judged(broken.lower_or_equal)),
    ("one_of_many_authentications_is_written", broken.ignoring("sign_count", "backup_state", "uv_initialized")),
    ("the_counter_never_falls", broken.ignoring("sign_count")),
    ("an_unknown_backup_state_equals_itself", lambda: broken.Judged(broken.null_is_false)),
    ("an_unknown_backup_state_equals_itself", lambda: broken.Judged(broken.null_equals_nothing)),
    ("a_passkey_that_is_gone_is_not_written", broken.Revived),
    ("nothing_is_written_for_a_disabled_user", broken.DisabledSignIn),
    ("the_owner_changes_a_passkey", broken.EmptyConfirmation),
    ("nobody_else_changes_a_passkey", broken.AnybodyRemoves),
    ("nobody_else_changes_a_passkey", broken.AnybodyRenames),
    ("nobody_else_changes_a_passkey", broken.AnybodyConfirms),
    ("all_passkeys_of_one_user_are_removed", broken.RemovesEverybodys),
    ("realms_keep_apart", broken.realmless(broken.FoldedUsers)),
    ("realms_keep_apart", broken.realmless(broken.FoldedCredentials)),
    ("no_passkey_outlives_its_user", broken.Orphans),
    # events
    ("an_event_comes_back", broken.PlainTypes),
    ("every_change_stores_its_event", broken.Unrecorded),
    ("where_nothing_changes_no_event_is_stored", broken.Recorded),
    ("events_stay_when_their_user_goes", broken.ForgottenEvents),
    ("the_last_stored_comes_first", broken.OldestFirst),
    ("the_last_stored_comes_first", broken.ByTime),
    ("pages_hold_each_event_once", broken.Listed),
    ("no_cursor_is_a_decode_error", broken.Listed),
    ("events_are_filtered", broken.InclusiveUntil),
    ("events_are_filtered", broken.AnyTypes),
    ("events_are_filtered", broken.UnfilteredCounts),
    ("events_are_counted_by_day_and_type", broken.LocalDays),
    ("realms_have_their_own_events", broken.RealmlessEvents),
    *devices.MISTAKES,
    *actions.MISTAKES,
    *histories.MISTAKES,
    *outbox.MISTAKES,
]


@pytest.mark.parametrize(("rule", "factory"), MISTAKES)
def test_the_contract_finds(rule: str, factory: Factory) -> None:
    """The rule fails for the broken repository, whatever the threads do, and passes for the one it was made from."""
    judge = getattr(Contract(), f"test_{rule}")
    with pytest.raises((ContractError, PasskeyError, ValueError, KeyError)):
        judge(factory())
    judge(MemoryRepository(outbox=True))


def test_every_rule_finds_a_mistake() -> None:
    """No rule of the contract is without a repository that breaks it."""
    rules = {name.removeprefix("test_") for name in dir(Contract) if name.startswith("test_")}
    assert {rule for rule, _ in MISTAKES} | {"an_unknown_challenge_is_none", "an_unknown_passkey_is_none"} == rules
    undone = {name.removeprefix("test_") for name in dir(UndoneContract) if name.startswith("test_")}
    assert {rule for rule, _ in UNDONE} == undone


def test_every_rule_says_what_it_holds() -> None:
    """A rule is a function of a repository, with the rule in its docstring."""
    for name, test in (*inspect.getmembers(Contract), *inspect.getmembers(UndoneContract)):
        if name.startswith("test_"):
            assert (test.__doc__ or "").strip().endswith(".")
            assert list(inspect.signature(test).parameters) == ["self", "repository"]


def test_the_contract_needs_no_pytest() -> None:
    script = "import sys, passkeycore.testing.contract; print([n for n in ('pytest', 'asyncio') if n in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_a_broken_rule_is_quoted_with_what_was_seen() -> None:
    with pytest.raises(ContractError) as caught:
        Contract().test_a_challenge_is_never_replaced(broken.ReplacedCeremony())
    assert caught.value.rule == "The same challenge a second time is refused, and the first ceremony stays."
    assert caught.value.seen == "the answer to the same challenge again is True instead of False"
    assert str(caught.value) == f"{caught.value.rule} Broken: {caught.value.seen}"


def test_a_difference_names_the_member() -> None:
    with pytest.raises(ContractError, match=r"\[0\]\.credential\.public_key is [0-9a-f.]+ \(2000 bytes\) instead of "):
        Contract().test_a_passkey_comes_back(
            broken.mangled(lambda record: {"public_key": record.public_key[:2000]})(),
        )


def test_what_the_repository_raises_comes_through() -> None:
    class Failing(MemoryRepository):
        def take_ceremony(self, realm: str, challenge: bytes, /) -> Ceremony | None:
            raise OSError("no connection")

    class AsyncFailing(AsyncMemoryRepository):
        async def take_ceremony(  # type: ignore[override]
            self, realm: str, challenge: bytes, /
        ) -> Ceremony | None:
            raise OSError("no connection")

    for failing in (Failing(), AsyncFailing()):
        for rule in ("a_ceremony_is_taken_once", "one_caller_gets_it"):
            with pytest.raises(OSError, match="no connection"):
                getattr(Contract(), f"test_{rule}")(failing)


INDEPENDENT = ("add_device_challenge", "replace_device_challenge", "record_failure")


class Joined:
    """A repository of which these tables are in a transaction, made up for memory: they are as before at its end.

    What is `independent` of the transaction works on them as they were before it, and is seen in it, too.
    """

    def __init__(
        self, repository: MemoryRepository, tables: tuple[str, ...], independent: tuple[str, ...] = INDEPENDENT
    ) -> None:
        self.repository, self.tables, self.independent = repository, tables, independent
        self.committed = self.kept()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.repository, name)

        def call(*arguments: Any) -> Any:
            within = self.kept()
            self.roll_back()
            answer = method(*arguments)
            self.committed = self.kept()
            self.put(within)
            method(*arguments)
            return answer

        return call if name in self.independent else method

    def kept(self) -> dict[str, Any]:
        return deepcopy({name: getattr(self.repository, name) for name in self.tables})

    def put(self, tables: dict[str, Any]) -> None:
        for name, table in tables.items():
            setattr(self.repository, name, table)

    def roll_back(self) -> None:
        self.put(self.committed)


class AsyncJoined:
    """The same for asyncio."""

    def __init__(self, joined: Joined) -> None:
        self.joined = joined

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.joined, name)

        async def call(*arguments: Any) -> Any:
            return method(*arguments)

        return call


@contextmanager
def restored(
    repository: MemoryRepository, tables: tuple[str, ...], independent: tuple[str, ...] = INDEPENDENT
) -> Generator[Joined]:
    """A transaction of these tables, which is rolled back."""
    joined = Joined(repository, tables, independent)
    yield joined
    joined.roll_back()


USERS = ("_users", "_owners", "_handles", "_device_owners", "_device_ids")
CHALLENGES = ("_device_challenges", "_asked")
ACTIONS = ("_actions", "_pasts")
TABLES = (*USERS, *CHALLENGES, *ACTIONS, "_events", "_outbox")


class TestRollbackOfMemory(UndoneContract):
    tables: tuple[str, ...] = TABLES

    @pytest.fixture
    def repository(self) -> MemoryRepository:
        return MemoryRepository(outbox=True)

    def rolled_back(self, repository: MemoryRepository, /) -> AbstractContextManager[Joined]:
        return restored(repository, self.tables)


class TestRollbackOfAsyncMemory(UndoneContract):
    @pytest.fixture
    def repository(self) -> AsyncMemoryRepository:
        return AsyncMemoryRepository(outbox=True)

    @asynccontextmanager
    async def rolled_back(self, repository: AsyncMemoryRepository, /) -> AsyncGenerator[AsyncJoined]:
        with restored(repository.memory, TABLES) as joined:
            yield AsyncJoined(joined)


def without(*tables: str) -> tuple[str, ...]:
    return tuple(name for name in TABLES if name not in tables)


UNDONE: list[tuple[str, tuple[str, ...]]] = [
    ("a_taken_challenge_stays_taken", (*TABLES, "_ceremonies")),
    ("a_taken_challenge_stays_taken", ()),
    ("a_spent_key_stays_spent", (*TABLES, "_spent")),
    ("a_rollback_undoes_every_change", ()),
    ("a_rollback_undoes_every_change", ("_users",)),
    ("a_rollback_undoes_every_change", ("_owners",)),
    ("an_answered_challenge_stays_answered", ()),
    ("a_rollback_undoes_every_change_of_a_device", ()),
    ("a_rollback_undoes_every_change_of_a_device", without("_users")),
    ("a_rollback_undoes_every_change_of_a_device", without("_device_ids")),
    ("a_rollback_undoes_every_change_of_an_action", without(*ACTIONS)),
    ("the_events_of_a_challenge_outlast_a_rollback", without("_events")),
    ("a_failure_outlasts_a_rollback", without(*ACTIONS)),
    ("the_event_of_a_failure_outlasts_a_rollback", without("_events")),
    ("an_event_waits_only_when_it_is_stored", without("_outbox")),
]


@pytest.mark.parametrize(("rule", "tables"), UNDONE)
def test_the_contract_finds_rollbacks_of_too_much_or_too_little(rule: str, tables: tuple[str, ...]) -> None:
    contract = TestRollbackOfMemory()
    contract.tables = tables
    with pytest.raises((ContractError, KeyError)):
        getattr(contract, f"test_{rule}")(MemoryRepository(outbox=True))


@pytest.mark.parametrize(
    ("rule", "dependent", "tables", "seen"),
    [
        ("an_answered_challenge_stays_answered", "add_device_challenge", TABLES, "the challenge added"),
        ("an_answered_challenge_stays_answered", "replace_device_challenge", TABLES, "the challenge answered"),
        ("an_answered_challenge_stays_answered", "replace_device_challenge", without(*CHALLENGES), "the devices"),
        ("the_events_of_a_challenge_outlast_a_rollback", "add_device_challenge", TABLES, "the answer is False"),
        ("the_events_of_a_challenge_outlast_a_rollback", "replace_device_challenge", TABLES, "the events"),
        ("a_failure_outlasts_a_rollback", "record_failure", TABLES, "the action after the rollback"),
        ("the_event_of_a_failure_outlasts_a_rollback", "record_failure", TABLES, "the events"),
    ],
)
def test_what_should_not_join_the_transaction_is_found_out(
    rule: str, dependent: str, tables: tuple[str, ...], seen: str
) -> None:
    """Where a device that answered goes back, although its challenge stays, or a failure does, the contract says so."""

    class Dependent(TestRollbackOfMemory):
        def rolled_back(self, repository: MemoryRepository, /) -> AbstractContextManager[Joined]:
            return restored(repository, tables, tuple(name for name in INDEPENDENT if name != dependent))

    with pytest.raises(ContractError, match=seen):
        getattr(Dependent(), f"test_{rule}")(MemoryRepository(outbox=True))


@pytest.mark.parametrize(
    "rule", ["the_events_of_a_challenge_outlast_a_rollback", "the_event_of_a_failure_outlasts_a_rollback"]
)
def test_an_event_that_joins_the_transaction_is_found_out(rule: str) -> None:
    """Where what should last does, and its event goes back, the contract says so."""

    class Reporting(Joined):
        def __getattr__(self, name: str) -> Any:
            method = super().__getattr__(name)

            def call(*arguments: Any) -> Any:
                answer = method(*arguments[:-1], None)
                self.repository.add_event(arguments[-1])
                return answer

            return call if name in self.independent else method

    class Dependent(TestRollbackOfMemory):
        @contextmanager
        def rolled_back(self, repository: MemoryRepository, /) -> Generator[Joined]:
            joined = Reporting(repository, TABLES)
            yield joined
            joined.roll_back()

    with pytest.raises(ContractError, match="the events"):
        getattr(Dependent(), f"test_{rule}")(MemoryRepository(outbox=True))


def test_a_context_manager_is_opened_and_closed_once() -> None:
    seen: list[str] = []
    Contract().test_a_ceremony_is_taken_once(opened(seen))
    assert seen == ["opened", "closed"]


@pytest.mark.parametrize("no_repository", [object(), None, MemoryRepository])
def test_what_is_no_repository_is_a_configuration_error(no_repository: Any) -> None:
    with pytest.raises((ConfigurationError, TypeError)):
        Contract().test_a_ceremony_is_taken_once(no_repository)
