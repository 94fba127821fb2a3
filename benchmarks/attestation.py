"""Registrations whose attestation has to be trusted: ours beside py_webauthn, with the same root, from text to record.

Cold: the store of the root is built, but nothing above the leaf was ever seen; every call has intermediates of its
own. Remembered: the same path above the leaf as the calls before, as for all devices of a model. A batch of packed
devices also shares the leaf; with the other formats every credential, or every device, has its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

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


# By format: who makes statements below an authority, and how many times as fast we are to be, cold and remembered.
_FORMATS: Final[Mapping[str, tuple[Callable[[AttestationAuthority], StatementMaker], float | None, float | None]]] = {
    "packed": (_packed, 1.5, 3.0),
    "tpm": (_tpm, None, None),
    "android-key": (_android_key, 1.5, 2.0),
    "apple": (apple_maker, None, None),
}


def run(rounds: int, peers: Mapping[str, Peer]) -> Section:
    """Measures for `rounds` rounds of ten calls of each contender."""
    contenders: list[Contender] = []
    for format, (maker, _, _) in _FORMATS.items():
        below = [AttestationAuthority(f"benchmark {n}", parent=_ROOT) for n in range(_LEAD_IN + _TIMED + 1)]
        shared = maker(below.pop())
        for name, makers in (
            ("cold", [maker(authority) for authority in below]),
            ("remembered", [shared] * len(below)),
        ):
            cases = attested_cases(format, makers, _ROOT.root)
            contenders.append(Contender(f"{format} {name}: ours", _each(RegistrationCase.ours, cases), _LEAD_IN))
            if _PEER in peers:
                prepare = _each(peers[_PEER].registration, cases)
                contenders.append(Contender(f"{format} {name}: {_PEER}", prepare, _LEAD_IN))

    def before_round() -> None:
        forget_keys()
        forget_paths()

    series = interleave(contenders, rounds, before_round)
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    for format, (_, *goals) in _FORMATS.items():
        for name, goal in zip(("cold", "remembered"), goals, strict=True):
            ours = series[f"{format} {name}: ours"]
            judged: Estimate | str = "not installed"
            if _PEER in peers:
                judged = ratio(series[f"{format} {name}: {_PEER}"], ours)
            value, wanted = (0.0, None) if isinstance(judged, str) else (judged.value, goal)
            rows.append((format, name, f"{ours.median_us:.1f}", times(judged), verdict(value, wanted, at_least=True)))
            data[f"{format} {name}"] = {
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
