"""How many SQL statements a sign-in needs, as the database's driver sees them. Without the store of events."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from passkeycore import RelyingParty
from passkeycore.engine.passkeys.ceremonies import StatelessCeremonies
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.repositories.redis import RedisCeremonies
from passkeycore.repositories.sql import SQLRepository
from passkeycore.testing import AttestationAuthority, SoftwareAuthenticator, VirtualClient
from passkeycore.tokens import Tokens

RP = RelyingParty(id="example.org", origins=["https://example.org"])
AUTHORITY = AttestationAuthority("statements")
USER = "ada"
ADD, TAKE, SPEND = "INSERT passkey_ceremonies", "DELETE passkey_ceremonies", "INSERT passkey_spent"
ACCOUNT, PASSKEY, ADVANCE = "SELECT passkey_users", "SELECT passkeys", "UPDATE passkeys"


@pytest.fixture(params=["sqlite", "postgresql"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLRepository]:
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'passkeys.db'}" if sqlite else request.getfixturevalue("postgres")
    repository = SQLRepository(url, create=True)
    yield repository
    repository.close()


class Case:
    """A service whose user has a passkey. The realm is the test's: the server's tables are everybody's."""

    def __init__(self, repository: SQLRepository, request: pytest.FixtureRequest, ceremonies: Any = None) -> None:
        self.service = PasskeyService(RP, repository, ceremonies=ceremonies, realm=request.node.nodeid)
        self.client = VirtualClient(SoftwareAuthenticator("ada", sign_count_step=1, authority=AUTHORITY))
        start = self.service.start_registration(user_id=USER, user_name="ada@example.org")
        body = self.client.create(start.to_dict())
        self.service.finish_registration(body, user_id=USER, sealed_state=start.sealed_state)

    def sign_in(self, **asked: Any) -> tuple[list[str], list[str]]:
        """The statements of the start, and of the finish."""
        with statements() as starting:
            start = self.service.start_authentication(**asked)
        body = self.client.get(start.to_dict())
        with statements() as finishing:
            done = self.service.finish_authentication(body, sealed_state=start.sealed_state)
        assert done.user_id == USER
        return starting, finishing


@contextmanager
def statements() -> Generator[list[str]]:
    """The verb and the table of each statement that any engine sends meanwhile."""
    seen: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        words = statement.split()
        before = {"SELECT": "FROM", "INSERT": "INTO", "DELETE": "FROM"}.get(words[0], words[0])
        after = words.index(before) + 1 if before in words else 0
        seen.append(f"{words[0]} {words[after]}")

    event.listen(Engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", see)


def test_a_sign_in_of_a_known_user_is_two_reads_and_three_writes(
    repository: SQLRepository, request: pytest.FixtureRequest
) -> None:
    assert Case(repository, request).sign_in(user_id=USER) == ([ACCOUNT, ADD], [TAKE, PASSKEY, ADVANCE])


def test_a_sign_in_of_nobody_known_starts_with_one_write(
    repository: SQLRepository, request: pytest.FixtureRequest
) -> None:
    assert Case(repository, request).sign_in() == ([ADD], [TAKE, PASSKEY, ADVANCE])


def test_ceremonies_in_redis_save_two_statements(
    repository: SQLRepository, request: pytest.FixtureRequest, redis_url: str
) -> None:
    ceremonies = RedisCeremonies(redis_url)
    try:
        assert Case(repository, request, ceremonies).sign_in(user_id=USER) == ([ACCOUNT], [PASSKEY, ADVANCE])
    finally:
        ceremonies.close()


@pytest.mark.parametrize(
    ("asked", "starting"),
    [
        ({"user_id": USER}, [ACCOUNT]),
        ({"user_id": USER, "discoverable": True}, []),
        ({}, []),
    ],
)
def test_a_stateless_start_writes_nothing_and_reads_only_a_named_users_passkeys(
    repository: SQLRepository, request: pytest.FixtureRequest, asked: dict[str, Any], starting: list[str]
) -> None:
    ceremonies = StatelessCeremonies(Tokens([bytes(32)]), repository)
    found = Case(repository, request, ceremonies).sign_in(**asked)
    assert found == (starting, [SPEND, PASSKEY, ADVANCE])
