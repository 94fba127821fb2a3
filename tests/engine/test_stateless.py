"""Ceremonies that wait in the client's hands: sealed, handed back once, and of no use to anybody else."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from passkeycore.engine.passkeys.ceremonies import AsyncStatelessCeremonies, StatelessCeremonies
from passkeycore.engine.passkeys.decoys import decoys
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing import Tamper, VirtualClient
from passkeycore.tokens import Tokens

from .kit import ADA, NOW, SECRET, Chance, Colour, Engine, browser, engine, refused
from .test_management import OWNER, RECORD

TOKENS = Tokens([SECRET])
SEALED = "passkeycore/ceremony"


def stateless(
    colour: Colour, tokens: Tokens = TOKENS, *, spent: MemoryRepository | None = None, **settings: Any
) -> Engine:
    """A service whose ceremonies are sealed; what was used is remembered in `spent`."""
    memory = spent or MemoryRepository()
    if colour == "sync":
        return engine(colour, ceremonies=StatelessCeremonies(tokens, memory), **settings)
    repository = AsyncMemoryRepository()
    repository.__dict__["memory"] = memory
    return engine(colour, ceremonies=AsyncStatelessCeremonies(tokens, repository), **settings)


@pytest.fixture
def device() -> VirtualClient:
    """Ada's browser."""
    return browser()


@pytest.fixture
def ada(colour: Colour, device: VirtualClient) -> Engine:
    """A service where ada has a passkey."""
    made = stateless(colour)
    register(made, device)
    return made


def register(passkeys: Engine, device: VirtualClient, **start: Any) -> Any:
    begun = passkeys.start_registration(**(ADA | start))
    return passkeys.finish_registration(
        device.create(begun.to_dict()), user_id=begun.user_id, sealed_state=begun.sealed_state
    )


def test_nothing_is_kept_at_the_start(ada: Engine, device: VirtualClient) -> None:
    start = ada.start_authentication()
    assert ada.under_way() == 0
    assert start.sealed_state not in repr(start)
    done = ada.finish_authentication(device.get(start.to_dict()), sealed_state=start.sealed_state)
    assert done.user_id == "ada"


def test_a_state_counts_once(ada: Engine, device: VirtualClient) -> None:
    start = ada.start_authentication()
    body = device.get(start.to_dict())
    ada.finish_authentication(body, sealed_state=start.sealed_state)
    with refused("challenge_unknown", ada):
        ada.finish_authentication(body, sealed_state=start.sealed_state)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: b"{",
        lambda body: {},
        lambda body: body | {"rawId": "%"},
        lambda body: b" " * 10_000_000,
        lambda body: {"response": {"clientDataJSON": "%"}},
    ],
)
def test_a_body_that_cannot_be_read_spends_the_state_beside_it(ada: Engine, device: VirtualClient, spoil: Any) -> None:
    start = ada.start_authentication()
    body = device.get(start.to_dict())
    with pytest.raises(Exception) as caught:  # noqa: PT011
        ada.finish_authentication(spoil(body), sealed_state=start.sealed_state)
    assert caught.value.code in ("json_invalid", "base64url_invalid", "too_large")  # type: ignore[attr-defined]
    with refused("challenge_unknown", ada):
        ada.finish_authentication(body, sealed_state=start.sealed_state)


def test_a_wrong_response_does(ada: Engine, device: VirtualClient) -> None:
    start = ada.start_authentication()
    with refused("rp_id_mismatch", ada):
        ada.finish_authentication(
            device.get(start.to_dict(), tamper=Tamper(rp_id_hash=lambda _: bytes(32))), sealed_state=start.sealed_state
        )
    with refused("challenge_unknown", ada):
        ada.finish_authentication(device.get(start.to_dict()), sealed_state=start.sealed_state)


def test_a_response_to_another_challenge_does(ada: Engine, device: VirtualClient) -> None:
    first, second = ada.start_authentication(), ada.start_authentication()
    with refused("challenge_unknown", ada):
        ada.finish_authentication(device.get(first.to_dict()), sealed_state=second.sealed_state)
    with refused("challenge_unknown", ada):
        ada.finish_authentication(device.get(second.to_dict()), sealed_state=second.sealed_state)
    assert ada.finish_authentication(device.get(first.to_dict()), sealed_state=first.sealed_state)


@pytest.mark.parametrize(
    "change",
    [
        lambda sealed: None,
        lambda sealed: "",
        lambda sealed: sealed[:-1],
        lambda sealed: sealed + "A",
        lambda sealed: sealed[:-1] + ("A" if sealed[-1] != "A" else "Q"),
        lambda sealed: sealed.replace(".", "", 1),
        lambda sealed: sealed + "é",
        lambda sealed: 100_000 * "A",
        lambda sealed: sealed.encode(),
        lambda sealed: 7,
    ],
)
def test_what_was_altered_or_is_missing_is_unknown(
    ada: Engine, device: VirtualClient, change: Callable[[str], Any]
) -> None:
    start = ada.start_authentication()
    with refused("challenge_unknown", ada):
        ada.finish_authentication(device.get(start.to_dict()), sealed_state=change(start.sealed_state))


