"""A repository that is made before its process forks, as servers do that load the application first."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from passkeycore import Code, DecodeError
from passkeycore.engine.records import Passkey, User
from passkeycore.repositories.sql import SQLRepository
from passkeycore.testing.contract.samples import ceremony, passkey, realm, user
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
    "take_ceremony": (Code.STATE_INVALID, lambda r, u, p: r.take_ceremony(u.realm, p.credential_id)),
}


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
        swap = {owner.realm: theirs.realm, owner.user_id: theirs.user_id, first.credential_id: second.credential_id}

        def ask_another(*arguments: Any) -> tuple[str, object]:
            return arguments[2], tuple(swap.get(value, value) for value in arguments[3])

        code, ask = ASK[call]
        event.listen(repository._engine, "before_cursor_execute", ask_another, retval=True)
        with pytest.raises(DecodeError, match="out of step") as caught:
            ask(repository, owner, first)
        event.remove(repository._engine, "before_cursor_execute", ask_another)
        assert caught.value.code is code
