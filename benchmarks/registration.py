"""Registrations: ours beside the peers, from the text to the new record. Every key is new, as it is in life.

``none`` has a bound; the packed statements are for information, their certificate paths are not judged as nobody is
given anchors. python-fido2 looks at a statement only when it is asked to, which it is for these two.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, get_args

from .cases import AttestationName, RegistrationCase, forget_keys, registration_cases
from .measure import Call, Contender, Estimate, interleave, ratio
from .peers import NAMES, Peer
from .report import Section, bound, raw, samples, table, times, verdict

_TIMED: Final = 10
_LEAD_IN: Final = 5
_BOUND: Final = 2.5
_BOUND_PEER: Final = "py_webauthn"


def run(rounds: int, peers: Mapping[str, Peer]) -> Section:
    """Measures for `rounds` rounds of ten calls of each contender."""
    attestations: tuple[AttestationName, ...] = get_args(AttestationName)
    contenders: list[Contender] = []
    for attestation in attestations:
        cases = registration_cases(attestation, _LEAD_IN + _TIMED)
        contenders.append(Contender(f"{attestation}: ours", _each(RegistrationCase.ours, cases), _LEAD_IN))
        for name, peer in peers.items():
            contenders.append(Contender(f"{attestation}: {name}", _each(peer.registration, cases), _LEAD_IN))
    series = interleave(contenders, rounds, forget_keys)
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    for attestation in attestations:
        ours = series[f"{attestation}: ours"]
        ratios: dict[str, Estimate | str] = {
            name: ratio(series[f"{attestation}: {name}"], ours) if name in peers else "not installed" for name in NAMES
        }
        judged = ratios[_BOUND_PEER]
        goal = _BOUND if attestation == "none" and not isinstance(judged, str) else None
        value = 0.0 if isinstance(judged, str) else judged.value
        rows.append(
            (
                attestation,
                f"{ours.median_us:.1f}",
                *map(times, ratios.values()),
                verdict(value, goal, at_least=True),
            )
        )
        data[attestation] = {
            "peer_ratios": {name: r if isinstance(r, str) else r.to_dict() for name, r in ratios.items()},
            "bound": bound(value, goal, at_least=True),
        }
    text = (
        f"{table(('attestation', 'ours µs', *NAMES, 'bound'), rows)}\n\n"
        f"peers: times ours. bound: of {_BOUND_PEER}, so many times slower than ours at least.\n\n" + samples(series)
    )
    return Section("registration", text, {"attestations": data, "series": raw(series)})


def _each(prepare: Callable[[RegistrationCase], Call], cases: Sequence[RegistrationCase]) -> Callable[[], list[Call]]:
    return lambda: [prepare(case) for case in cases]