def test_every_part_of_it_is_authenticated(ada: Engine, device: VirtualClient) -> None:
    start = ada.start_authentication()
    sealed, body = start.sealed_state, device.get(start.to_dict())
    for place in range(0, len(sealed), 17):
        other = "A" if sealed[place] != "A" else "B"
        with refused("challenge_unknown"):
            ada.finish_authentication(body, sealed_state=sealed[:place] + other + sealed[place + 1 :])
    assert ada.finish_authentication(body, sealed_state=sealed)


def test_another_secret_another_purpose_and_another_kind_are_unknown(
    colour: Colour, ada: Engine, device: VirtualClient
) -> None:
    elsewhere = stateless(colour, Tokens([SECRET[::-1]]), memory=ada.memory, seed="elsewhere")
    expires_at = NOW + timedelta(minutes=5)
    for sealed in (
        elsewhere.start_authentication().sealed_state,
        TOKENS.seal("other", b"", expires_at=expires_at, now=NOW),
        TOKENS.seal(SEALED, b"", expires_at=expires_at, now=NOW),
        TOKENS.seal(SEALED, bytes([255]), expires_at=expires_at, now=NOW),
        TOKENS.seal(SEALED, b"\0no ceremony", expires_at=expires_at, now=NOW),
        TOKENS.seal(SEALED, b"\0pkx1\xc1", expires_at=expires_at, now=NOW),
        TOKENS.issue(SEALED, {}, expires_at=expires_at, now=NOW),
        ada.start_registration(**ADA).sealed_state,
    ):
        start = ada.start_authentication()
        with refused("challenge_unknown", ada):
            ada.finish_authentication(device.get(start.to_dict()), sealed_state=sealed)


def test_a_registration_does_not_finish_as_an_authentication(ada: Engine, device: VirtualClient) -> None:
    begun = ada.start_registration(**ADA)
    options = ada.start_authentication().to_dict() | {"challenge": begun.to_dict()["challenge"]}
    with refused("challenge_unknown", ada):
        ada.finish_authentication(device.get(options), user_id="ada", sealed_state=begun.sealed_state)


def test_another_realm_neither_takes_nor_spends_it(colour: Colour, device: VirtualClient) -> None:
    spent = MemoryRepository()
    first, second = (stateless(colour, spent=spent, realm=realm) for realm in ("a", "b"))
    register(first, device)
    start = first.start_authentication()
    body = device.get(start.to_dict())
    with refused("challenge_unknown"):
        second.finish_authentication(body, sealed_state=start.sealed_state)
    assert first.finish_authentication(body, sealed_state=start.sealed_state)


@pytest.mark.parametrize(("after", "code"), [(300, None), (301, "challenge_expired"), (361, "challenge_unknown")])
def test_it_expires(ada: Engine, device: VirtualClient, after: int, code: str | None) -> None:
    start = ada.start_authentication()
    body = device.get(start.to_dict())
    ada.clock.move(seconds=after)
    if code is None:
        assert ada.finish_authentication(body, sealed_state=start.sealed_state)
    else:
        with refused(code, ada):
            ada.finish_authentication(body, sealed_state=start.sealed_state)


def test_a_clock_that_moved_back_ends_it(ada: Engine, device: VirtualClient) -> None:
    start = ada.start_authentication()
    ada.clock.move(hours=-1)
    with refused("challenge_unknown", ada):
        ada.finish_authentication(device.get(start.to_dict()), sealed_state=start.sealed_state)


def test_another_process_with_the_secret_finishes_it(colour: Colour, device: VirtualClient) -> None:
    spent = MemoryRepository()
    first = stateless(colour, spent=spent)
    register(first, device)
    start = first.start_authentication(binding="session")
    second = stateless(colour, Tokens([Chance("new")(32), SECRET]), spent=spent, memory=first.memory)
    body = device.get(start.to_dict())
    assert second.finish_authentication(body, binding="session", sealed_state=start.sealed_state)
    with refused("challenge_unknown"):
        first.finish_authentication(body, binding="session", sealed_state=start.sealed_state)


def test_new_users_are_created_from_it(colour: Colour, device: VirtualClient) -> None:
    passkeys = stateless(colour)
    start = passkeys.start_registration(user_name="new", binding="session")
    body = device.create(start.to_dict())
    with refused("challenge_unknown", passkeys):
        passkeys.finish_registration(body, binding="another", sealed_state=start.sealed_state)
    start = passkeys.start_registration(user_name="new", binding="session")
    body = browser("second").create(start.to_dict())
    done = passkeys.finish_registration(body, binding="session", sealed_state=start.sealed_state)
    assert done.user_id == start.user_id


