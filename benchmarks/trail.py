"""What the trail costs: asked for, and when nobody asks, where it is only ``if trail is not None`` at every check.

The second is too little to be measured as a difference of two verifications. It is estimated: one real verification
is watched for the functions that take a trail, their tests are counted in the bytecode (a little too many, as every
branch counts), and both a bare test and the passing of one more argument are timed a thousand times over.
"""

import dis
import sys
from collections.abc import Mapping
from functools import partial
from types import CodeType, FrameType
from typing import Final

from passkeycore import Trail
from passkeycore.webauthn.cose import ES256

from .cases import AuthenticationCase, authentication_cases, remember_keys
from .measure import Call, Contender, estimate, interleave, overhead
from .peers import Peer
from .report import Section, bound, raw, samples, table, verdict

_CASES: Final = 15
_LEAD_IN: Final = 5
_LOOPS: Final = 1_000
_TESTS: Final = 10  # in `_tests`
_BOUND_US: Final = 0.5


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Measures for `rounds` rounds of ten verifications and one loop of each kind."""
    cases = authentication_cases(ES256, _CASES)
    remember_keys(cases)
    tests, passes = count_tests(cases[0])
    ready = [case.floor() for case in cases]
    loops = {"nothing": _nothing, "10 tests": _tests, "call": _call, "call passing": _pass}
    contenders = [
        Contender("floor", lambda: ready, _LEAD_IN),
        Contender("trail off", lambda: [case.ours() for case in cases], _LEAD_IN),
        Contender("trail on", lambda: [_with_trail(case) for case in cases], _LEAD_IN),
        *(Contender(f"{_LOOPS}x {name}", partial(_batch, loop)) for name, loop in loops.items()),
    ]
    series = interleave(contenders, rounds)

    def cost_off(nothing: float, ten: float, call: float, passing: float) -> float:
        return (tests * (ten - nothing) / _TESTS + passes * (passing - call)) / _LOOPS

    on = overhead(series["trail on"], series["trail off"], series["floor"])
    off = estimate(cost_off, *(series[f"{_LOOPS}x {name}"] for name in loops))
    rows = [
        ("asked for, in bare ES256 checks", f"{on.value:.3f}", "-"),
        (
            f"not asked for, µs ({tests} tests, passed {passes} times)",
            f"{off.value:.3f}",
            verdict(off.value, _BOUND_US),
        ),
    ]
    data = {
        "overhead_on": on.to_dict(),
        "off_us": off.to_dict(),
        "off_bound_us": bound(off.value, _BOUND_US),
        "tests": tests,
        "passes": passes,
        "series": raw(series),
    }
    return Section("trail", f"{table(('a trail', 'cost', 'bound'), rows)}\n\n{samples(series)}", data)


def _with_trail(case: AuthenticationCase) -> Call:
    return partial(case.ours(), trail=Trail())


def count_tests(case: AuthenticationCase) -> tuple[int, int]:
    """How often one verification of `case` tests whether there is a trail, at most, and how often it passes it on.

    Raises:
        RuntimeError: Never: this counts something else than it believes.
    """
    verify, entered = case.ours(), list[CodeType]()

    def watch(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and "trail" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            entered.append(code)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        verify()
    finally:
        sys.setprofile(before)
    tests = sum(map(_tests_in, entered))
    if not tests:
        raise RuntimeError("found no test of a trail in the bytecode")
    return tests, len(entered)


def _tests_in(code: CodeType) -> int:
    found, loaded = 0, False
    for instruction in dis.get_instructions(code):
        found += loaded and instruction.opname.endswith(("IF_NONE", "IF_NOT_NONE"))
        # From Python 3.12 on, one instruction may load two variables; then the test is of the second.
        loaded = instruction.argrepr.split(", ")[-1] == "trail" and instruction.opname.startswith("LOAD_FAST")
    return found


def _batch(loop: Call) -> list[Call]:
    return [loop]


def _nothing(trail: Trail | None = None) -> None:
    for _ in range(_LOOPS):
        pass


def _tests(trail: Trail | None = None) -> None:
    for _ in range(_LOOPS):
        if trail is not None:
            trail.see("1")
        if trail is not None:
            trail.see("2")
        if trail is not None:
            trail.see("3")
        if trail is not None:
            trail.see("4")
        if trail is not None:
            trail.see("5")
        if trail is not None:
            trail.see("6")
        if trail is not None:
            trail.see("7")
        if trail is not None:
            trail.see("8")
        if trail is not None:
            trail.see("9")
        if trail is not None:
            trail.see("10")


def _call(trail: Trail | None = None) -> None:
    for _ in range(_LOOPS):
        _without()


def _pass(trail: Trail | None = None) -> None:
    for _ in range(_LOOPS):
        _taking(trail)


def _without() -> None:
    pass


def _taking(trail: Trail | None) -> None:
    pass
