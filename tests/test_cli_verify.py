"""``passkeycore verify``: expectations, exit codes, pending cases, policies, files and reports."""

import json
from pathlib import Path

import pytest

from tests.command import NONE, PACKED, SELF, W3C, Json, alone, changed, command, credential_of, verify
from tests.w3c import VECTORS_PATH

MISSING = "no-such-format"
REFUSED = changed(alone(NONE, "registration"), "registration", challenge="AAAA")
RIGHT = {"ok": False, "code": "challenge_mismatch"}


# --- The W3C vectors ---


def test_the_w3c_vectors_verify() -> None:
    run = command("verify", VECTORS_PATH, "--json")
    assert run.code == 0
    assert run.err == ""
    seen = {(verdict["name"], verdict["ceremony"]): verdict for verdict in run.objects}
    assert len(seen) == len(run.objects) == 30
    refused = seen.pop(("w3c/android-key.ES256", "registration"))
    assert (refused["ok"], refused["expected"], refused["code"]) == (False, True, "android_key_lists_empty")
    for (name, ceremony), verdict in seen.items():
        assert verdict["ok"] is verdict["expected"] is True, (name, ceremony, verdict)
        assert not {"code", "message", "pending", "unmet"} & verdict.keys()


def test_the_one_that_is_refused_is_accepted_under_its_policy() -> None:
    case = changed(
        W3C["w3c/android-key.ES256"],
        "registration",
        policy={"danger_allow_empty_android_key_lists": True},
        expect={"ok": True, "attestation_format": "android-key", "trusted": True},
    )
    assert verify(case).code == 0


def test_the_directory_of_our_vectors_verifies() -> None:
    run = command("verify", VECTORS_PATH.parent)
    assert run.code == 0
    assert "w3c.jsonl\n" in run.out
    assert "digests.json" not in run.out


def test_details_of_a_registration() -> None:
    registration, authentication = verify(PACKED).objects
    assert registration == {
        "name": "w3c/packed.ES256",
        "ceremony": "registration",
        "ok": True,
        "expected": True,
        "credential_id": PACKED["registration"]["response"]["id"],
        "algorithm": -7,
        "aaguid": "876ca4f5-2071-c3e9-b255-09ef2cdf7ed6",
        "attestation_format": "packed",
        "attestation_type": "basic",
        "trusted": True,
        "user_verified": True,
        "backup_eligible": True,
        "backup_state": False,
        "sign_count": 0,
    }
    assert authentication["user_handle"] is None
    assert authentication["user_verification_trusted"] is True
    assert authentication["sign_count_regressed"] is False


def test_a_report_for_people_shows_every_case_of_a_few() -> None:
    run = command("verify", VECTORS_PATH)
    assert run.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in run.out.splitlines() if line.startswith("w3c/")}
    assert rows.keys() == W3C.keys()
    for name, cells in rows.items():
        first = ["refused:", "android_key_lists_empty"] if "android" in name else ["ok"]
        assert cells == [*first, "ok"]
    assert "\x1b" not in run.out
    assert "15 cases: 29 verified, 1 refused as expected, 0 not as expected" in run.out


def test_a_report_on_many_cases_shows_failures_only() -> None:
    cases = [alone(NONE, "registration") | {"name": f"case {number}"} for number in range(61)]
    cases[30] = changed(cases[30], "registration", challenge="AAAA")
    run = verify(*cases, options=())
    assert run.code == 1
    lines = run.out.splitlines()
    assert lines[0] == "standard input"
    assert lines[1] == "FAILED registration of case 30"
    assert lines[2].startswith("  challenge_mismatch: ")
    assert lines[3] == "  expected ok True"
    assert lines[4] == "61 cases: 60 verified, 1 not as expected"


def test_a_report_on_many_failures_ends() -> None:
    run = verify(*[REFUSED | {"name": f"case {number}"} for number in range(250)], options=())
    assert run.out.count("\nFAILED ") == 100
    assert "... and 150 more; --json has them all" in run.out
    assert "250 cases: 250 not as expected" in run.out


