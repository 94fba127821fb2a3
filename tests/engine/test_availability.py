"""Whether to offer a passkey: every case of what a device remembers and what the server has, in both colours."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from passkeycore import RelyingParty
from passkeycore.engine.passkeys.availability import PromptDecision, PromptReason
from passkeycore.testing import b64url_encode

from .kit import EVE, Colour, Engine, browser, engine, refused

ELSEWHERE: Final = RelyingParty(id="example.net", name="Elsewhere", origins=["https://example.net"])


class Stage:
    """Ada and eve, what ada's device remembers, and the server, which a test sets up by the methods."""

    def __init__(self, colour: Colour) -> None:
        self.colour: Colour = colour
        self.server = engine(colour, max_passkeys_per_user=2)
        self.device: list[Any] = []
        self.others = 0

    def made_here(self) -> None:
        self.device.append(self.server.register("here").credential_id)

    def made_elsewhere(self) -> None:
        self.others += 1
        self.server.register(f"elsewhere {self.others}")

    def synced_and_used_here(self) -> None:
        client = browser("synced")
        self.server.register(client=client)
        done = self.server.finish_authentication(client.get(self.server.start_authentication().to_dict()))
        self.device.append(b64url_encode(done.previous.credential_id))

    def removed_on_the_server(self) -> None:
        self.server.remove_all_passkeys("ada")

    def eves_on_the_same_device(self) -> None:
        self.device.append(self.server.register("eve", start=EVE).credential_id)

    def of_another_realm(self) -> None:
        self._of(engine(self.colour, realm="b", memory=self.server.memory, seed="b"))

    def of_another_relying_party(self) -> None:
        self._of(engine(self.colour, rp=ELSEWHERE, memory=self.server.memory, seed="net"), "https://example.net")

    def _of(self, other: Engine, origin: str | None = None) -> None:
        self.device.append(other.register(client=browser("other", origin)).credential_id)

    def disabled(self) -> None:
        self.server.disable_user("ada")

    def known_without_passkeys(self) -> None:
        self.server.get_or_create_user("ada", "ada")

    def nonsense_on_the_device(self) -> None:
        self.device += ["", "%", "AA==", "A", "é", "\udc00", b"", 1024 * b"a", "A" * 100_000, None, 7, {}, ["AA"]]

    def random_on_the_device(self) -> None:
        self.device.append(b"never seen by the server")


ROWS: Final[dict[str, tuple[tuple[Callable[[Stage], None], ...], bool, PromptReason]]] = {
    "nothing created by anybody": ((), True, "none_created"),
    "a user without passkeys": ((Stage.known_without_passkeys,), True, "none_created"),
    "made elsewhere, synced, not used here yet": ((Stage.made_elsewhere,), True, "not_used_here"),
    "removed on the server": ((Stage.made_here, Stage.removed_on_the_server), True, "removed"),
    "one of two removed, the device's": (
        (Stage.made_here, Stage.removed_on_the_server, Stage.made_elsewhere),
        True,
        "removed",
    ),
    "made here": ((Stage.made_here,), False, "present"),
    "made elsewhere, synced and used here": ((Stage.synced_and_used_here,), False, "present"),
    "present, among others that are not": ((Stage.random_on_the_device, Stage.made_here), False, "present"),
    "present at the limit": ((Stage.made_elsewhere, Stage.made_here), False, "present"),
    "as many as may be, none of them here": (2 * (Stage.made_elsewhere,), False, "limit_reached"),
    "as many as may be, the device's removed": (
        (Stage.made_here, Stage.removed_on_the_server, Stage.made_elsewhere, Stage.made_elsewhere),
        False,
        "limit_reached",
    ),
    "somebody else's on a shared device": ((Stage.eves_on_the_same_device,), True, "removed"),
    "somebody else's, and one's own elsewhere": (
        (Stage.eves_on_the_same_device, Stage.made_elsewhere),
        True,
        "removed",
    ),
    "one's own of another realm": ((Stage.of_another_realm,), True, "removed"),
    "one's own of another relying party": ((Stage.of_another_relying_party,), True, "removed"),
    "never seen by the server": ((Stage.random_on_the_device,), True, "removed"),
    "nonsense alone": ((Stage.nonsense_on_the_device,), True, "none_created"),
    "nonsense, and one elsewhere": ((Stage.nonsense_on_the_device, Stage.made_elsewhere), True, "not_used_here"),
    "nonsense, and one that is present": ((Stage.nonsense_on_the_device, Stage.made_here), False, "present"),
    "disabled": ((Stage.made_elsewhere, Stage.disabled), True, "none_created"),
    "disabled, with what is remembered": ((Stage.made_here, Stage.disabled), True, "removed"),
    "disabled at the limit": ((Stage.made_elsewhere, Stage.made_here, Stage.disabled), True, "removed"),
}


