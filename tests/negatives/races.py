"""Loops about the engine: many threads or tasks at once, storage that fails, and what nobody may learn.

What belongs here: rows of storage and of enumeration that no single change could show. Like `sweeps`, of which it is a
part, it raises `HarnessError`.
"""

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from passkeycore import Code, PasskeyError
from passkeycore.engine.passkeys.decoys import decoys
from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing import SoftwareKey, Tamper, b64url_encode
from passkeycore.testing.contract import ContractError, PasskeyContract

from ..engine.calls import calls_of
from ..engine.kit import ADA, RP, Clock, browser, engine, hooked, stored
from .ceremonies import HarnessError
from .flows import COLOURS, SECRET

THREADS: Final = 16


class _Yielding(AsyncMemoryRepository):
    """A repository whose every answer takes a turn of the event loop, so that tasks interleave."""

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name.startswith("_") or name == "memory":
            return method

        async def call(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            answer = await method(*arguments)
            await asyncio.sleep(0)
            return answer

        return call


def _threads(calls: Sequence[Callable[[], object]]) -> Counter[Code | None]:
    """What becomes of these calls when they are made at the same moment; None is success."""
    barrier, codes, lock = threading.Barrier(len(calls)), Counter[Code | None](), threading.Lock()

    def work(call: Callable[[], object]) -> None:
        barrier.wait()
        code = None
        try:
            call()
        except PasskeyError as error:
            code = error.code
        with lock:
            codes[code] += 1

    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return codes


def _tasks(calls: Sequence[Callable[[], Any]]) -> Counter[Code | None]:
    async def work() -> Counter[Code | None]:
        answers = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
        codes = Counter[Code | None]()
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, PasskeyError):
                raise answer
            codes[answer.code if isinstance(answer, PasskeyError) else None] += 1
        return codes

    return asyncio.run(work())


class _Race:
    """A synchronous service for the stage, and a repository on which both colours compete."""

    def __init__(self) -> None:
        self.memory = MemoryRepository()
        self.stage = engine("sync", memory=self.memory)

    def compete(self, colour: str, verb: str, arguments: Sequence[tuple[Any, dict[str, Any]]]) -> Counter[Code | None]:
        """What becomes of these finishes at the same moment."""
        service: Any = PasskeyService(RP, self.memory, now=Clock())
        if colour == "async":
            repository = _Yielding()
            repository.__dict__["memory"] = self.memory
            service = AsyncPasskeyService(RP, repository, now=Clock())
        method = getattr(service, verb)
        calls = [lambda body=body, members=members: method(body, **members) for body, members in arguments]
        return _threads(calls) if colour == "sync" else _tasks(calls)


def _expect(id: str, codes: Counter[Code | None], wins: int, lost: Code) -> None:
    if codes != Counter({None: wins, lost: THREADS - wins}):
        raise HarnessError(f"{id}: {dict(codes)}")


def one_challenge() -> None:
    """Of many finishes with one challenge one wins, whichever ceremony it is."""
    for colour in COLOURS:
        race = _Race()
        device = browser()
        start = race.stage.start_registration(**ADA)
        body = device.create(start.to_dict())
        codes = race.compete(colour, "finish_registration", THREADS * [(body, {"user_id": "ada"})])
        _expect("enrolling", codes, 1, Code.CHALLENGE_UNKNOWN)
        body = device.get(race.stage.start_authentication().to_dict())
        codes = race.compete(colour, "finish_authentication", THREADS * [(body, {})])
        _expect("signing in", codes, 1, Code.CHALLENGE_UNKNOWN)


def _one_credential(*owners: str) -> None:
    for colour in COLOURS:
        race = _Race()
        finishes: list[tuple[Any, dict[str, Any]]] = []
        for number in range(THREADS):
            user_id = owners[number % len(owners)]
            start = race.stage.start_registration(user_id=user_id, user_name=user_id)
            finishes.append((browser("same").create(start.to_dict()), {"user_id": user_id}))
        _expect(" and ".join(owners), race.compete(colour, "finish_registration", finishes), 1, Code.CREDENTIAL_EXISTS)
        if len(race.memory._owners) != 1:
            raise HarnessError("a credential is registered twice")


def one_credential_of_one_user() -> None:
    """One credential id is registered once, however often its owner tries."""
    _one_credential("ada")


def one_credential_of_two_users() -> None:
    """One credential id is one user's, whoever tries."""
    _one_credential("ada", "eve")


