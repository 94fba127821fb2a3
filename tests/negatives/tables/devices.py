"""Cases about trusted devices: whose answer is good for which challenge.

Row V10. Everything else about devices has tables of its own, beside the tests of the engine's flows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from passkeycore import Code, PasskeyError

from ...engine.devices.changes import (
    also,
    another_challenge,
    device_enrolled_anew,
    says,
    signed_as,
    signed_for_another_challenge,
    signer,
)
from ...engine.devices.kit import (
    CAMERA,
    EVES_CAMERA,
    EVES_PHONE,
    PAY,
    SCANNED,
    SECOND_CAMERA,
    STRANGER,
    TABLET,
    Stage,
    staged,
)
from ...engine.kit import Colour
from ..ceremonies import Attempt, HarnessError, digest_of
from ..flows import COLOURS
from ..harness import Case


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer(Case):
    """A case that is a device's answer or claim, in both colours."""

    flow: str
    change: Callable[[Stage], object]
    counts: bool = False
    """It was the key of a device that may answer, so that it counts as an attempt."""
    compatible: bool = False

    @property
    def base(self) -> object:
        return self.flow, self.compatible

    def attempt(self, *, changed: bool) -> Attempt:
        return Attempt(
            self._digest(self._stage("sync", changed)), tuple(partial(self._act, each, changed) for each in COLOURS)
        )

    def _stage(self, colour: Colour, changed: bool) -> Stage:
        stage = staged(colour, self.flow, danger_allow_challenge_id_signatures=self.compatible)
        if changed:
            self.change(stage)
        return stage

    @staticmethod
    def _digest(stage: Stage) -> bytes:
        stored = stage.devices.stored()
        members = [[(name, getattr(each, name)) for name in each.__struct_fields__] for each in _records(stored)]
        return digest_of(stage.verb, stage.positional, sorted(stage.arguments().items()), members)

    def _act(self, colour: Colour, changed: bool) -> object:
        stage = self._stage(colour, changed)
        before = stage.devices.stored()
        try:
            return stage.act()
        except PasskeyError:
            if (stage.devices.stored() == before) is self.counts:
                raise HarnessError(f"{self.id} failed, and what is stored is not as it should be") from None
            raise


def _records(stored: dict[str, Any]) -> list[Any]:
    return [*stored["devices"].values(), *stored["device challenges"].values()]


def _case(
    name: str, flow: str, change: Callable[[Stage], object], code: Code | None = Code.SIGNATURE_INVALID, **members: Any
) -> Answer:
    return Answer(id=name, code=code, flow=flow, change=change, **members)


_BY_ONE, _CLAIMED = "answer by one", "answer what was claimed"
CASES: Final = (
    _case("V10-answer-of-another-device", _BY_ONE, signer(TABLET)),
    _case("V10.answer-of-another-device-to-a-challenge-of-both", "answer", signer(TABLET), None),
    _case("V10.answer-of-another-users-device", "answer", signer(EVES_PHONE)),
    _case("V10.answer-of-another-users-device-to-one-alone", _BY_ONE, signer(EVES_PHONE)),
    _case("V10.answer-of-a-device-that-nobody-enrolled", "answer", signer(STRANGER)),
    _case("V10.answer-of-the-device-enrolled-anew", _BY_ONE, device_enrolled_anew),
    _case("V10.answer-to-another-challenge", "answer", signed_for_another_challenge(PAY), counts=True),
    _case("V10.answer-to-another-users-challenge", "answer", another_challenge(PAY | {"user_id": "eve"})),
    _case("V10.answer-to-another-challenge-of-the-users", "answer", another_challenge(PAY), None),
    _case("V10.answer-by-a-key-for-another-method", "answer", also(signer(CAMERA), signed_as(method="push"))),
    _case("V10.answer-by-another-than-claimed-it", _CLAIMED, signer(SECOND_CAMERA)),
    _case("V10.answer-by-another-users-than-claimed-it", _CLAIMED, signer(EVES_CAMERA)),
    _case("V10.answer-that-nobody-claimed", _CLAIMED, another_challenge(SCANNED), Code.CHALLENGE_UNKNOWN),
    _case("V10.claim-for-another-user", "claim", another_challenge(SCANNED | {"user_id": "eve"})),
    _case("V10.claim-of-another-challenge", "claim", signed_for_another_challenge(SCANNED)),
    _case("V10.rejection-sent-as-approval", "answer", says(more=("reject",)), counts=True),
    _case("V10.signature-for-another-purpose", "answer", says(purpose="transfer:43"), counts=True),
    _case("V10.compatible-answer-of-another-device", "compatible answer by one", signer(TABLET), compatible=True),
    _case("V10.compatible-answer-of-another-users", "compatible answer by one", signer(EVES_PHONE), compatible=True),
    _case(
        "V10.compatible-answer-by-another-than-claimed-it",
        "compatible answer what was claimed",
        signer(EVES_CAMERA),
        compatible=True,
    ),
)
