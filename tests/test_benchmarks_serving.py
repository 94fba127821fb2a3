"""The benchmarks of the server replay sign-ins that are whole, and the bare route does what it is said to do."""

import asyncio
import shutil
import sqlite3
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from benchmarks.serving.floor import DATABASE, EXPECTED, application
from benchmarks.serving.prepared import ORIGIN, PATH, Prepared, prepare, record
from benchmarks.serving.replay import free_port, memory_kib, server


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """Three sign-ins in ``base.db``."""
    return prepare(tmp_path, f"sqlite:///{tmp_path}/base.db", 3)


def bodies(prepared: Prepared) -> list[bytes]:
    return prepared.requests.read_bytes().splitlines()


def counts(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
            for table in ("passkey_ceremonies", "passkey_actions", "passkey_events")
        }


def test_the_server_signs_each_in_once(prepared: Prepared, tmp_path: Path) -> None:
    port = free_port()
    with server(prepared, port) as process:
        url = f"http://127.0.0.1:{port}{PATH}"
        answers = [httpx.post(url, content=body, headers=dict(prepared.headers)) for body in bodies(prepared) * 2]
        assert memory_kib(process) > 0
    assert [answer.status_code for answer in answers] == [200] * 3 + [403] * 3
    assert [answer.json().get("user_id") for answer in answers[:3]] == ["user-0", "user-1", "user-2"]
    assert counts(tmp_path / "base.db")["passkey_ceremonies"] == 0


def test_the_bare_route_writes_the_same(prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("recorded", "floor"):
        shutil.copy(tmp_path / "base.db", tmp_path / f"{name}.db")
    directory = tmp_path / "recorded"
    directory.mkdir()
    before = counts(tmp_path / "base.db")
    expected = record(prepared, f"sqlite:///{tmp_path}/recorded.db", directory, 3)
    monkeypatch.setenv(EXPECTED, str(expected))
    monkeypatch.setenv(DATABASE, f"sqlite:///{tmp_path}/floor.db")
    asyncio.run(_post(application(), bodies(prepared)))
    after = counts(tmp_path / "recorded.db")
    assert counts(tmp_path / "floor.db") == after != before
    assert after["passkey_actions"] == 3


async def _post(app: Starlette, bodies: list[bytes]) -> None:
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as client,
    ):
        for body in bodies:
            assert (await client.post(PATH, content=body)).status_code == 200
