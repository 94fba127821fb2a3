"""Every ceremony of the tables through the engine: in the synchronous colour, and each eighth in the other."""

import pytest

from ..engine.kit import Colour
from .ceremonies import HarnessError, Kind
from .harness import Ceremony
from .tables import CASES
from .through import check_through

CEREMONIES = [case for case in CASES if isinstance(case, Ceremony)]


@pytest.mark.parametrize("kind", ["create", "get"])
@pytest.mark.parametrize(("colour", "every"), [("sync", 1), ("async", 8)])
def test_the_engine_refuses_what_level_1_refuses(kind: Kind, colour: Colour, every: int) -> None:
    faults = []
    for case in [case for case in CEREMONIES if case.kind == kind][::every]:
        try:
            check_through(case, colour)
        except HarnessError as error:
            faults.append(str(error))
    assert faults == []