@pytest.mark.parametrize("row", ROWS)
def test_every_case(row: str, colour: Colour) -> None:
    steps, prompt, reason = ROWS[row]
    stage = Stage(colour)
    for step in steps:
        step(stage)
    stored = stage.server.stored()
    decision = stage.server.should_prompt_to_create("ada", stored_credential_ids=stage.device)
    assert decision == PromptDecision(prompt=prompt, reason=reason)
    assert stage.server.stored() == stored  # asking changes nothing


def test_a_device_that_can_have_none_is_never_asked(colour: Colour) -> None:
    stage = Stage(colour)
    stage.made_here()
    for stored in (stage.device, []):
        decision = stage.server.should_prompt_to_create("ada", stored_credential_ids=stored, supported=False)
        assert decision == PromptDecision(prompt=False, reason="not_supported")


@pytest.mark.parametrize("form", [lambda id: id, b64url_encode], ids=["bytes", "base64url"])
def test_ids_come_as_bytes_or_base64url(colour: Colour, form: Callable[[bytes], bytes | str]) -> None:
    server = engine(colour)
    id = server.register().credential_id
    assert server.should_prompt_to_create("ada", stored_credential_ids=(form(id),)).reason == "present"


@pytest.mark.parametrize("remembers", [False, True])
def test_nobody_learns_who_is_there_or_disabled(colour: Colour, remembers: bool) -> None:
    """Somebody unknown, somebody without passkeys and somebody disabled are answered alike, whatever is remembered."""
    server = engine(colour)
    eves = server.register("eve", start=EVE).credential_id
    server.register()
    server.disable_user("ada")
    server.get_or_create_user("bob", "bob")
    stored = [eves] if remembers else []
    answers = {server.should_prompt_to_create(user, stored_credential_ids=stored) for user in ("ada", "bob", "nobody")}
    assert answers == {PromptDecision(prompt=True, reason="removed" if remembers else "none_created")}


def test_a_device_names_at_most_64_ids(passkeys: Engine) -> None:
    id = passkeys.register().credential_id
    ids = [*(bytes([number]) for number in range(63)), id]
    assert passkeys.should_prompt_to_create("ada", stored_credential_ids=ids).reason == "present"
    with refused("too_large", passkeys) as caught:
        passkeys.should_prompt_to_create("ada", stored_credential_ids=[b"x", *ids])
    assert caught.value.path == "stored_credential_ids"


@pytest.mark.parametrize("stored", ["AAAA", b"AAAA", None, 7, {"AAAA": 1}, {"AAAA"}])
def test_what_is_no_list_is_refused(passkeys: Engine, stored: Any) -> None:
    with refused("credential_id_invalid", passkeys) as caught:
        passkeys.should_prompt_to_create("ada", stored_credential_ids=stored)
    assert caught.value.path == "stored_credential_ids"


def test_an_unsupported_device_learns_no_less_of_its_mistakes(passkeys: Engine) -> None:
    with refused("user_id_invalid", passkeys):
        passkeys.should_prompt_to_create("", stored_credential_ids=[], supported=False)
