"""Many at once on SQLite and PostgreSQL, in threads and in tasks: one wins, and nothing is judged too often."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import pytest

from passkeycore import PasskeyError
from passkeycore.engine.devices.service import AsyncDeviceService, DeviceService
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
from passkeycore.testing import SoftwareDevice
from tests.sql import DATABASES, url_of

from ..kit import ADA, NOW
from .kit import CAMERA, PAY, PHONE, SCANNED, SECOND_CAMERA, SHOWN, TABLET, TOKENS, wrong_codes

MANY: Final = 8
Outcome = Counter[str | None]


@dataclass
class World:
    """Ada's devices in a database, and how calls are made at once."""

    service: DeviceService
    repository: SQLRepository
    url: str
    realm: str
    colour: str

    def together(self, calls: Sequence[tuple[str, tuple[Any, ...], dict[str, Any]]]) -> Outcome:
        """What becomes of these calls of the service when they are made at the same moment; None is success."""
        return self._in_threads(calls) if self.colour == "threads" else asyncio.run(self._in_tasks(calls))

    def _in_threads(self, calls: Sequence[tuple[str, tuple[Any, ...], dict[str, Any]]]) -> Outcome:
        barrier, codes, lock = threading.Barrier(len(calls)), Outcome(), threading.Lock()

        def work(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            barrier.wait()
            code = _code(lambda: getattr(self.service, name)(*arguments, **keywords))
            with lock:
                codes[code] += 1

        threads = [threading.Thread(target=work, args=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return codes

    async def _in_tasks(self, calls: Sequence[tuple[str, tuple[Any, ...], dict[str, Any]]]) -> Outcome:
        driver = "sqlite+aiosqlite" if self.url.startswith("sqlite") else "postgresql+psycopg"
        repository = AsyncSQLRepository(f"{driver}://{self.url.split('://')[1]}")
        service = AsyncDeviceService(repository, domain="example.org", realm=self.realm, tokens=TOKENS, now=lambda: NOW)

        async def work(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str | None:
            try:
                await getattr(service, name)(*arguments, **keywords)
            except PasskeyError as error:
                return error.code.value
            return None

        try:
            return Outcome(await asyncio.gather(*(work(*call) for call in calls)))
        finally:
            await repository.close()

    def enrol(self, device: SoftwareDevice) -> str:
        """Ada's."""
        token = self.service.start_enrolment(**ADA).token
        return self.service.enrol_device(
            token,
            method=device.method,
            public_key=device.public_key,
            signature=device.enrol(token),
            name="Phone",
            platform="ios",
        ).authenticator_id

    def challenge(self, id: str) -> Any:
        """As it is stored."""
        return self.repository.find_device_challenge(self.realm, id)


def _code(call: Callable[[], object]) -> str | None:
    try:
        call()
    except PasskeyError as error:
        return error.code.value
    return None


def _answer(device: SoftwareDevice, start: Any, decision: Any = "approve", code: str | None = None) -> Any:
    begun = start.challenge
    signature = device.answer(
        begun.challenge_id, decision, purpose=begun.purpose, verification_code=code, content=begun.content
    )
    keywords = {
        "public_key": device.public_key,
        "signature": signature,
        "decision": decision,
        "verification_code": code,
    }
    return "answer_challenge", (begun.challenge_id,), keywords


@pytest.fixture(params=["threads", "tasks"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, how: str) -> Iterator[World]:
    url = url_of(request, request.param)
    repository = SQLRepository(url, create=True)
    realm = f"devices {uuid4()}"
    service = DeviceService(repository, domain="example.org", realm=realm, tokens=TOKENS, now=lambda: NOW)
    yield World(service, repository, url, realm, how)
    repository.close()


@pytest.mark.parametrize("id", ["A" * 42 + "\0", "A" * 42 + "\ud800", "", None, 7])
def test_an_id_that_no_database_holds_is_unknown(world: World, id: Any) -> None:
    """It must not end in a driver's error."""
    world.enrol(CAMERA)
    key = {"public_key": CAMERA.public_key, "signature": b"x"}
    calls: list[Any] = [
        ("poll_challenge", (id,), {"user_id": "ada"}),
        ("claim_challenge", (id,), key),
        ("answer_challenge", (id,), key | {"decision": "approve"}),
    ]
    assert world.together(calls) == {"challenge_unknown": 3}


def test_of_eight_answers_one_counts(world: World) -> None:
    for device in (PHONE, TABLET):
        world.enrol(device)
    start = world.service.start_challenge(**PAY)
    codes = world.together([_answer((PHONE, TABLET)[n % 2], start) for n in range(MANY)])
    assert codes.pop(None) == 1
    assert set(codes) <= {"challenge_unknown", "signature_invalid", "conflict"}
    assert world.challenge(start.challenge_id).state == "approved"
    assert world.service.poll_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")


def test_of_approvals_and_rejections_at_once_one_counts(world: World) -> None:
    world.enrol(PHONE)
    start = world.service.start_challenge(**PAY)
    codes = world.together([_answer(PHONE, start, ("approve", "reject")[n % 2]) for n in range(MANY)])
    assert codes.pop(None) == 1
    assert set(codes) <= {"challenge_unknown", "conflict"}
    stored = world.challenge(start.challenge_id)
    asked = {"user_id": "ada", "purpose": "transfer:42"}
    ended = _code(lambda: world.service.poll_challenge(start.challenge_id, **asked))
    assert (stored.state, ended) in (("approved", None), ("rejected", "challenge_rejected"))


def test_of_eight_polls_one_gets_the_approval(world: World) -> None:
    world.enrol(PHONE)
    start = world.service.start_challenge(**PAY)
    name, arguments, keywords = _answer(PHONE, start)
    getattr(world.service, name)(*arguments, **keywords)
    asked = {"user_id": "ada", "purpose": "transfer:42"}
    codes = world.together([("poll_challenge", (start.challenge_id,), asked)] * MANY)
    assert codes.pop(None) == 1
    assert set(codes) <= {"challenge_unknown", "conflict"}


def test_of_eight_claims_one_counts(world: World) -> None:
    for device in (CAMERA, SECOND_CAMERA):
        world.enrol(device)
    start = world.service.start_challenge(**SCANNED)
    cameras = [(CAMERA, SECOND_CAMERA)[n % 2] for n in range(MANY)]
    codes = world.together(
        [
            (
                "claim_challenge",
                (start.challenge_id,),
                {"public_key": camera.public_key, "signature": camera.claim(start.challenge_id)},
            )
            for camera in cameras
        ]
    )
    assert codes.pop(None) == 1
    assert set(codes) <= {"challenge_unknown", "signature_invalid", "conflict"}


def test_of_eight_guesses_three_are_judged(world: World) -> None:
    """`max_attempts` bounds them however many come at once."""
    world.enrol(PHONE)
    start = world.service.start_challenge(**SHOWN)
    wrong = wrong_codes(start.challenge.verification_code or "", MANY)
    codes = world.together([_answer(PHONE, start, code=code) for code in wrong])
    assert codes["verification_code_wrong"] == 3
    assert set(codes) <= {"verification_code_wrong", "challenge_unknown", "conflict"}
    right = _answer(PHONE, start, code=start.challenge.verification_code)
    assert world.together([right]) == {"challenge_unknown": 1}
    assert world.challenge(start.challenge_id).attempts_left == 0


def test_of_eight_bad_signatures_three_take_an_attempt(world: World) -> None:
    world.enrol(PHONE)
    start = world.service.start_challenge(**PAY)
    name, arguments, keywords = _answer(PHONE, start)
    codes = world.together([(name, arguments, keywords | {"signature": b"x"})] * MANY)
    assert set(codes) <= {"signature_invalid", "conflict"}
    stored = world.challenge(start.challenge_id)
    assert (stored.state, stored.attempts_left) == ("failed", 0)


def test_a_removal_comes_before_an_answer_or_after_it(world: World) -> None:
    """A device that is gone approves nothing: where its answer was first, the poll finds no device."""
    for _ in range(4):
        id = world.enrol(PHONE)
        start = world.service.start_challenge(**PAY)
        codes = world.together([_answer(PHONE, start), ("remove_device", ("ada", id), {})])
        assert codes[None] in (1, 2)
        state = world.challenge(start.challenge_id).state
        assert (state, codes[None]) in (("approved", 2), ("pending", 1))
        asked = {"user_id": "ada", "purpose": "transfer:42"}
        ended = _code(lambda start=start, asked=asked: world.service.poll_challenge(start.challenge_id, **asked))  # type: ignore[misc]
        assert ended == ("challenge_unknown" if state == "approved" else None)
        assert world.service.list_devices("ada") == ()
        if state == "pending":
            world.service.cancel_challenge(start.challenge_id, **asked)


def test_a_disabled_user_answers_before_or_not_at_all(world: World) -> None:
    world.enrol(PHONE)
    for _ in range(4):
        world.repository.set_user_disabled(world.realm, "ada", None, None)
        start = world.service.start_challenge(**PAY)
        disable = threading.Thread(target=lambda: world.repository.set_user_disabled(world.realm, "ada", NOW, None))
        disable.start()
        codes = world.together([_answer(PHONE, start)])
        disable.join()
        (code,) = codes
        assert (world.challenge(start.challenge_id).state, code) in (
            ("approved", None),
            ("pending", "user_disabled"),
        )
        asked = {"user_id": "ada", "purpose": "transfer:42"}
        ended = _code(lambda start=start, asked=asked: world.service.poll_challenge(start.challenge_id, **asked))  # type: ignore[misc]
        assert ended == ("user_disabled" if code is None else None)


def test_one_token_enrols_one_of_eight_devices(world: World) -> None:
    token = world.service.start_enrolment(**ADA).token
    new = [SoftwareDevice(f"new {number}") for number in range(MANY)]
    codes = world.together(
        [
            (
                "enrol_device",
                (token,),
                {
                    "method": "push",
                    "public_key": device.public_key,
                    "signature": device.enrol(token),
                    "name": "x",
                    "platform": "x",
                },
            )
            for device in new
        ]
    )
    assert codes == {None: 1, "credential_exists": MANY - 1}
    assert len(world.service.list_devices("ada")) == 1


def test_the_limit_holds(world: World) -> None:
    tokens = [world.service.start_enrolment(**ADA).token for _ in range(MANY + 4)]
    new = [SoftwareDevice(f"new {number}") for number in range(MANY + 4)]
    calls = [
        (
            "enrol_device",
            (token,),
            {
                "method": "push",
                "public_key": device.public_key,
                "signature": device.enrol(token),
                "name": "x",
                "platform": "x",
            },
        )
        for token, device in zip(tokens, new, strict=True)
    ]
    codes = world.together(calls)
    assert codes[None] <= 10
    assert set(codes) <= {None, "limit_reached", "conflict"}
    assert len(world.service.list_devices("ada")) == codes[None]
