"""Processes of ``passkeycore serve`` that die in the middle of their work lose nothing that was answered.

For longer: ``python -m tests.soak serve``.
"""

from pathlib import Path

import pytest

from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from tests.server.killing import Journey, killed_while_serving


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_what_was_answered_is_there_whoever_is_killed(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    """Registered passkeys sign in, removed ones do not, tracked actions are found, consumed tokens stay consumed."""
    database = f"sqlite:///{tmp_path / 'passkeys.db'}" if name == "sqlite" else request.getfixturevalue("postgres")
    found = killed_while_serving(database, tmp_path, kills=3, seed=1)
    assert found.violations == []
    assert found.kills >= 3
    assert min(found.done[step] for step in ("registered", "signed in", "consumed", "removed")) > 0


def test_a_journey_remembers_what_was_answered_alone() -> None:
    """Until a step is answered, it is not judged."""
    journey = Journey("ada", VirtualClient(SoftwareAuthenticator("ada")))
    assert (journey.tracked, journey.consumed, journey.registered, journey.removed) == ([], [], False, False)
