"""The repository of the example keeps the contract, on SQLite here and on PostgreSQL in a process of its own."""

import os
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from passkeycore.engine.repository import Repository
from passkeycore.testing.contract import CeremonyContract, PasskeyContract

from .repository import DjangoRepository
from .site import Tidy

ON_POSTGRES = "EXAMPLE_POSTGRES" in os.environ

repository_of_the_right_shape: Repository = DjangoRepository()


class TestDjangoRepository(CeremonyContract, PasskeyContract):
    """Every rule of the shipped contract."""

    @pytest.fixture
    def repository(self) -> Tidy:
        return Tidy(DjangoRepository())


@pytest.mark.skipif(ON_POSTGRES, reason="this is the process of its own")
def test_the_contract_and_the_rollback_hold_on_postgresql(postgres: str) -> None:
    """The same tests pass with both aliases on one PostgreSQL."""
    host = parse_qs(urlsplit(postgres).query)["host"][0]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", os.path.dirname(__file__)]
    done = subprocess.run(
        command, env=os.environ | {"EXAMPLE_POSTGRES": host}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
