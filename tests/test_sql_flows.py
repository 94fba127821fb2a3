"""A flow over `SQLRepository` keeps one connection from statement to statement, and gives it back at its end."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from passkeycore import RelyingParty
from passkeycore.engine.actions.service import ActionService, AsyncActionService
from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.engine.records import Ceremony
from passkeycore.engine.run import flow_scopes, synchronous
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.repositories.sql import SQLRepository
from passkeycore.repositories.threads import InThreads
from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from passkeycore.tokens import Tokens
from tests.sql import DATABASES, engine_of, opened, url_of

RP = RelyingParty(id="example.org", origins=["https://example.org"])
TOKENS = Tokens([b"a secret for tests, which is long enough"])


@contextmanager
def fetched_from(engine: Engine) -> Generator[list[object]]:
    """The driver's connections that were fetched from the pool, one after the other."""
    seen: list[object] = []

    def see(connection: object, *_: object) -> None:
        seen.append(connection)

    event.listen(engine, "checkout", see)
    yield seen
    event.remove(engine, "checkout", see)


def in_use(repository: SQLRepository) -> int:
    pool = repository._engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


def signed_up(passkeys: PasskeyService) -> VirtualClient:
    client = VirtualClient(SoftwareAuthenticator("ada"), "https://example.org")
    start = passkeys.start_registration(user_id="ada", user_name="ada@example.org")
    passkeys.finish_registration(client.create(start.to_dict()), user_id="ada")
    return client


@pytest.mark.parametrize("database", DATABASES)
def test_a_flow_fetches_one_connection(request: pytest.FixtureRequest, database: str) -> None:
    with opened(url_of(request, database)) as repository:
        passkeys = PasskeyService(RP, repository, realm=database, store_events=True)
        actions = ActionService(repository, tokens=TOKENS, passkeys=passkeys)
        client = signed_up(passkeys)
        begun = actions.start_passkey_sign_in("sign-in", binding="session")
        with fetched_from(repository._engine) as fetched:
            actions.finish_passkey_sign_in("sign-in", client.get(begun.to_dict()), binding="session")
        assert len(fetched) == 1
        assert in_use(repository) == 0


def test_so_does_a_flow_in_threads(tmp_path: Path) -> None:
    async def main() -> None:
        database = SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}", create=True)
        repository = InThreads(database, threads=1)
        passkeys = AsyncPasskeyService(RP, repository, store_events=True)
        actions = AsyncActionService(repository, tokens=TOKENS, passkeys=passkeys)
        client = signed_up(PasskeyService(RP, database))
        begun = await actions.start_passkey_sign_in("sign-in", binding="session")
        with fetched_from(database._engine) as fetched:
            await actions.finish_passkey_sign_in("sign-in", client.get(begun.to_dict()), binding="session")
        assert len(fetched) == 1
        assert in_use(database) == 0
        await repository.close()

    asyncio.run(main())