def test_five_thousand_cases() -> None:
    assertion = alone(NONE, "authentication")
    key = credential_of(NONE)
    assertion = changed(assertion, "authentication", credential=key)
    run = verify(*[assertion | {"name": str(number)} for number in range(5000)], options=())
    assert run.code == 0
    assert "5000 cases: 5000 verified" in run.out
    assert len(run.out.splitlines()) < 10


# --- Expectations and exit codes ---


@pytest.mark.parametrize(
    ("case", "expect", "code", "unmet"),
    [
        (NONE, None, 0, None),
        (NONE, {"ok": True}, 0, None),
        (NONE, {"ok": True, "attestation_format": "none", "user_verified": False, "sign_count": 0}, 0, None),
        (NONE, {"ok": True, "nobody knows": 1}, 0, None),
        (NONE, {"ok": True, "code": None}, 0, None),
        (NONE, {"ok": True, "attestation_format": "packed"}, 1, {"attestation_format": "packed"}),
        (NONE, {"ok": True, "user_verified": True, "trusted": False}, 1, {"user_verified": True}),
        (NONE, {"ok": True, "user_verified": 0}, 1, {"user_verified": 0}),
        (NONE, {"ok": False}, 1, {"ok": False}),
        (NONE, {"ok": False, "code": "signature_invalid"}, 1, {"ok": False, "code": "signature_invalid"}),
        (REFUSED, None, 1, None),
        (REFUSED, {"ok": True}, 1, {"ok": True}),
        (REFUSED, {"ok": False}, 0, None),
        (REFUSED, {"ok": False, "code": None}, 0, None),
        (REFUSED, RIGHT, 0, None),
        (REFUSED, RIGHT | {"path": "response.clientDataJSON.challenge"}, 0, None),
        (REFUSED, RIGHT | {"path": "id"}, 1, {"path": "id"}),
        (REFUSED, RIGHT | {"attestation_format": "none"}, 0, None),
        (REFUSED, {"ok": False, "code": "type_mismatch"}, 1, {"code": "type_mismatch"}),
    ],
)  # fmt: skip
def test_expectations(case: Json, expect: Json | None, code: int, unmet: Json | None) -> None:
    run = verify(changed(alone(case, "registration"), "registration", expect=expect))
    assert run.code == code
    (verdict,) = run.objects
    assert verdict["ok"] is (case is NONE)
    assert verdict.get("expected") == (None if expect is None else code == 0)
    assert verdict.get("unmet") == unmet
    assert verdict.get("code") == (None if case is NONE else "challenge_mismatch")


def test_what_was_expected_and_what_came_is_told() -> None:
    accepted = changed(alone(NONE, "registration"), "registration", expect={"ok": True, "attestation_format": "tpm"})
    run = verify(accepted, changed(REFUSED, "registration", expect=None) | {"name": "second"}, options=())
    assert run.code == 1
    assert "FAILED registration of w3c/none.ES256\n  verified: attestation_format 'none'\n" in run.out
    assert "  expected attestation_format 'tpm'\n" in run.out
    assert "FAILED registration of second\n  challenge_mismatch: " in run.out
    assert "  expected to verify\n" in run.out


@pytest.mark.parametrize("bad", [b"{", b"nonsense \xff\x00", b'{"name":"x"}', b"[]", b'"\\ud800"', b"[" * 99_999])
def test_a_line_that_is_no_case_fails_the_run_and_nothing_else(bad: bytes) -> None:
    run = verify(NONE, bad, SELF)
    assert run.code == 1
    first, second, error, *rest = run.objects
    assert first["ok"] is second["ok"] is True
    assert error.pop("message")
    assert error == {"name": None, "ceremony": None, "ok": False, "code": "vector_invalid"}
    assert [verdict["name"] for verdict in rest] == ["w3c/packed-self.ES256"] * 2
    human = verify(NONE, bad, SELF, options=())
    assert human.code == 1
    assert "FAILED line 2" in human.out
    assert "2 cases: 4 verified, 1 no case, 0 not as expected" in human.out


def test_nothing_to_judge_is_no_failure() -> None:
    assert verify(b"").code == 0


