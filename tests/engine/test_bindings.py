"""Bindings: what ties a ceremony to the session of a browser ties it to one, or it is refused."""

from typing import Any

import pytest

from .kit import ADA, Engine, browser, refused

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
