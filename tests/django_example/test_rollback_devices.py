"""What a rolled back request leaves of devices, their answers and actions; and what the contract does not ask for."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped"
# pyright: reportMissingTypeStubs=false, reportGeneralTypeIssues=false

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import NamedTuple

import pytest
from django.db import OperationalError, connections
from django.db.transaction import atomic, set_rollback
from msgspec.structs import replace

from passkeycore import ChallengeError, CredentialExists, TokenError, VerificationError
from passkeycore.engine.actions.records import ActionFilter
from passkeycore.engine.actions.service import ActionService
from passkeycore.engine.devices.service import DeviceService
from passkeycore.testing import SoftwareDevice
from passkeycore.tokens import Tokens

from .actions import Actions
from .devices import Devices
from .passkeys import Passkeys
from .repository import DjangoRepository

ON_POSTGRES = "EXAMPLE_POSTGRES" in os.environ
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
repository = DjangoRepository()
tokens = Tokens([b"for tests only: nothing that this signs leaves them"])
devices = DeviceService(repository, domain="example.com", tokens=tokens, now=lambda: NOW)
actions = ActionService(repository, tokens=tokens, devices=devices)


class Phone(NamedTuple):
    """A user's phone, and whose it is."""

    key: SoftwareDevice
    user_id: str


@pytest.fixture
def phone() -> Phone:
    """A phone that its user has enrolled."""
    phone = new_phone()
    enrol(phone)
    return phone


def test_an_answer_lasts_when_its_request_is_rolled_back(phone: Phone) -> None:
    """The challenge stays answered, once; only what the device remembers of it falls back."""
    challenge_id = devices.start_challenge(method="push", user_id=phone.user_id).challenge_id
    with rolled_back():
        answer(phone, challenge_id)
    with pytest.raises(ChallengeError):
        answer(phone, challenge_id)
    (device,) = devices.list_devices(phone.user_id)
    assert device.last_used_at is None
    approval = devices.poll_challenge(challenge_id, user_id=phone.user_id)
    assert approval is not None
    assert approval.device.authenticator_id == device.authenticator_id


def test_an_answer_that_was_given_out_stays_so(phone: Phone) -> None:
    """Who polled in a request that was rolled back has had the approval: there is no second."""
    challenge_id = devices.start_challenge(method="push", user_id=phone.user_id).challenge_id
    answer(phone, challenge_id)
    with rolled_back():
        assert devices.poll_challenge(challenge_id, user_id=phone.user_id) is not None
    with pytest.raises(ChallengeError):
        devices.poll_challenge(challenge_id, user_id=phone.user_id)


def test_wrong_codes_count_in_spite_of_a_rollback(phone: Phone) -> None:
    """Nobody guesses for ever by making the request fail: after three wrong codes the right one is refused."""
    start = devices.start_challenge(method="push", user_id=phone.user_id, number_matching=True)
    code = start.challenge.verification_code
    assert code is not None
    for _ in range(3):
        with rolled_back(), pytest.raises(VerificationError):
            answer(phone, start.challenge_id, code[:-1] + str((int(code[-1]) + 1) % 10))
    with pytest.raises(ChallengeError):
        answer(phone, start.challenge_id, code)


def test_attempts_at_an_action_count_in_spite_of_a_rollback(phone: Phone) -> None:
    """Nobody tries for ever by making the request fail. (On SQLite, with its one writer, the view prevents it.)"""
    tracked = actions.track(phone.user_id, "transfer").action
    for _ in range(2):
        (action,) = repository.list_actions("", ActionFilter(user_id=phone.user_id), NOW, None, 2).actions
        failed = replace(action, attempts=action.attempts + 1, revision=action.revision + 1)
        with rolled_back():
            assert repository.record_failure(failed, None) is failed
    stored = actions.get_action(phone.user_id, "transfer", tracked.idempotency_key)
    assert stored == (replace(tracked, attempts=2, revision=2) if ON_POSTGRES else tracked)


def test_a_failure_that_a_rollback_would_undo_is_refused(phone: Phone) -> None:
    """An alias that takes part in the transaction of the request is found out. (On SQLite there is no other.)"""
    careless, action = DjangoRepository(ceremonies="default"), actions.track(phone.user_id, "transfer").action
    failed = replace(action, attempts=1, revision=1)
    with pytest.raises(RuntimeError, match="durable") if ON_POSTGRES else nullcontext(), atomic():
        careless.record_failure(failed, None)
    stored = repository.find_action("", phone.user_id, "transfer", action.idempotency_key)
    assert stored == (action if ON_POSTGRES else failed)


def test_a_device_goes_with_the_transaction_around_it() -> None:
    """A device and its new user are not there without what came with them, and a new token enrols it."""
    phone = new_phone()
    with rolled_back():
        enrol(phone)
        assert len(devices.list_devices(phone.user_id)) == 1
    assert devices.list_devices(phone.user_id) == ()
    assert repository.find_account("", phone.user_id) is None
    enrol(phone)


def test_a_token_is_spent_whatever_becomes_of_its_device() -> None:
    """Or whoever has it would enrol a device once more, after a rollback as after its removal."""
    phone = new_phone()
    token = devices.start_enrolment(phone.user_id, user_name="Ada").token
    with rolled_back():
        enrol(phone, token)
    with pytest.raises(CredentialExists):
        enrol(phone, token)
    assert devices.list_devices(phone.user_id) == ()