def test_a_refusal_gives_it_back_too(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        passkeys = PasskeyService(RP, repository)
        client = signed_up(passkeys)
        start = passkeys.start_authentication(binding="session")
        answer = client.get(start.to_dict())
        passkeys.finish_authentication(answer, binding="session")
        with pytest.raises(Exception, match="ceremony"):
            passkeys.finish_authentication(answer, binding="session")
        assert in_use(repository) == 0


def test_each_thread_has_its_own(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        (scope,) = repository.flow_scopes
        both = threading.Barrier(2, timeout=30)

        def flow() -> None:
            with scope:
                repository.find_account("", "ada")
                both.wait()
                assert in_use(repository) == 2
                both.wait()

        threads = [threading.Thread(target=flow) for _ in range(2)]
        with fetched_from(repository._engine) as fetched:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(set(map(id, fetched))) == 2
        assert in_use(repository) == 0


def test_a_flow_within_a_flow_leaves_it_to_the_outer_one(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        (scope,) = repository.flow_scopes
        with fetched_from(repository._engine) as fetched, scope:
            with scope:
                repository.find_account("", "ada")
            assert in_use(repository) == 1
            repository.find_account("", "ada")
        assert len(fetched) == 1
        assert in_use(repository) == 0


def test_while_it_is_used_another_one_is_fetched(tmp_path: Path) -> None:
    """What must last by itself is not in the transaction that is under way."""
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        (scope,) = repository.flow_scopes
        seen: list[object] = []

        def look_aside(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
            if "passkey_users" in statement and not seen:
                seen.append(connection.connection.dbapi_connection)
                repository.list_devices("", "ada")

        event.listen(repository._engine, "before_cursor_execute", look_aside)
        with fetched_from(repository._engine) as fetched, scope:
            repository.find_account("", "ada")
            assert in_use(repository) == 1  # of two, the one that came back first
        assert len(fetched) == 2
        assert in_use(repository) == 0


def test_a_lost_connection_is_not_kept(postgres: str) -> None:
    with opened(postgres) as repository:
        (scope,) = repository.flow_scopes
        with fetched_from(repository._engine) as fetched, scope:
            repository.find_account("lost", "ada")
            with engine_of(postgres) as other, other.connect() as admin:
                driver = fetched[0]
                admin.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": driver.info.backend_pid})  # type: ignore[attr-defined]
            with pytest.raises(DBAPIError):
                repository.find_account("lost", "ada")
            assert repository.find_account("lost", "ada") is None
        assert len(fetched) == 2
        assert in_use(repository) == 0


def test_an_engine_of_the_applications_is_used_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'passkeys.db'}"
    with engine_of(url) as engine, opened(engine) as repository:
        assert repository.flow_scopes == ()
        with fetched_from(engine) as fetched:
            signed_up(PasskeyService(RP, repository))
        assert len(fetched) > 2


def test_services_find_every_scope_once(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'users.db'}") as users, opened(f"sqlite:///{tmp_path / 'rest.db'}") as rest:
        passkeys = PasskeyService(RP, users, ceremonies=rest)
        actions = ActionService(rest, tokens=TOKENS, passkeys=passkeys)
        assert passkeys.flow_scopes == (*users.flow_scopes, *rest.flow_scopes)
        assert set(actions.flow_scopes) == {*users.flow_scopes, *rest.flow_scopes}
        assert InThreads(users).flow_scopes == users.flow_scopes
        assert flow_scopes(MemoryRepository(), None) == ()


def test_a_flow_that_waits_for_another_store_keeps_no_connection(tmp_path: Path) -> None:
    """Or a slow one would empty the pool of the database."""

    class Elsewhere(MemoryRepository):
        def add_ceremony(self, ceremony: Ceremony, /) -> bool:
            seen.append(in_use(repository))
            return super().add_ceremony(ceremony)

    seen: list[int] = []
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        passkeys = PasskeyService(RP, repository, ceremonies=Elsewhere())
        actions = ActionService(repository, tokens=TOKENS, passkeys=passkeys)
        assert (passkeys.flow_scopes, actions.flow_scopes) == ((), ())
        signed_up(passkeys)
        actions.start_passkey_sign_in("sign-in", binding="session")
    assert seen == [0, 0]


def test_a_wrapper_that_makes_a_method_of_every_name_has_no_scopes(tmp_path: Path) -> None:
    class Wrapper:
        def __init__(self, within: SQLRepository) -> None:
            self.within = within

        def __getattr__(self, name: str) -> Callable[..., object]:
            return lambda *arguments: getattr(self.within, name)(*arguments)

    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        passkeys = PasskeyService(RP, Wrapper(repository))  # type: ignore[arg-type]
        assert passkeys.flow_scopes == ()
        signed_up(passkeys)


def test_in_a_transaction_of_the_callers_no_second_connection_is_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'passkeys.db'}"
    with opened(url) as repository, engine_of(url) as engine, engine.connect() as connection:
        joining = repository.joining(connection)
        assert joining.flow_scopes == ()
        assert PasskeyService(RP, repository).using(joining).flow_scopes == ()


def test_a_scope_that_fails_at_its_end_leaves_the_others_ended() -> None:
    class Scope:
        depth = 0

        def __init__(self, error: Exception | None = None) -> None:
            self.error = error

        def __enter__(self) -> None:
            self.depth += 1

        def __exit__(self, *_: object) -> None:
            self.depth -= 1
            if self.error is not None:
                raise self.error

    scopes = Scope(), Scope(RuntimeError("lost"))

    class Owner:
        context = None
        flow_scopes = scopes

    async def flow(context: None) -> int:
        return sum(scope.depth for scope in scopes)

    with pytest.raises(RuntimeError, match="lost"):
        synchronous(flow)(Owner())
    assert [scope.depth for scope in scopes] == [0, 0]
