"""The cases of ``vectors/attestation.jsonl``: statements of every format, good ones and broken ones.

What belongs here: how they are made, with the test kit, the same bytes every time. What they must come to stands in
each case; the negative tests hold the rules themselves.

    python -m tests.samples
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from passkeycore import RelyingParty
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    SoftwareAuthenticator,
    StatementMaker,
    Tamper,
    VirtualClient,
    android_key_maker,
    android_safetynet_maker,
    apple_maker,
    b64url_encode,
    compound_maker,
    der,
    derive,
    fido_u2f_maker,
    packed_maker,
    safetynet_certificate,
    tpm_maker,
)
from passkeycore.testing.statements import make_none, make_packed_self
from passkeycore.testing.statements.apple import apple_extension
from tests import w3c
from tests.ceremony import NOW

PATH: Final = Path(__file__).parent.parent / "vectors" / "attestation.jsonl"
SOURCE: Final = "passkeycore.testing"
ROOT: Final = AttestationAuthority("samples")
MIDDLE: Final = AttestationAuthority("samples", parent=ROOT)
_PACKED: Final = packed_maker(ROOT.issue(TEST_AAGUID))


def _stated(**members: Any) -> Tamper:
    return Tamper(attestation=lambda made: made | {"attStmt": made["attStmt"] | members})


_SAFETYNET: Final = android_safetynet_maker(safetynet_certificate(ROOT), at=NOW)

# Name, maker, what else the registration has, what it comes to, and what is tampered with.
Sample = tuple[str, StatementMaker, Mapping[str, Any], Mapping[str, Any], Tamper]
_PLAIN: Final = Tamper()


def _good(format: str, type: str, *, trusted: bool = True) -> Mapping[str, Any]:
    return {"ok": True, "attestation_format": format, "attestation_type": type, "trusted": trusted}


def _bad(code: str) -> Mapping[str, Any]:
    return {"ok": False, "code": code}


SAMPLES: Final[tuple[Sample, ...]] = (
    ("none", make_none, {}, _good("none", "none", trusted=False), _PLAIN),
    ("packed self", make_packed_self, {}, _good("packed", "self", trusted=False), _PLAIN),
    ("packed", _PACKED, {}, _good("packed", "basic"), _PLAIN),
    ("packed below an intermediate", packed_maker(MIDDLE.issue(TEST_AAGUID)), {}, _good("packed", "basic"), _PLAIN),
    (
        "packed with the AAGUID of another model",
        packed_maker(ROOT.issue(TEST_AAGUID, aaguid_extension=der.octet_string(bytes(16)))),
        {},
        _bad("attestation_certificate_invalid"),
        _PLAIN,
    ),
    ("tpm", tpm_maker(MIDDLE), {}, _good("tpm", "attca"), _PLAIN),
    (
        "tpm of a vendor for tests",
        tpm_maker(MIDDLE),
        {"policy": {"tpm_vendor": "listed"}},
        _bad("attestation_certificate_invalid"),
        _PLAIN,
    ),
    ("tpm 1.2", tpm_maker(MIDDLE), {}, _bad("attestation_statement_invalid"), _stated(ver="1.2")),
    ("android-key", android_key_maker(MIDDLE), {}, _good("android-key", "basic"), _PLAIN),
    (
        "android-key in hardware",
        android_key_maker(MIDDLE),
        {"policy": {"android_key_require_hardware": True}},
        _good("android-key", "basic"),
        _PLAIN,
    ),
    (
        "android-key outside of a StrongBox",
        android_key_maker(MIDDLE),
        {"policy": {"android_key_require_strongbox": True}},
        _bad("security_level_insufficient"),
        _PLAIN,
    ),
    ("apple", apple_maker(MIDDLE), {}, _good("apple", "anonca"), _PLAIN),
    (
        "apple with another nonce",
        apple_maker(MIDDLE, extensions=lambda _: [apple_extension(bytes(32))]),
        {},
        _bad("attestation_statement_invalid"),
        _PLAIN,
    ),
    ("fido-u2f", fido_u2f_maker(ROOT.issue()), {}, _good("fido-u2f", "basic"), _PLAIN),
    (
        "fido-u2f with an AAGUID",
        fido_u2f_maker(ROOT.issue()),
        {"policy": {"fido_u2f_aaguid": "zero"}},
        _bad("attestation_statement_invalid"),
        _PLAIN,
    ),
    (
        "android-safetynet",
        _SAFETYNET,
        {"policy": {"danger_allow_android_safetynet": True}},
        _good("android-safetynet", "basic"),
        _PLAIN,
    ),
    ("android-safetynet that nobody allowed", _SAFETYNET, {}, _bad("attestation_format_unsupported"), _PLAIN),
    ("compound", compound_maker(_PACKED, tpm_maker(MIDDLE)), {}, _good("compound", "compound"), _PLAIN),
    (
        "unknown format",
        _PACKED,
        {},
        _bad("attestation_format_unsupported"),
        Tamper(attestation=lambda made: made | {"fmt": "of-tomorrow"}),
    ),
    (
        "root of somebody else",
        packed_maker(AttestationAuthority("somebody else").issue(TEST_AAGUID)),
        {},
        _bad("attestation_untrusted"),
        _PLAIN,
    ),
)


def cases() -> Iterator[dict[str, Any]]:
    """The cases, as `passkeycore verify` reads them."""
    rp = RelyingParty(id="example.org", origins=["https://example.org"])
    for name, maker, more, expect, tamper in SAMPLES:
        client = VirtualClient(SoftwareAuthenticator("samples", attestation=maker))
        challenge = derive("samples", f"challenge of {name}")
        options = rp.registration_options(
            user_handle=b"samples", user_name="ada", challenge=challenge, attestation="direct", now=NOW
        )
        yield {
            "name": f"attestation/{name}",
            "source": SOURCE,
            "rp": {"id": rp.id, "origins": list(rp.origins)},
            "registration": {
                "challenge": b64url_encode(challenge),
                "response": client.create(options.to_dict(), tamper=tamper),
                "attestation": "direct",
                "trust_anchors": [b64url_encode(ROOT.root)],
                "time": NOW.isoformat().replace("+00:00", "Z"),
                **more,
                "expect": dict(expect),
            },
        }


def the_vector_that_is_refused() -> dict[str, Any]:
    """The W3C's android-key vector, which ``w3c.jsonl`` has as refused, under the policy that accepts it."""
    (case,) = (case for case in w3c.generate() if case["name"] == "w3c/android-key.ES256")
    registration = case["registration"] | {
        "policy": {"danger_allow_empty_android_key_lists": True},
        "expect": _good("android-key", "basic"),
    }
    authentication = {name: value for name, value in case["authentication"].items() if name != "credential"}
    name = "attestation/W3C's android-key with its lists allowed to be empty"
    return case | {"name": name, "registration": registration, "authentication": authentication}


def jsonl() -> str:
    """The text of the file."""
    return w3c.jsonl([*cases(), the_vector_that_is_refused()])


if __name__ == "__main__":
    PATH.write_text(jsonl(), encoding="ascii", newline="\n")
