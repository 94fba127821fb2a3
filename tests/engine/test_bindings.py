"""What ties a ceremony to a session of a browser, or to the pages around it, ties it to those, or it is refused."""

from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from passkeycore.testing import VirtualClient

from .kit import ADA, EVE, RP, Colour, Engine, browser, engine, refused

EMPTY = ["", b""]


@pytest.mark.parametrize("binding", EMPTY)
def test_an_empty_one_is_refused_at_both_starts(passkeys: Engine, binding: Any) -> None:
    """As from a session that has no id yet: everybody would have the same."""
    calls: tuple[tuple[Any, dict[str, Any]], ...] = (
        (passkeys.start_registration, ADA),
        (passkeys.start_registration, ADA | {"new_user": True}),
        (passkeys.start_registration, {"user_name": "new"}),
        (passkeys.start_authentication, {}),
        (passkeys.start_authentication, {"user_id": "ada", "discoverable": True}),
    )
    for start, arguments in calls:
        with refused("configuration_invalid", passkeys) as caught:
            start(**arguments, binding=binding)
        assert caught.value.path == "binding"
    assert passkeys.under_way() == 0


@pytest.mark.parametrize("begun", [None, "session"])
@pytest.mark.parametrize("finished", EMPTY)
def test_an_empty_one_at_the_finish_matches_nothing(passkeys: Engine, begun: Any, finished: Any) -> None:
    device = browser()
    start = passkeys.start_registration(**ADA, binding=begun)
    with refused("challenge_unknown", passkeys):
        passkeys.finish_registration(device.create(start.to_dict()), user_id="ada", binding=finished)
    passkeys.register(client=device)
    start = passkeys.start_authentication(binding=begun)
    with refused("challenge_unknown", passkeys):
        passkeys.finish_authentication(device.get(start.to_dict()), binding=finished)


class TestTopOrigins:
    """Which pages may embed one ceremony, whatever the Relying Party allows others."""

    PARTNER = "https://partner.example"
    RP_EMBEDDED = replace(RP, top_origins=("https://other.example",), allow_cross_origin=True)

    @pytest.fixture
    def embedded(self, colour: Colour) -> Engine:
        return engine(colour, rp=self.RP_EMBEDDED)

    @pytest.mark.parametrize(
        ("given", "around", "code"),
        [
            (None, {"cross_origin": True, "top_origin": "https://other.example"}, None),
            (None, {"cross_origin": True, "top_origin": PARTNER}, "top_origin_not_allowed"),
            (None, {"cross_origin": True}, None),
            ((PARTNER,), {"cross_origin": True, "top_origin": PARTNER}, None),
            ((PARTNER,), {"cross_origin": True}, None),
            ((PARTNER,), {"cross_origin": True, "top_origin": "https://other.example"}, "top_origin_not_allowed"),
            ((), {}, None),
            ((), {"cross_origin": True}, "cross_origin_not_allowed"),
            ((), {"cross_origin": True, "top_origin": "https://other.example"}, "cross_origin_not_allowed"),
        ],
    )
    def test_both_ceremonies_keep_what_they_began_with(
        self, embedded: Engine, given: Any, around: dict[str, Any], code: str | None
    ) -> None:
        authenticator = browser().authenticator
        client = VirtualClient(authenticator, "https://example.org", **around)
        embedded.register(client=VirtualClient(authenticator, "https://example.org"))
        start = embedded.start_authentication(top_origins=given)
        body = client.get(start.to_dict())
        new = embedded.start_registration(**EVE, top_origins=given)
        made = VirtualClient(browser("eve").authenticator, "https://example.org", **around).create(new.to_dict())
        if code is None:
            assert embedded.finish_authentication(body).user_id == "ada"
            assert embedded.finish_registration(made, user_id="eve")
        else:
            with refused(code, embedded):
                embedded.finish_authentication(body)
            with refused(code, embedded):
                embedded.finish_registration(made, user_id="eve")

    @pytest.mark.parametrize("wrong", ["https://partner.example", ["https://*.example"], ["android:x"], ["null"]])
    def test_they_are_web_origins(self, embedded: Engine, wrong: Any) -> None:
        for start in (embedded.start_authentication, partial(embedded.start_registration, **ADA)):
            with refused("configuration_invalid"):
                start(top_origins=wrong)
