"""Cases about a ceremony's state that the client holds: altered, swapped, used twice, or anybody else's. Row J22."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from passkeycore import Code
from passkeycore.tokens import Tokens

from ...engine.kit import ADA, NOW
from ..flows import SECRET, TOKENS, Play, Scene, flow

SIGN_IN: Final = Play(sealed=True)
ENROL: Final = Play(verb="finish_registration", sealed=True)
SESSION: Final = Play(sealed=True, start={"binding": "this session"}, finish={"binding": "this session"})
_UNKNOWN: Final = Code.CHALLENGE_UNKNOWN
_PURPOSE: Final = "passkeycore/ceremony"
_END: Final = NOW + timedelta(minutes=5)


def _sealed(change: Callable[[str], Any]) -> Any:
    def altered(scene: Scene) -> None:
        scene.keywords["sealed_state"] = change(scene.keywords["sealed_state"])

    return altered


def _swapped(**start: Any) -> Any:
    def change(scene: Scene) -> None:
        scene.keywords["sealed_state"] = scene.passkeys.start_authentication(**start).sealed_state

    return change


def _of_a_registration(scene: Scene) -> None:
    scene.keywords["sealed_state"] = scene.passkeys.start_registration(**ADA).sealed_state


def _of_another_realm(scene: Scene) -> None:
    scene.passkeys = scene.another(realm="another")
    scene.notes.append("another realm")


def _expired(scene: Scene) -> None:
    scene.passkeys.clock.move(minutes=6, seconds=1)


def _resealed(with_tokens: Tokens, purpose: str = _PURPOSE) -> Any:
    return _sealed(
        lambda sealed: with_tokens.seal(purpose, TOKENS.unseal(_PURPOSE, sealed, now=NOW), expires_at=_END, now=NOW)
    )


def _flipped(place: int) -> Any:
    return _sealed(lambda sealed: sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :])


CASES: Final = (
    flow("J22-used-twice", _UNKNOWN, SIGN_IN, Scene.act),
    flow("J22.used-twice-to-enrol", _UNKNOWN, ENROL, Scene.act),
    flow("J22.missing", _UNKNOWN, SIGN_IN, _sealed(lambda _: None)),
    flow("J22.empty", _UNKNOWN, SIGN_IN, _sealed(lambda _: "")),
    flow("J22.truncated", _UNKNOWN, SIGN_IN, _sealed(lambda sealed: sealed[:-1])),
    flow("J22.extended", _UNKNOWN, SIGN_IN, _sealed(lambda sealed: sealed + "A")),
    flow("J22.beginning-altered", _UNKNOWN, SIGN_IN, _flipped(0)),
    flow("J22.middle-altered", _UNKNOWN, SIGN_IN, _flipped(300)),
    flow("J22.bytes-instead-of-text", _UNKNOWN, SIGN_IN, _sealed(str.encode)),
    flow("J22.swapped-with-that-of-another-session", _UNKNOWN, SESSION, _swapped(binding="another session")),
    flow("J22.swapped-with-that-of-another-user", _UNKNOWN, SIGN_IN, _swapped(user_id="eve")),
    flow("J22.swapped-with-that-of-a-registration", _UNKNOWN, SIGN_IN, _of_a_registration),
    flow("J22.of-another-realm", _UNKNOWN, SIGN_IN, _of_another_realm),
    flow("J22.expired", _UNKNOWN, SIGN_IN, _expired),
    flow("J22.sealed-with-another-secret", _UNKNOWN, SIGN_IN, _resealed(Tokens([SECRET[::-1]]))),
    flow("J22.sealed-for-another-purpose", _UNKNOWN, SIGN_IN, _resealed(TOKENS, "something-else")),
    flow("J22.late-by-seconds", Code.CHALLENGE_EXPIRED, SIGN_IN, lambda s: s.passkeys.clock.move(minutes=5, seconds=9)),
    flow("J22.late-to-enrol", Code.CHALLENGE_EXPIRED, ENROL, lambda s: s.passkeys.clock.move(minutes=5, seconds=9)),
    flow("J22.sealed-with-a-secret-that-was-rotated", None, SIGN_IN, _resealed(TOKENS)),
)
