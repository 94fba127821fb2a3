"""What a service is built with: each setting is checked then, and reaches the ceremonies."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from passkeycore import second_factor, sole_factor
from passkeycore.tokens import Tokens

from .kit import ADA, NOW, SECRET, Colour, browser, engine, refused

_REFUSED: dict[str, list[Any]] = {
    "max_passkeys_per_user": [0, -1, 1.5, "5", None],
    "realm": [None, 7, b"tenant", "a\0", "a\nb", "\x7f", "\ud800", "\u202e"],
    "preset": ["sole_factor", {}, sole_factor, 7, False],
    "timeout_ms": [0, -1, 1.5, "1000", 10**18],
    "conditional_timeout_ms": [0, -1, 1.5, "1000", 10**18],
    "decoy_secret": [b"", SECRET[:-1], SECRET.hex(), bytearray(SECRET), 32, False],
    "tokens": [object(), SECRET, "tokens", False],
    "sinks": [print, {print}, "print", None, iter(())],
}
_ACCEPTED: dict[str, list[Any]] = {
    "max_passkeys_per_user": [1, 1000],
    "realm": ["", "tenant 7", "\u30c6"],
    "preset": [None, sole_factor(), second_factor()],
    "timeout_ms": [None, 1],
    "conditional_timeout_ms": [None, 1],
    "decoy_secret": [None, SECRET, 2 * SECRET],
    "tokens": [None, Tokens([SECRET])],
    "sinks": [(), [], [lambda _: None]],
}
_TIMEOUTS: dict[str, Any] = {"timeout_ms": 60_000, "conditional_timeout_ms": 120_000}


def _each(settings: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in settings.items() for value in values]


@pytest.mark.parametrize(("name", "value"), _each(_REFUSED))
def test_a_value_that_cannot_work_is_refused_by_its_name(colour: Colour, name: str, value: Any) -> None:
    with refused("configuration_invalid") as caught:
        engine(colour, **{name: value})
    assert caught.value.path == name


@pytest.mark.parametrize(("name", "value"), _each(_ACCEPTED))
def test_one_that_can_is_not(colour: Colour, name: str, value: Any) -> None:
    passkeys = engine(colour, **{name: value})
    assert passkeys.register()
    if passkeys.service.dispatcher is not None:
        passkeys.service.dispatcher.close(10)


def test_no_message_shows_a_secret(colour: Colour) -> None:
    short = "secret" * 5
    settings: tuple[dict[str, Any], ...] = (
        {"decoy_secret": short.encode()},
        {"decoy_secret": short},
        {"tokens": short},
    )
    for setting in settings:
        with refused("configuration_invalid") as caught:
            engine(colour, **setting)
        assert short not in str(caught.value) + repr(caught.value)


class TestTimeouts:
    """How long a ceremony takes: of the call, else of the service, else of level 1."""

    @pytest.mark.parametrize("service", [{}, _TIMEOUTS])
    @pytest.mark.parametrize("given", [None, 5000])
    @pytest.mark.parametrize("mediation", [None, "conditional"])
    @pytest.mark.parametrize("verb", ["start_registration", "start_authentication"])
    def test_options_and_state_have_the_same(
        self, colour: Colour, service: Any, given: int | None, mediation: Any, verb: str
    ) -> None:
        passkeys = engine(colour, **service)
        who = ADA if verb == "start_registration" else {}
        start = getattr(passkeys, verb)(**who, mediation=mediation, timeout_ms=given)
        name, usual = ("conditional_timeout_ms", 1_800_000) if mediation else ("timeout_ms", 300_000)
        wanted = given or service.get(name, usual)
        assert start.to_dict()["timeout"] == wanted
        assert start.expires_at == NOW + timedelta(milliseconds=wanted)

    @pytest.mark.parametrize(("after", "code"), [(60, None), (60.001, "challenge_expired")])
    def test_the_finish_holds_to_it(self, colour: Colour, after: float, code: str | None) -> None:
        passkeys, device = engine(colour, **_TIMEOUTS), browser()
        passkeys.register(client=device)
        start = passkeys.start_authentication()
        finish: Callable[[], Any] = lambda: passkeys.finish_authentication(device.get(start.to_dict()))  # noqa: E731
        passkeys.clock.move(seconds=after)
        if code is None:
            assert finish().user_id == "ada"
        else:
            with refused(code, passkeys):
                finish()
