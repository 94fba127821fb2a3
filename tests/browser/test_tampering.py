"""Responses of Chromium with one bit changed: whichever it is, the engine refuses them, and only as it promises."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from passkeycore import PasskeyError, RelyingParty, TrustPolicy
from passkeycore.webauthn.encoding import decode_base64url, encode_base64url

from .ceremonies import Party
from .chromium import PLATFORM

ALGORITHMS = {"ES256": -7, "Ed25519": -8, "RS256": -257, "ML-DSA-44": -48}
BITS: Final = (0x01, 0x80)


def changed(response: dict[str, Any], member: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The response with one bit of one byte of a member changed, once for every byte; and what was changed."""
    original = decode_base64url(response["response"][member], member)
    for place in range(len(original)):
        data = bytearray(original)
        data[place] ^= BITS[place % len(BITS)]
        wrong = response["response"] | {member: encode_base64url(bytes(data))}
        yield f"byte {place} of {member}", response | {"response": wrong}


def check(response: dict[str, Any], members: tuple[str, ...], verify: Callable[[dict[str, Any]], object]) -> None:
    verify(response)
    accepted: list[str] = []
    for member in members:
        for what, wrong in changed(response, member):
            try:
                verify(wrong)
            except PasskeyError:
                continue
            accepted.append(what)
    assert accepted == []


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_a_registration(party: Party, algorithm: int) -> None:
    party.tab.plug(PLATFORM)
    created = party.create(algorithms=[algorithm], attestation="direct")
    (leaf,) = party.rp.verify_registration(created.response, created.state).attestation.trust_path
    rp = RelyingParty(
        id=party.rp.id, origins=party.rp.origins, trust=TrustPolicy(anchors=(leaf,), require_trusted=True)
    )
    check(
        json.loads(created.response),
        ("clientDataJSON", "attestationObject"),
        lambda response: rp.verify_registration(response, created.state),
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_an_authentication(party: Party, algorithm: int) -> None:
    party.tab.plug(PLATFORM)
    record = party.enrol(algorithms=[algorithm])
    asserted = party.get()
    check(
        json.loads(asserted.response),
        ("clientDataJSON", "authenticatorData", "signature", "userHandle"),
        lambda response: party.rp.verify_authentication(response, asserted.state, record),
    )
