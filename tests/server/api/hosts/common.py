"""What the hosts have in common: one Relying Party, one database, one page, and their command line."""

import sys
from pathlib import Path
from typing import Final, NamedTuple

from passkeycore import RelyingParty
from passkeycore.engine import AsyncPasskeyService, PasskeyService
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
from passkeycore.tokens import Tokens

SECRET: Final = "the secret of an application in a test"
PAGE: Final = Path(__file__).with_name("page.html").read_text()
PURPOSE: Final = "transfer:42"


class Place(NamedTuple):
    """Where a host runs, from its command line."""

    port: int
    directory: Path

    @property
    def party(self) -> RelyingParty:
        """Its Relying Party."""
        return RelyingParty(id="localhost", name="Shop", origins=[f"http://localhost:{self.port}"])

    @property
    def passkeys(self) -> AsyncPasskeyService:
        """For what is mounted."""
        repository = AsyncSQLRepository(f"sqlite+aiosqlite:///{self.directory}/passkeys.db", create=True)
        return AsyncPasskeyService(self.party, repository, tokens=Tokens([SECRET]))

    @property
    def own_passkeys(self) -> PasskeyService:
        """The same passkeys, for the host's own functions that are not asynchronous."""
        repository = SQLRepository(f"sqlite:///{self.directory}/passkeys.db", create=True)
        return PasskeyService(self.party, repository, tokens=Tokens([SECRET]))


def place() -> Place:
    """As the command line says."""
    return Place(int(sys.argv[1]), Path(sys.argv[2]))
