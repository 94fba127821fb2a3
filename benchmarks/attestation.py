"""Registrations whose attestation has to be trusted: ours beside py_webauthn, with the same root, from text to record.

Cold: the store of the root is built, but nothing above the leaf was ever seen; every call has intermediates, or a
root, of its own. Remembered: the same path above the leaf as the calls before, as for all devices of a model. A batch
of packed devices also shares the leaf; with the other formats every credential, or every device, has its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    AttestationRequest,
    CborValue,
    StatementMaker,
    apple_maker,
    packed_maker,
    tpm_maker,
)
from passkeycore.testing.statements.android_key import android_key_maker
from passkeycore.testing.statements.tpm import tpm_alternative_name, tpm_certificate
from passkeycore.trust.chain import forget_paths

from .cases import RegistrationCase, attested_cases, forget_keys
from .measure import Call, Contender, Estimate, interleave, ratio
from .peers import Peer
from .report import Section, bound, raw, samples, table, times, verdict

_TIMED: Final = 10
_LEAD_IN: Final = 5
_CALLS: Final = _LEAD_IN + _TIMED
_PEER: Final = "py_webauthn"
_ROOT: Final = AttestationAuthority("benchmark of attestation")


def _packed(authority: AttestationAuthority) -> StatementMaker:
    return packed_maker(authority.issue(TEST_AAGUID))


def _android_key(authority: AttestationAuthority) -> StatementMaker:
    # Four certificates, as devices send them; py_webauthn wants the root among them.
    make = android_key_maker(AttestationAuthority(authority.seed, parent=authority, common_name="device"))

    def with_root(request: AttestationRequest) -> tuple[str, CborValue]:
        format, made = make(request)
        statement = cast("dict[str, Any]", made)
        return format, statement | {"x5c": [*statement["x5c"], _ROOT.root]}

    return with_root


def _tpm(authority: AttestationAuthority) -> StatementMaker:
    names = tpm_alternative_name({"2.23.133.2.1": "id:49424D00", "2.23.133.2.2": "a", "2.23.133.2.3": "id:00010002"})

    def of_a_known_vendor(request: AttestationRequest) -> tuple[str, CborValue]:
        return tpm_maker(tpm_certificate(authority, request.aaguid, alternative_name=names))(request)

    return of_a_known_vendor


class _Kind(NamedTuple):
    """One kind of attestation: who makes statements below an authority, and how many times as fast we are to be."""

    format: str
    make: Callable[[AttestationAuthority], StatementMaker]
    below_root: bool = False
    """Leaves are certified by the root itself; else by an intermediate, which they bring along."""
    cold: float | None = None
    remembered: float | None = None

    def authority(self, number: int) -> AttestationAuthority:
        """One of many authorities: a root of its own, or an intermediate below the one root."""
        return AttestationAuthority(f"benchmark {number}", parent=None if self.below_root else _ROOT)


_KINDS: Final[Mapping[str, _Kind]] = {
    "packed": _Kind("packed", _packed, cold=1.5, remembered=3.0),
    "packed, no intermediate": _Kind("packed", _packed, below_root=True),
    "tpm": _Kind("tpm", _tpm),
    "android-key": _Kind("android-key", _android_key, cold=1.5, remembered=2.0),
    "apple": _Kind("apple", apple_maker),
}


def run(rounds: int, peers: Mapping[str, Peer]) -> Section:
    """Measures for `rounds` rounds of ten calls of each contender."""
    contenders: list[Contender] = []
    for title, kind in _KINDS.items():
        several = [(kind.make(authority), authority.root) for authority in map(kind.authority, range(_CALLS))]
        shared = kind.authority(_CALLS)
        one = (kind.make(shared), shared.root)
        for name, makers in (("cold", several), ("remembered", [one] * _CALLS)):
            cases = attested_cases(kind.format, makers)
            contenders.append(Contender(f"{title} {name}: ours", _each(RegistrationCase.ours, cases), _LEAD_IN))
            if _PEER in peers:
                prepare = _each(peers[_PEER].registration, cases)
                contenders.append(Contender(f"{title} {name}: {_PEER}", prepare, _LEAD_IN))

    def before_round() -> None:
        forget_keys()
        forget_paths()

    series = interleave(contenders, rounds, before_round)
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    for title, kind in _KINDS.items():
        for name, goal in (("cold", kind.cold), ("remembered", kind.remembered)):
            ours = series[f"{title} {name}: ours"]
            judged: Estimate | str = "not installed"
            if _PEER in peers:
                judged = ratio(series[f"{title} {name}: {_PEER}"], ours)
            value, wanted = (0.0, None) if isinstance(judged, str) else (judged.value, goal)
            rows.append((title, name, f"{ours.median_us:.1f}", times(judged), verdict(value, wanted, at_least=True)))
            data[f"{title} {name}"] = {
                "peer_ratio": judged if isinstance(judged, str) else judged.to_dict(),
                "bound": bound(value, wanted, at_least=True),
            }
    text = (
        f"{table(('attestation', 'path', 'ours µs', _PEER, 'bound'), rows)}\n\n"
        f"{_PEER}: times ours, with the same root. bound: so many times slower than ours at least.\n\n"
        + samples(series)
    )
    return Section("attestation", text, {"attestations": data, "series": raw(series)})


def _each(prepare: Callable[[RegistrationCase], Call], cases: Sequence[RegistrationCase]) -> Callable[[], list[Call]]:
    return lambda: [prepare(case) for case in cases]
