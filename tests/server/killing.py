"""Clients do whole ceremonies against ``passkeycore serve`` while its processes are killed; then all of it is judged.

    found = killed_while_serving("sqlite:///passkeys.db", directory, kills=3, seed=1)

The rule: what was answered with 2xx is there afterwards. A passkey that was registered signs in, one that was removed
does not; a tracked action is found; a token that was consumed stays consumed. What was cut off may have happened or
not, and is not judged; an answer of the 5xx kind is a violation. ``python -m tests.soak serve`` does it for longer.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx

from passkeycore.testing import ClientError, SoftwareAuthenticator, VirtualClient
from tests.server.kit import API_KEYS, file_text, free_port

WORKERS: Final = 2
CLIENTS: Final = 4
_PATIENCE_S: Final = 120.0  # for a server on a busy machine; what does not come by then never comes
_PAUSES_S: Final = (0.2, 3.0)  # between two kills
_ACTION: Final = "transfer"
_LIMITS: Final = 'limits = { per_tenant = "999999999/minute", per_address = "999999999/minute" }'


@dataclass
class Journey:
    """One user, and what was answered with 2xx about them.

    Attributes:
        user_id: Who.
        client: With their passkey.
        tracked: Keys of actions.
        consumed: Tokens.
        registered: Whether the passkey is stored.
        removed: Whether it was removed; None: nobody knows, it was cut off.
    """

    user_id: str
    client: VirtualClient
    tracked: list[str] = field(default_factory=list[str])
    consumed: list[str] = field(default_factory=list[str])
    registered: bool = False
    removed: bool | None = False


@dataclass
class Found:
    """What came of it.

    Attributes:
        kills: How many processes were killed.
        done: How often each step was answered with 2xx.
        cut_off: How many requests got no answer.
        violations: Broken rules.
    """

    kills: int = 0
    done: Counter[str] = field(default_factory=Counter[str])
    cut_off: int = 0
    violations: list[str] = field(default_factory=list[str])


class _RefusedError(Exception):
    """An answer that is no 2xx."""


class _Caller:
    """Calls the shop's API, over new connections, which any process may take."""

    def __init__(self, url: str, origin: str) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=f"{url}/api/shop", limits=limits, timeout=_PATIENCE_S)
        self.origin = origin

    def post(self, path: str, members: dict[str, Any], token: str = API_KEYS["shop"]) -> Any:
        answer = self.http.post(path, json=members, headers={"Authorization": f"Bearer {token}"})
        if not answer.is_success:
            raise _RefusedError(f"{path}: {answer.status_code} {answer.text[:200]}")
        return answer.json()

    def track(self, journey: Journey, key: str) -> str:
        members = {"user_id": journey.user_id, "action": _ACTION, "idempotency_key": key}
        token: str = self.post("/server/actions/track", members)["token"]
        return token

    def sign_in(self, journey: Journey, key: str) -> str:
        """The token of a success."""
        token = self.track(journey, key)
        options = self.post("/action/passkey/start", {}, token)["options"]
        response = journey.client.get(options)
        proof: str = self.post("/action/passkey/finish", {"response": response}, token)["token"]
        return proof


def killed_while_serving(
    database: str, directory: Path, *, kills: int = 0, seconds: float = 0.0, seed: int = 0
) -> Found:
    """What was found after so many kills at least, and so long at least.

    Args:
        database: An empty one, as a configuration names it.
        directory: For files of the server.
        kills: How many processes are killed at least.
        seconds: How long it takes at least.
        seed: Of the moments.
    """
    found, port = Found(), free_port()
    journeys: list[Journey] = []
    enough = threading.Event()
    with _served(database, directory, port) as process:
        url, origin = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
        threads = [
            threading.Thread(target=_travel, args=(_Caller(url, origin), number, journeys, found, enough))
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        try:
            _kill(process, kills, seconds, seed, found)
        finally:
            enough.set()
            for thread in threads:
                thread.join()
        assert process.poll() is None, "the server itself lives on"
        _wait_until_ready(url)
        for journey in journeys:
            found.violations += _judge(_Caller(url, origin), journey)
    return found


@contextmanager
def _served(database: str, directory: Path, port: int) -> Generator["subprocess.Popen[bytes]"]:
    file = directory / "passkeycore.toml"
    file.write_text(file_text(database, port=port, more=f"workers = {WORKERS}\nport = {port}\n{_LIMITS}"))
    command = [sys.executable, "-m", "passkeycore", "serve", "--config", str(file)]
    with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}")
        yield process
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if httpx.get(f"{url}/ready", timeout=_PATIENCE_S).is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the server does not come")
        time.sleep(0.05)


