"""The process that gets killed: ``python -m tests.webhooks.child DATABASE ENDPOINT`` makes one pass over an outbox."""

import sys

from passkeycore.engine.webhooks import WebhookWorker
from passkeycore.repositories.sql import SQLRepository

from .kit import Clock, endpoint, no_jitter


def main(database: str, url: str) -> None:
    """Takes what is due when the tests begin, and sends it."""
    repository = SQLRepository(database, outbox=True)
    worker = WebhookWorker(repository, {"": endpoint(url)}, timeout_s=10.0, now=Clock(), random=no_jitter)
    print(worker.run_once(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