def limit() -> None:
    """A user has never more passkeys than they may."""
    for colour in COLOURS:
        race = _Race()
        finishes: list[tuple[Any, dict[str, Any]]] = []
        for number in range(THREADS):
            start = race.stage.start_registration(**ADA)
            finishes.append((browser(f"{number}").create(start.to_dict()), {"user_id": "ada"}))
        _expect("five", race.compete(colour, "finish_registration", finishes), 5, Code.LIMIT_REACHED)


def counters() -> None:
    """Many counts at once: the highest stays, and whoever comes too late is refused."""
    for colour in COLOURS:
        race = _Race()
        device = browser(sign_count=5, sign_count_step=1)
        race.stage.register(client=device)
        starts = [race.stage.start_authentication() for _ in range(THREADS)]
        finishes: list[tuple[Any, dict[str, Any]]] = [(device.get(start.to_dict()), {}) for start in starts]
        codes = race.compete(colour, "finish_authentication", finishes)
        (passkey,) = race.stage.list_passkeys("ada")
        if not codes.keys() <= {None, Code.SIGN_COUNT_REGRESSED, Code.CONFLICT} or not codes[None]:
            raise HarnessError(f"counting: {dict(codes)}")
        best = 5 + THREADS
        if passkey.credential.sign_count > best or (codes.keys() == {None} and passkey.credential.sign_count != best):
            raise HarnessError(f"the count is {passkey.credential.sign_count}")


class _CheckThenSet(MemoryRepository):
    """What an adapter without a unique index does."""

    def add_passkey(self, *arguments: Any) -> Any:
        passkey = arguments[0]
        with self._lock:
            owner = self._owners.get((passkey.realm, passkey.credential_id))
        if owner is not None:
            return "credential_exists"
        threading.Event().wait(0.01)
        with self._lock:
            self._owners.pop((passkey.realm, passkey.credential_id), None)
        return super().add_passkey(*arguments)


def check_then_set() -> None:
    """The contract finds out a repository that looks first and stores then."""
    contract = PasskeyContract()
    rules = [name for name in dir(contract) if name.startswith("test_") and "credential" in name]
    broken = []
    for name in rules:
        try:
            getattr(contract, name)(_CheckThenSet())
        except ContractError:
            broken.append(name)
        getattr(contract, name)(MemoryRepository())
    if not broken:
        raise HarnessError(f"a store that checks, then sets passes {rules}")


class _DownError(Exception):
    """What a driver raises."""


def _down(*_: object) -> None:
    raise _DownError


def failing_storage() -> None:
    """What the storage raises comes through as it is, and leaves everything as it was."""
    for colour in COLOURS:
        for method in ("take_ceremony", "find_passkey", "advance_passkey"):
            before: dict[str, Callable[..., object]] = {}
            passkeys, device = hooked(colour, before), browser()
            passkeys.register(client=device)
            body = device.get(passkeys.start_authentication().to_dict())
            kept = passkeys.stored()
            before[method] = _down
            try:
                passkeys.finish_authentication(body)
            except _DownError:
                if passkeys.stored() != kept:
                    raise HarnessError(f"{method} failed, and something is stored") from None
            else:
                raise HarnessError(f"{method} failed, and nobody noticed")


def cancellation() -> None:
    """A task that is cancelled after the challenge was taken leaves it spent, and nothing stored."""

    async def story(turns: int) -> bool:
        repository = _Yielding()
        service = AsyncPasskeyService(RP, repository, now=Clock())
        start = await service.start_registration(user_id="ada", user_name="ada")
        kept = stored(repository.memory)
        task = asyncio.create_task(service.finish_registration(browser().create(start.to_dict()), user_id="ada"))
        for _ in range(turns):
            await asyncio.sleep(0)
        ended = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        spent, added = not len(repository.memory._ceremonies), stored(repository.memory) != kept
        if added and not spent:
            raise HarnessError("a passkey is stored, and its challenge can be used again")
        if not ended and added and turns < 4:
            raise HarnessError("a passkey is stored before its ceremony was taken")
        return ended

    turns = 0
    while not asyncio.run(story(turns)):
        turns += 1
    if turns < 4:
        raise HarnessError(f"the finish took {turns} turns only: nothing was cancelled in between")


def shared_record() -> None:
    """Many threads judge with the same record, and none sees another's."""
    race = _Race()
    device = browser(backup_eligible=True)
    race.stage.register(client=device)
    record = race.stage.list_passkeys("ada")[0].credential
    before = record.to_bytes()
    starts = [RP.authentication_options(now=Clock().at) for _ in range(THREADS)]
    bodies = [device.get(start.to_dict()) for start in starts]
    codes = _threads(
        [
            partial(RP.verify_authentication, body, start.state, record, now=Clock().at)
            for body, start in zip(bodies, starts, strict=True)
        ]
    )
    if codes != Counter({None: THREADS}) or record.to_bytes() != before:
        raise HarnessError(f"{dict(codes)}")


