"""A process that is killed between sending and settling: somebody else delivers its event again, and goes on."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from passkeycore.engine import webhooks
from passkeycore.engine.webhooks import DeliveryCounts, WebhookWorker
from passkeycore.repositories.sql import SQLRepository
from passkeycore.webhooks import verify_webhook, webhook_secret

from .kit import BEGUN, LEASE_S, SECRETS, Clock, endpoint, event
from .receiver import PATIENCE_S, Handler, Receiver, receiving

pytest.importorskip("httpx", reason="the extra server is not installed: nothing is sent")

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def _child(database: str, url: str) -> Generator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.webhooks.child", database, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def _unanswered(receiver: Receiver, _: Path) -> Callable[[Handler], None]:
    """The endpoint has the event, and has not said so."""

    def answer(handler: Handler) -> None:
        handler.receiver.over.wait(PATIENCE_S)

    return answer


def _answered(receiver: Receiver, file: Path) -> Callable[[Handler], None]:
    """The endpoint has said that it has the event, but a writer keeps the worker from noting that."""

    def answer(handler: Handler) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            handler.status(200)
            handler.receiver.over.wait(PATIENCE_S)

    return answer


@pytest.mark.parametrize("how", [_unanswered, _answered])
def test_what_a_killed_worker_had_in_hand_is_delivered_after_its_lease(
    how: Callable[[Receiver, Path], Callable[[Handler], None]], tmp_path: Path
) -> None:
    file = tmp_path / "passkeys.db"
    database = f"sqlite:///{file}"
    with closing(SQLRepository(database, create=True, outbox=True)) as repository, receiving() as receiver:
        first, second = event(), event()
        repository.add_event(first)
        repository.add_event(second)
        with receiving() as slow:
            slow.answer = how(slow, file)
            with _child(database, slow.url) as child:
                slow.wait_for(1)
                child.kill()
                assert child.wait(PATIENCE_S) < 0
            assert slow.ids == [first.id]
        clock = Clock()
        with closing(WebhookWorker(repository, {"": endpoint(receiver.url)}, now=clock)) as worker:
            clock.at = BEGUN + timedelta(seconds=LEASE_S - 1)
            assert worker.run_once() == DeliveryCounts()
            clock.at = BEGUN + timedelta(seconds=LEASE_S)
            assert worker.run_once() == DeliveryCounts(delivered=1)
            assert worker.run_once() == DeliveryCounts(delivered=1)
            assert worker.run_once() == DeliveryCounts()
        assert receiver.ids == [first.id, second.id]
        assert receiver.arrived[0].body == slow.arrived[0].body


def test_the_example_of_the_package_runs_and_a_signal_stops_it(tmp_path: Path) -> None:
    lines = str(webhooks.__doc__).splitlines()
    example = dedent("\n".join(line for line in lines if line.startswith("    ") or not line))
    with receiving() as receiver:
        with closing(SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}", create=True, outbox=True)) as repository:
            repository.add_event(event())
        settings = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": webhook_secret(bytes(32)), "PYTHONPATH": str(ROOT)}
        child = subprocess.Popen([sys.executable, "-c", example], cwd=tmp_path, env=os.environ | settings)
        try:
            receiver.wait_for(1)
            child.send_signal(signal.SIGTERM)
            assert child.wait(PATIENCE_S) == 0
        finally:
            child.kill()
            child.wait()
        (arrived,) = receiver.arrived
        sent = datetime.fromtimestamp(int(arrived.headers["webhook-timestamp"]), UTC)
        verify_webhook(SECRETS, arrived.headers, arrived.body, now=sent)


def test_a_worker_that_is_left_alone_settles_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The same child, not killed: so it is the kill that the other test is about."""
    database = f"sqlite:///{tmp_path / 'passkeys.db'}"
    with closing(SQLRepository(database, create=True, outbox=True)) as repository, receiving() as receiver:
        repository.add_event(event())
        with _child(database, receiver.url) as child:
            output, _ = child.communicate(timeout=PATIENCE_S)
        assert "delivered=1" in output
        later = Clock(BEGUN + timedelta(days=9))
        assert WebhookWorker(repository, {"": endpoint(receiver.url)}, now=later).run_once() == DeliveryCounts()