def test_a_device_that_is_refused_leaves_the_transaction_usable(phone: Phone) -> None:
    """A key that is taken costs a savepoint, not the transaction: on PostgreSQL, too, the request goes on."""
    other = Phone(phone.key, f"user-{token_hex(8)}")
    with atomic():
        with pytest.raises(CredentialExists):
            enrol(other)
        assert devices.list_devices(other.user_id) == ()
        assert len(devices.list_devices(phone.user_id)) == 1


def test_a_success_is_used_up_together_with_what_it_was_for(phone: Phone) -> None:
    """Rolled back, the transfer was not made, and its confirmation is good again; committed, it is used up."""
    token = actions.track(phone.user_id, "transfer").token
    start = actions.start_device_challenge(token, method="push")
    answer(phone, start.challenge_id, purpose=start.challenge.purpose)
    met = actions.finish_device_challenge(token, start.challenge_id)
    assert met is not None
    with rolled_back():
        actions.validate_challenge(met.token, user_id=phone.user_id, action="transfer", consume=True)
    with atomic():
        actions.validate_challenge(met.token, user_id=phone.user_id, action="transfer", consume=True)
    with pytest.raises(TokenError):
        actions.validate_challenge(met.token, user_id=phone.user_id, action="transfer", consume=True)


def test_a_key_that_was_removed_does_not_come_back_under_its_id(phone: Phone) -> None:
    """A token enrols another key under the same id once the first was removed: what was read before does not count."""
    (removed,) = devices.list_devices(phone.user_id)
    challenge = devices.start_challenge(method="push", user_id=phone.user_id).challenge
    devices.remove_device(phone.user_id, removed.authenticator_id)
    other = replace(removed, public_key=new_phone().key.public_key)
    assert repository.add_device(other, 1, None) == "added"
    stale = replace(removed, revision=1)
    approved = replace(challenge, state="approved", authenticator_id=removed.authenticator_id, revision=1)
    assert not repository.replace_device(stale, None)
    assert not repository.replace_device_challenge(approved, stale, None)
    assert devices.list_devices(phone.user_id) == (other,)


@pytest.mark.parametrize(
    ("part", "alias", "table"), [(Actions, "default", "action"), (Devices, "ceremonies", "devicechallenge")]
)
def test_a_user_is_removed_with_everything_or_not_at_all(
    phone: Phone, part: type[Passkeys], alias: str, table: str
) -> None:
    """Where one of the tables cannot be written, the user, the device, the challenge and the action are all there."""
    challenge_id = devices.start_challenge(method="push", user_id=phone.user_id).challenge_id
    tracked = actions.track(phone.user_id, "transfer")
    with connections[alias].execute_wrapper(failing_deletion(table)), pytest.raises(OperationalError):
        part().remove_user("", phone.user_id, None)
    assert repository.find_account("", phone.user_id) is not None
    assert len(devices.list_devices(phone.user_id)) == 1
    assert devices.challenge_state(challenge_id, user_id=phone.user_id) == "pending"
    assert actions.get_action(phone.user_id, "transfer", tracked.idempotency_key) == tracked.action


def test_challenges_that_expired_are_removed(phone: Phone) -> None:
    """Of what is over by the caller's clock the contract lets storages judge for themselves; this one does not."""
    challenge_id = devices.start_challenge(method="push", user_id=phone.user_id).challenge_id
    repository.remove_expired(NOW + timedelta(hours=1))
    assert repository.find_device_challenge("", challenge_id) is None


def test_an_answer_that_a_rollback_would_undo_is_refused(phone: Phone) -> None:
    """Challenges in the transaction of the request are found out: nobody answers, rather than twice."""
    careless = devices.using(DjangoRepository(ceremonies="default"))
    challenge_id = careless.start_challenge(method="push", user_id=phone.user_id).challenge_id
    with pytest.raises(RuntimeError, match="durable"), atomic():
        answer(phone, challenge_id, by=careless)
    (device,) = devices.list_devices(phone.user_id)
    assert device.last_used_at is None
    assert careless.challenge_state(challenge_id, user_id=phone.user_id) == "pending"


@contextmanager
def rolled_back() -> Generator[None]:
    """What Django does around a request that fails."""
    with atomic():
        yield
        set_rollback(True)


def failing_deletion(table: str) -> Callable[..., object]:
    """What makes the database refuse to delete from the example's `table`."""

    def execute(run: Callable[..., object], sql: str, *rest: object) -> object:
        if sql.startswith("DELETE") and f"_{table}" in sql:
            raise OperationalError("the disk is full")
        return run(sql, *rest)

    return execute


def new_phone() -> Phone:
    """A phone of somebody new."""
    name = token_hex(8)
    return Phone(SoftwareDevice(f"phone-{name}", domain="example.com"), f"user-{name}")


def enrol(phone: Phone, token: str | None = None) -> None:
    """Enrols the phone for its user; None: with a new token."""
    token = token or devices.start_enrolment(phone.user_id, user_name="Ada").token
    signature, key = phone.key.enrol(token), phone.key.public_key
    devices.enrol_device(token, method="push", public_key=key, signature=signature, name="Phone", platform="ios")


def answer(
    phone: Phone, challenge_id: str, code: str | None = None, *, purpose: str | None = None, by: DeviceService = devices
) -> None:
    """The phone approves; what is of an action, by the service of actions."""
    take = by.answer_challenge if purpose is None else actions.answer_device_challenge
    take(
        challenge_id,
        public_key=phone.key.public_key,
        signature=phone.key.answer(challenge_id, "approve", purpose=purpose, verification_code=code),
        decision="approve",
        verification_code=code,
    )
