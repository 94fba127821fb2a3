"""A repository that is made before its process forks, as servers do that load the application first."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from passkeycore import Code, DecodeError
from passkeycore.engine.actions.records import Action, ActionFilter
from passkeycore.engine.records import EventFilter, Passkey, User
from passkeycore.repositories.sql import SQLRepository
from passkeycore.testing.contract.actions.samples import action
from passkeycore.testing.contract.devices.samples import challenge, device
from passkeycore.testing.contract.samples import NOW, ceremony, passkey, realm, user
from passkeycore.testing.contract.samples import event as an_event
from tests.sql import opened

# Parent and two children look for their own users, over and over; a socket that two share gives one the other's.
SCRIPT = """
import asyncio, os, signal, sys, traceback
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
from passkeycore.testing.contract.samples import passkey, realm, user

url, colour = sys.argv[1:]
if colour == "synchronous":
    repository = SQLRepository(url, create=True)
    def wait(answer): return answer
else:
    repository = AsyncSQLRepository(url, create=True)
    runner = asyncio.Runner()
    def wait(answer): return runner.run(answer)

engine = getattr(repository._engine, "sync_engine", repository._engine)
assert engine.pool.checkedin() == 0, "something is open at the top of the module"
place = realm()
async def call(method, *arguments): return await method(*arguments)
def do(method, *arguments):
    return method(*arguments) if colour == "synchronous" else wait(call(method, *arguments))

owners = [do(repository.get_or_create_user, user(place)) for _ in range(3)]
passkeys = [passkey(owner) for owner in owners]
for one in passkeys:
    assert do(repository.add_passkey, one, 5, None, None) == "added"

def use(number):
    owner, one = owners[number], passkeys[number]
    for _ in range(200):
        assert do(repository.find_passkey, place, one.credential_id) == (one, owner)
        account = do(repository.find_account, place, owner.user_id)
        assert (account.user, account.passkeys) == (owner, (one,))
        assert do(repository.rename_user, place, owner.user_id, owner.name, owner.display_name, None)
    return 0

def guarded(number):
    signal.alarm(60)  # a process that waits for an answer which another has read would wait for ever
    try:
        return use(number)
    except BaseException:
        traceback.print_exc()
        return 1

children = []
for number in (1, 2):
    child = os.fork()
    if child == 0:
        if colour != "synchronous":
            runner = asyncio.Runner()
        os._exit(guarded(number))
    children.append(child)
    if engine.dialect.name == "sqlite":
        assert engine.pool.checkedin() == 0, "SQLite was open across a fork"
        use(0)