# --- Pending cases and policies ---


def test_a_case_that_needs_a_missing_format_is_pending() -> None:
    case = REFUSED | {"name": "waits", "requires": ["packed", MISSING]}
    run = verify(case, case | {"requires": ["packed", "none"]})
    assert run.code == 1
    pending, judged = run.objects
    assert pending == {
        "name": "waits",
        "ceremony": "registration",
        "ok": False,
        "code": "attestation_format_unsupported",
        "message": f"for want of the attestation format {MISSING}",
        "pending": True,
    }
    assert judged["code"] == "challenge_mismatch"


def test_pending_cases_fail_no_run_and_are_counted() -> None:
    cases = [NONE, *(NONE | {"name": f"waits {number}", "requires": [MISSING]} for number in range(100))]
    run = verify(*cases, options=())
    assert run.code == 0
    assert "101 cases: 2 verified, 200 pending, 0 not as expected" in run.out
    assert f"pending, for want of the attestation format {MISSING}: registration of waits 0, " in run.out
    assert "and 190 more" in run.out


@pytest.mark.parametrize(
    "policy",
    [
        {"no such policy": True},
        {"limits": {}},
        {"cbor_key_order": "alphabetic"},
        {"cbor_key_order": ["any"]},
        {"danger_allow_rs1": "yes"},
        {"cbor_max_depth": -1},
        {"cbor_max_depth": 2**64},
        {"cbor_max_depth": True},
        {"min_credential_id_bytes": 10_000},
    ],
)
@pytest.mark.parametrize("ceremony", ["registration", "authentication"])
def test_an_impossible_policy_is_misuse_before_anything_is_judged(policy: Json, ceremony: str) -> None:
    run = verify(SELF, changed(NONE, ceremony, policy=policy))
    assert run.code == 2
    assert run.out == ""
    assert f"the {ceremony} of w3c/none.ES256" in run.err
    assert next(iter(policy)) in run.err
    assert run.err.count("\n") == 1


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({}, None),
        ({"cbor_max_depth": 3, "min_credential_id_bytes": 16, "client_data_encoding": "strict"}, None),
        ({"min_credential_id_bytes": 33}, "credential_id_invalid"),
        ({"cbor_max_depth": 2}, "cbor_invalid"),
    ],
)
def test_a_policy_counts(policy: Json, code: str | None) -> None:
    case = changed(alone(PACKED, "registration"), "registration", policy=policy)
    assert verify(case).objects[0].get("code") == code


def test_the_policy_of_one_ceremony_is_not_the_others() -> None:
    stored = credential_of(NONE) | {"sign_count": 7}
    strict = changed(NONE, "authentication", credential=stored, policy={"sign_count_regression": "reject"})
    registration, authentication = verify(strict).objects
    assert registration["ok"] is True
    assert authentication["code"] == "sign_count_regressed"
    loose = changed(NONE, "authentication", credential=stored) | {"name": "loose"}
    assert verify(changed(loose, "registration", policy={"sign_count_regression": "reject"})).code == 0


# --- Files ---


def test_several_files_and_a_directory(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.json").write_text(json.dumps([SELF, NONE]))
    (tmp_path / "a.jsonl").write_text(json.dumps(NONE))
    (tmp_path / "other.json").write_text('{"digest": 1}')
    run = command("verify", tmp_path, VECTORS_PATH, "--json")
    assert run.code == 0
    assert [verdict["name"] for verdict in run.objects[:6:2]] == [NONE["name"], SELF["name"], NONE["name"]]
    assert len(run.objects) == 36
    human = command("verify", tmp_path)
    assert human.code == 0
    assert "a.jsonl\n" in human.out
    assert "other.json" not in human.out
    assert "2 files: 6 verified, 0 not as expected" in human.out


def test_a_file_that_is_named_is_read_whatever_it_holds() -> None:
    run = command("verify", VECTORS_PATH.with_name("digests.json"), "--json")
    assert run.code == 1
    assert [verdict["code"] for verdict in run.objects] == ["vector_invalid"]