_EVERYBODY: Final = ("ada", "off", "bare", "nobody")
_FORGED: Final = Tamper(sign=lambda _, message: SoftwareKey.derive("forger", -7).sign(message))


def _peopled(colour: Any) -> Any:
    passkeys = engine(colour, decoy_secret=SECRET)
    for user_id in ("ada", "off"):
        device = browser(user_id, transports=("internal", "hybrid"))
        passkeys.register(client=device, start={"user_id": user_id, "user_name": user_id})
    passkeys.disable_user("off")
    passkeys.get_or_create_user("bare", "bare")
    return passkeys


def options_of_nobody() -> None:
    """A start for somebody who has nothing here looks like any other."""
    for colour in COLOURS:
        passkeys, shapes = _peopled(colour), set()
        for user_id in _EVERYBODY:
            options = passkeys.start_authentication(user_id=user_id).to_dict()
            named = options.pop("allowCredentials")
            plausible = all(
                each.keys() == {"type", "id", "transports"} and 22 <= len(each["id"]) <= 86 for each in named
            )
            shapes.add(json.dumps(options | {"challenge": len(options["challenge"]), "plausible": plausible}))
        if len(shapes) != 1 or '"plausible": true' not in next(iter(shapes)):
            raise HarnessError(f"{colour}: {shapes}")


def unknown_credential() -> None:
    """A passkey that nobody has is refused as a bad signature is: the same error, after the same work."""
    for colour in COLOURS:
        passkeys, answers = _peopled(colour), set()
        for user_id in _EVERYBODY:
            options = passkeys.start_authentication(user_id=user_id).to_dict()
            named = options["allowCredentials"][0]["id"]
            forger = browser("forger")
            engine("sync", seed="forger").register(client=forger)
            own = b64url_encode(next(iter(forger.authenticator.credentials)))
            body = forger.get(options | {"allowCredentials": []}, tamper=_FORGED)
            del body["response"]["userHandle"]
            body = {name: named if value == own else value for name, value in body.items()}
            with calls_of("verify", "cose.py") as verified:
                try:
                    passkeys.finish_authentication(body)
                except PasskeyError as error:
                    answers.add((type(error), error.code, str(error), error.public_message, error.http_status))
            if verified.number != 1:
                raise HarnessError(f"{user_id} costs {verified.number} verifications")
        if [answer[1] for answer in answers] != [Code.SIGNATURE_INVALID]:
            raise HarnessError(f"{colour}: {answers}")


def stable_decoys() -> None:
    """The same secret makes the same decoys for a user each time, and for nobody else."""
    seen: dict[str, str] = {}
    for user_id in (f"user {number}" for number in range(1000)):
        first, again = decoys(SECRET, "", user_id), decoys(SECRET, "", user_id)
        if first != again:
            raise HarnessError(f"the decoys of {user_id} change")
        for descriptor in first[1]:
            if seen.setdefault(b64url_encode(descriptor.id), user_id) != user_id:
                raise HarnessError(f"{user_id} shares a decoy")
        if first[0] == decoys(SECRET[::-1], "", user_id)[0] or first[0] == decoys(SECRET, "b", user_id)[0]:
            raise HarnessError(f"the decoys of {user_id} do not depend on secret and realm")


def fresh_challenges() -> None:
    """Each start has a challenge of 32 bytes of its own, from the system's randomness."""
    for colour in COLOURS:
        passkeys = engine(colour, random=None)
        drawn = {passkeys.start_authentication().to_dict()["challenge"] for _ in range(100)}
        if len(drawn) != 100 or not all(re.fullmatch(r"[A-Za-z0-9_-]{43}", each) for each in drawn):
            raise HarnessError("a challenge repeats")


RACES: Final = (
    ("A51-options-for-nobody", options_of_nobody),
    ("A53-unknown-credential-and-bad-signature", unknown_credential),
    ("A54-stable-decoys", stable_decoys),
    ("D01-one-challenge-many-finishes", one_challenge),
    ("D05-one-credential-one-user", one_credential_of_one_user),
    ("D05-limit-under-many-writers", limit),
    ("D06-one-credential-two-users", one_credential_of_two_users),
    ("D07-store-that-checks-then-sets", check_then_set),
    ("D08-many-counts-at-once", counters),
    ("D17-storage-that-fails", failing_storage),
    ("D20-cancelled-tasks", cancellation),
    ("D21-one-record-many-threads", shared_record),
    ("V11-fresh-challenges", fresh_challenges),
)