codes = [guarded(0)] + [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
print(codes)
"""


@pytest.mark.parametrize("colour", ["synchronous", "asynchronous"])
def test_forked_processes_share_no_connection_to_postgresql(postgres: str, colour: str) -> None:
    assert fork_with(postgres, colour) == "[0, 0, 0]"


def test_forked_processes_share_no_connection_to_sqlite(tmp_path: Path) -> None:
    assert fork_with(f"sqlite:///{tmp_path / 'passkeys.db'}", "synchronous") == "[0, 0, 0]"


def fork_with(url: str, colour: str) -> str:
    command = [sys.executable, "-c", SCRIPT, url, colour]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Should two share a connection all the same: an answer to somebody else's question is no answer.
Ask = Callable[[SQLRepository, User, Passkey], object]
ASK: dict[str, tuple[Code, Ask]] = {
    "find_passkey": (Code.RECORD_INVALID, lambda r, u, p: r.find_passkey(u.realm, p.credential_id)),
    "find_account": (Code.RECORD_INVALID, lambda r, u, p: r.find_account(u.realm, u.user_id)),
    "get_or_create_user": (Code.RECORD_INVALID, lambda r, u, p: r.get_or_create_user(u)),
    "find_device": (Code.RECORD_INVALID, lambda r, u, p: r.find_device(u.realm, "push", p.credential_id)),
    "list_devices": (Code.RECORD_INVALID, lambda r, u, p: r.list_devices(u.realm, u.user_id)),
    "find_challenge": (Code.RECORD_INVALID, lambda r, u, p: r.find_device_challenge(u.realm, p.credential_id.hex())),
    "pending": (Code.RECORD_INVALID, lambda r, u, p: r.pending_device_challenges(u.realm, u.user_id, NOW, 9)),
    "find_action": (Code.RECORD_INVALID, lambda r, u, p: r.find_action(u.realm, u.user_id, "transfer", "key")),
    "add_action": (Code.RECORD_INVALID, lambda r, u, p: r.add_action(deed(u), None)),
    "list_actions": (
        Code.RECORD_INVALID,
        lambda r, u, p: r.list_actions(u.realm, ActionFilter(user_id=u.user_id), NOW, None, 9),
    ),
    "take_ceremony": (Code.STATE_INVALID, lambda r, u, p: r.take_ceremony(u.realm, p.credential_id)),
}


def deed(of: User) -> Action:
    return action(of.realm, user_id=of.user_id, idempotency_key="key")


@pytest.mark.parametrize("other", ["id", "realm"])
@pytest.mark.parametrize("call", ASK)
def test_an_answer_to_another_question_is_a_decode_error(tmp_path: Path, call: str, other: str) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        owner = user(realm())
        theirs = user(owner.realm) if other == "id" else user(realm(), user_id=owner.user_id)
        first = passkey(owner)
        second = passkey(theirs) if other == "id" else passkey(theirs, credential_id=first.credential_id)
        for who, key in ((owner, first), (theirs, second)):
            assert repository.add_passkey(key, 5, who, None) == "added"
            assert repository.add_ceremony(ceremony(who.realm, challenge=key.credential_id))
            assert repository.add_device(device(who, public_key=key.credential_id), 5, None) == "added"
            asked = challenge(who.realm, challenge_id=key.credential_id.hex(), user_id=who.user_id)
            assert repository.add_device_challenge(asked, None)
            assert repository.add_action(deed(who), None) == deed(who)
        swap = {owner.realm: theirs.realm, owner.user_id: theirs.user_id, first.credential_id: second.credential_id}
        swap[first.credential_id.hex()] = second.credential_id.hex()

        def ask_another(*arguments: Any) -> tuple[object, ...]:
            if arguments[2].startswith("INSERT"):
                return arguments[2:4]
            return arguments[2], tuple(swap.get(value, value) for value in arguments[3])

        code, ask = ASK[call]
        event.listen(repository._engine, "before_cursor_execute", ask_another, retval=True)
        with pytest.raises(DecodeError, match="out of step") as caught:
            ask(repository, owner, first)
        event.remove(repository._engine, "before_cursor_execute", ask_another)
        assert caught.value.code is code


def test_events_of_another_realm_are_no_answer(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}", outbox=True) as repository:
        of, other = realm(), realm()
        repository.add_event(an_event(of))
        repository.add_event(an_event(other))

        def ask_another(*arguments: Any) -> tuple[str, object]:
            return arguments[2], tuple(other if value == of else value for value in arguments[3])

        event.listen(repository._engine, "before_cursor_execute", ask_another, retval=True)
        with pytest.raises(DecodeError, match="out of step"):
            repository.list_events(of, EventFilter(), None, 9)


def test_deliveries_of_other_events_are_no_answer(tmp_path: Path) -> None:
    """They come again when the lease is over."""
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}", outbox=True) as repository:
        one, two = an_event(realm()), an_event(realm())
        repository.add_event(one)
        repository.add_event(two)

        def ask_another(*arguments: Any) -> tuple[str, object]:
            answer = arguments[2].startswith("SELECT passkey_events")
            return arguments[2], (two.id,) if answer else arguments[3]

        event.listen(repository._engine, "before_cursor_execute", ask_another, retval=True)
        with pytest.raises(DecodeError, match="out of step"):
            repository.take_deliveries(NOW, NOW, 1)
        event.remove(repository._engine, "before_cursor_execute", ask_another)
        assert [(each.event, each.attempt) for each in repository.take_deliveries(NOW, NOW, 9)] == [(one, 2), (two, 1)]


def test_a_device_for_another_method_is_no_answer(tmp_path: Path) -> None:
    """One key may serve several, each of which is to ask for something else."""
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        owner = repository.get_or_create_user(user(realm()))
        asked = device(owner, method="qr-code")
        assert repository.add_device(asked, 5, None) == "added"
        assert repository.add_device(device(owner, public_key=asked.public_key, method="push"), 5, None) == "added"

        def ask_another(*arguments: Any) -> tuple[str, object]:
            return arguments[2], tuple("push" if value == "qr-code" else value for value in arguments[3])

        event.listen(repository._engine, "before_cursor_execute", ask_another, retval=True)
        with pytest.raises(DecodeError, match="out of step"):
            repository.find_device(owner.realm, "qr-code", asked.public_key)