def test_what_was_spent_is_forgotten_when_its_state_is_of_no_use_any_more(ada: Engine, device: VirtualClient) -> None:
    ada.remove_expired()
    start = ada.start_authentication()
    body = device.get(start.to_dict())
    ada.finish_authentication(body, sealed_state=start.sealed_state)
    ada.clock.move(minutes=6)
    assert ada.remove_expired() == 0
    with refused("challenge_unknown", ada):
        ada.finish_authentication(body, sealed_state=start.sealed_state)
    ada.clock.move(seconds=1)
    assert ada.remove_expired() == 2, "that of the registration, too"
    with refused("challenge_unknown", ada):
        ada.finish_authentication(body, sealed_state=start.sealed_state)
    assert ada.remove_expired() == 0


def test_room_for_spent_states_that_is_full_refuses(colour: Colour, device: VirtualClient) -> None:
    passkeys = stateless(colour, spent=MemoryRepository(max_spent=1))
    far = passkeys.clock
    far.move(days=365_00)  # far ahead of the real clock, so that nothing is forgotten meanwhile
    register(passkeys, device)
    start = passkeys.start_authentication()
    with refused("challenge_unknown", passkeys):
        passkeys.finish_authentication(device.get(start.to_dict()), sealed_state=start.sealed_state)


def test_a_token_of_the_applications_own_is_none_of_ours(ada: Engine, device: VirtualClient) -> None:
    """An application that seals what a client sent, for a purpose of a plain name, does not seal ceremonies."""
    start = ada.start_authentication()
    content = TOKENS.unseal(SEALED, start.sealed_state, now=NOW)
    own = TOKENS.seal("ceremony", content, expires_at=NOW + timedelta(minutes=5), now=NOW)
    with refused("challenge_unknown", ada):
        ada.finish_authentication(device.get(start.to_dict()), sealed_state=own)
    assert ada.finish_authentication(device.get(start.to_dict()), sealed_state=start.sealed_state)


@pytest.mark.parametrize("stamp", [None, 1024 * "\U0001f511"])
def test_the_longest_list_of_credentials_can_be_sealed(colour: Colour, device: VirtualClient, stamp: Any) -> None:
    """As many as may be imported, each with the longest id there is, and beside them the longest texts."""
    passkeys = stateless(colour, max_passkeys_per_user=40)
    register(passkeys, device)
    for number in range(31):
        record = replace(RECORD, credential_id=bytes([number]) + 1022 * b"x")
        passkeys.import_passkey(**OWNER, credential=record)
    texts = {"account_stamp": stamp, "purpose": stamp}
    start = passkeys.start_authentication(user_id="ada", **texts)
    assert len(start.to_dict()["allowCredentials"]) == 32
    body = device.get(start.to_dict())
    assert passkeys.finish_authentication(body, user_id="ada", **texts, sealed_state=start.sealed_state)
    enrolment = passkeys.start_registration(**ADA, **texts)
    body = browser("another").create(enrolment.to_dict())
    assert passkeys.finish_registration(body, user_id="ada", **texts, sealed_state=enrolment.sealed_state)


class TestLength:
    def test_it_tells_no_more_than_the_options_do(self, colour: Colour) -> None:
        """For the same list of credentials a real user's state is exactly as long as a decoy's."""
        passkeys = stateless(colour, decoy_secret=SECRET, max_passkeys_per_user=5)
        lengths: dict[tuple[int, ...], set[tuple[int, int]]] = {}
        for number in range(12):
            nobody = f"nobody {number:02}"
            shape = tuple(len(each.id) for each in decoys(SECRET, "", nobody)[1])
            for place, length in enumerate(shape):
                device = browser(f"{number} {place}", credential_id_length=length)
                register(passkeys, device, user_id=f"really {number:02}")
            for user_id in (nobody, f"really {number:02}"):
                sealed = passkeys.start_authentication(user_id=user_id).sealed_state
                content = TOKENS.unseal(SEALED, sealed, now=NOW)
                lengths.setdefault(shape, set()).add((len(sealed), len(content)))
        assert len(lengths) > 3
        assert {shape: len(seen) for shape, seen in lengths.items()} == dict.fromkeys(lengths, 1)

    @pytest.mark.parametrize("length", [1, 20, 64])
    def test_nor_does_the_length_of_a_user_handle(self, ada: Engine, length: int) -> None:
        ada.get_or_create_user("other", "other", user_handle=length * b"h")
        register(ada, browser("other"), user_id="other")
        usual = TOKENS.unseal(SEALED, ada.start_authentication(user_id="ada").sealed_state, now=NOW)
        other = TOKENS.unseal(SEALED, ada.start_authentication(user_id="other").sealed_state, now=NOW)
        assert len(other) == len(usual) + len("other") - len("ada")

    def test_and_that_only_in_steps(self, ada: Engine) -> None:
        lengths = {len(ada.start_authentication(binding=number * "a").sealed_state) for number in range(1, 200, 20)}
        assert len(lengths) == 1
        texts = [{"purpose": n * "a", "account_stamp": n * "a"} for n in range(1, 1000, 5)]
        steps = sorted({len(ada.start_registration(**ADA, **text).sealed_state) for text in texts})
        assert all(longer - shorter >= 682 for shorter, longer in itertools.pairwise(steps))
        assert len(steps) in (4, 5)
