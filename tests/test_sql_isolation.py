"""A PostgreSQL whose default isolation level is a higher one: races end there as everywhere else."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from passkeycore.repositories.sql import AsyncSQLRepository
from passkeycore.testing.contract import CeremonyContract, PasskeyContract, SpentContract
from tests.sql import engine_of, opened

RACES = [
    *("one_caller_gets_it", "one_caller_adds_it", "one_caller_spends_it", "one_of_many_creates_the_user"),
    *("one_of_many_users_registers_a_credential", "the_limit_holds_for_many_writers", "no_passkey_outlives_its_user"),
    *("one_of_many_authentications_is_written", "one_of_many_removes_a_passkey", "no_change_undoes_another"),
]


class Contract(CeremonyContract, PasskeyContract, SpentContract):
    """What may be raced for."""


@pytest.fixture(params=["repeatable read", "serializable"])
def strict(request: pytest.FixtureRequest, postgres: str) -> Iterator[str]:
    """The address for a role with this default; the tables are there."""
    role = f"strict_{request.param.replace(' ', '_')}"
    with opened(postgres), engine_of(postgres, isolation_level="AUTOCOMMIT") as engine, engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN SUPERUSER"))
        connection.execute(text(f"ALTER ROLE {role} SET default_transaction_isolation = '{request.param}'"))
        yield make_url(postgres).set(username=role).render_as_string(hide_password=False)
        connection.execute(text(f"DROP ROLE {role}"))


@pytest.mark.parametrize("race", RACES)
def test_nobody_who_races_gets_a_serialization_error(strict: str, race: str) -> None:
    """Of 16 who take a challenge one gets it and the others None; of 12 writers 5 come in and 7 reach the limit."""
    with opened(strict, create=False) as repository:
        getattr(Contract(), f"test_{race}")(repository)


def test_transactions_of_ours_wait_for_each_other_on_an_engine_handed_in(strict: str) -> None:
    """Single statements have the default of the engine, as its owner wants it."""
    with engine_of(strict) as engine, opened(engine, create=False) as repository:
        Contract().test_the_limit_holds_for_many_writers(repository)


@pytest.mark.parametrize("race", RACES)
def test_nobody_who_races_with_asyncio_gets_a_serialization_error(strict: str, race: str) -> None:
    @asynccontextmanager
    async def opening() -> AsyncGenerator[AsyncSQLRepository]:
        repository = AsyncSQLRepository(strict)
        try:
            yield repository
        finally:
            await repository.close()

    getattr(Contract(), f"test_{race}")(opening())
