"""The repository of the example keeps the contract, on SQLite here and on PostgreSQL in a process of its own."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped"
# pyright: reportMissingTypeStubs=false, reportGeneralTypeIssues=false

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db.transaction import atomic, set_rollback

from passkeycore.engine.actions.repository import ActionRepository
from passkeycore.engine.devices.repository import DeviceRepository
from passkeycore.engine.repository import Repository
from passkeycore.testing.contract import (
    ActionContract,
    ActionRollbackContract,
    CeremonyContract,
    ContractError,
    DeviceContract,
    DeviceRollbackContract,
    PasskeyContract,
)

from .repository import DjangoRepository
from .site import Tidy

ON_POSTGRES = "EXAMPLE_POSTGRES" in os.environ

repository_of_the_right_shape: Repository = DjangoRepository()
keeps_devices: DeviceRepository = DjangoRepository()
keeps_actions: ActionRepository = DjangoRepository()


class TestDjangoRepository(CeremonyContract, PasskeyContract, DeviceContract, ActionContract):
    """Every rule of the shipped contract."""

    @pytest.fixture
    def repository(self) -> Tidy:
        return Tidy(DjangoRepository())


class TestWithinATransaction(DeviceRollbackContract, ActionRollbackContract):
    """What a rollback of the request undoes, and what it must not."""

    @pytest.fixture
    def repository(self) -> DjangoRepository:
        return DjangoRepository()

    @contextmanager
    def rolled_back(self, repository: DjangoRepository, /) -> Generator[object]:
        with atomic():
            yield repository
            set_rollback(True)

    def test_an_answered_challenge_stays_answered(self, repository: object) -> None:
        """It does; but the device is in the transaction, and does not remember the answer after a rollback."""
        with pytest.raises(ContractError, match=r"Broken: the devices\[0\]\.revision is 0 instead of 1$"):
            DeviceRollbackContract.test_an_answered_challenge_stays_answered(self, repository)

    def test_a_failure_outlasts_a_rollback(self, repository: object) -> None:
        """It does on PostgreSQL; on SQLite the request is the one writer, and a failure is part of it."""
        lost = r"Broken: the action after the rollback\.attempts is 0 instead of 2$"
        with nullcontext() if ON_POSTGRES else pytest.raises(ContractError, match=lost):
            ActionRollbackContract.test_a_failure_outlasts_a_rollback(self, repository)


@pytest.mark.skipif(ON_POSTGRES, reason="this is the process of its own")
def test_the_contract_and_the_rollback_hold_on_postgresql(postgres: str) -> None:
    """The same tests pass with both aliases on one PostgreSQL."""
    host = parse_qs(urlsplit(postgres).query)["host"][0]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", os.path.dirname(__file__)]
    done = subprocess.run(
        command, env=os.environ | {"EXAMPLE_POSTGRES": host}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