def _kill(process: "subprocess.Popen[bytes]", kills: int, seconds: float, seed: int, found: Found) -> None:
    random, end = Random(seed), time.monotonic() + seconds  # noqa: S311 - repeatable
    while found.kills < kills or time.monotonic() < end:
        time.sleep(random.uniform(*_PAUSES_S))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        serving = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        if len(serving) == WORKERS:  # so that some are ready in between, on a slow machine as well
            os.kill(random.choice(serving), signal.SIGKILL)
            found.kills += 1


def _travel(caller: _Caller, number: int, journeys: list[Journey], found: Found, enough: threading.Event) -> None:
    turn = 0
    while not enough.is_set():
        turn += 1
        user_id = f"user-{number}-{turn}"
        journey = Journey(user_id, VirtualClient(SoftwareAuthenticator(user_id), caller.origin))
        journeys.append(journey)
        try:
            _ceremonies(caller, journey, found)
        except _RefusedError as refusal:
            found.violations.append(f"{user_id}: refused while processes were killed: {refusal}")
        except httpx.TransportError:
            found.cut_off += 1
            time.sleep(0.05)


def _ceremonies(caller: _Caller, journey: Journey, found: Found) -> None:
    token = caller.track(journey, "first")
    journey.tracked.append("first")
    options = caller.post("/action/register/start", {"user_name": journey.user_id}, token)["options"]
    caller.post("/action/register/finish", {"response": journey.client.create(options)}, token)
    journey.registered = True
    found.done["registered"] += 1
    proof = caller.sign_in(journey, "second")
    journey.tracked.append("second")
    found.done["signed in"] += 1
    caller.post("/server/actions/validate", {"token": proof, "action": _ACTION, "user_id": journey.user_id})
    journey.consumed.append(proof)
    found.done["consumed"] += 1
    if found.done["consumed"] % 2:
        (own,) = caller.post("/server/authenticators", {"user_id": journey.user_id})["authenticators"]
        journey.removed = None
        members = {"user_id": journey.user_id, "authenticator_id": own["authenticator_id"]}
        caller.post("/server/authenticators/remove", members)
        journey.removed = True
        found.done["removed"] += 1


def _judge(caller: _Caller, journey: Journey) -> list[str]:
    """Every rule that is broken about one user."""
    broken: list[str] = []
    for key in journey.tracked:
        members = {"user_id": journey.user_id, "action": _ACTION, "idempotency_key": key}
        try:
            caller.post("/server/actions/get", members)
        except _RefusedError as refusal:
            broken.append(f"{journey.user_id}: the tracked action {key} is not found: {refusal}")
    good_again = [proof for proof in journey.consumed if _is_accepted(caller, proof, journey.user_id)]
    broken += [f"{journey.user_id}: a consumed token is good again" for _ in good_again]
    if journey.registered and journey.removed is not None:
        try:
            caller.sign_in(journey, "judged")
            if journey.removed:
                broken.append(f"{journey.user_id}: a removed passkey signs in")
        except (_RefusedError, ClientError) as refusal:  # the client itself, where nothing is asked for that it has
            if not journey.removed:
                broken.append(f"{journey.user_id}: a registered passkey does not sign in: {refusal}")
    return broken


def _is_accepted(caller: _Caller, proof: str, user_id: str) -> bool:
    try:
        caller.post("/server/actions/validate", {"token": proof, "action": _ACTION, "user_id": user_id})
    except _RefusedError:
        return False
    return True
