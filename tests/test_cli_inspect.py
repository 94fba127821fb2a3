"""``passkeycore inspect``: every kind is recognised and taken apart, and no input at all breaks it."""

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passkeycore.errors import Code
from passkeycore.testing import TEST_AAGUID, SoftwareAuthenticator, VirtualClient
from tests.command import PACKED, RS256, Json, b64, command, credential_of, part, unb64


def inspected(*arguments: str | Path, stdin: bytes = b"") -> Json:
    (found,) = command("inspect", "--json", *arguments, stdin=stdin).objects
    return found


ATTESTATION = part(PACKED, "registration", "attestationObject")
DATA: bytes = cbor2.loads(ATTESTATION)["authData"]
KEY = unb64(credential_of(PACKED)["public_key"])
CLIENT_DATA = part(PACKED, "registration", "clientDataJSON")


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (ATTESTATION, "attestation-object"),
        (DATA, "authenticator-data"),
        (part(PACKED, "authentication", "authenticatorData"), "authenticator-data"),
        (KEY, "cose-key"),
        (unb64(credential_of(RS256)["public_key"]), "cose-key"),
        (CLIENT_DATA, "client-data"),
        (json.dumps(PACKED["registration"]["response"]).encode(), "registration-response"),
        (json.dumps(PACKED["authentication"]["response"]).encode(), "authentication-response"),
    ],
)
def test_every_kind_is_recognised_in_every_spelling(raw: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(raw)
    expected = inspected(tmp_path / "file")
    assert expected["kind"] == kind
    assert expected["errors"] == []
    assert inspected("-", stdin=raw) == expected
    if "response" in kind:
        assert inspected(raw.decode()) == expected
        assert inspected("-", "--as", "response", stdin=b"\xef\xbb\xbf\n" + raw) == expected
        return
    assert inspected("-", "--as", kind, stdin=raw) == expected
    padded = base64.b64encode(raw).decode()
    for text in (b64(raw), padded, f'"{padded}"', raw.hex(), "0x" + raw.hex().upper(), raw.hex(":")):
        assert inspected(text) == expected
    assert inspected("-", stdin=base64.encodebytes(raw)) == expected
    human = command("inspect", b64(raw))
    assert human.code == 0
    assert human.out.startswith(kind.replace("-", " ") + "\n")


def test_an_attestation_object_is_taken_apart() -> None:
    found = inspected(b64(ATTESTATION))
    data, statement = found["authenticator_data"], found["statement"]
    assert found["format"] == "packed"
    assert data["flags"] == ["UP", "UV", "BE", "AT"]
    assert data["sign_count"] == 0
    assert data["rp_id_hash"] == b64(sha256(b"example.org").digest())
    assert data["aaguid"] == "876ca4f5-2071-c3e9-b255-09ef2cdf7ed6"
    assert data["credential_id"] == PACKED["registration"]["response"]["id"]
    key = data["public_key"]
    assert key["key_type"] == {"id": 2, "name": "EC2"}
    assert key["algorithm"] == statement["alg"] == {"id": -7, "name": "ES256"}
    assert key["curve"] == {"id": 1, "name": "P-256"}
    assert len(unb64(key["x"])) == 32
    (leaf,) = statement["x5c"]
    assert leaf["subject"] == "CN=WebAuthn test vectors, O=W3C, OU=Authenticator Attestation, C=AA"
    assert leaf["issuer"].split(", ")[2] == "OU=Authenticator Attestation CA"
    assert (leaf["not_before"], leaf["not_after"]) == ("2024-01-01T00:00:00Z", "3024-01-01T00:00:00Z")
    assert leaf["public_key"] == "EC secp256r1"
    assert leaf["ca"] is False
    assert leaf["extensions"][0] == "basicConstraints (critical)"


def test_a_tree_for_people() -> None:
    run = command("inspect", b64(ATTESTATION))
    for line in (
        "  format: packed",
        "    flags: UP, UV, BE, AT",
        "    aaguid: 876ca4f5-2071-c3e9-b255-09ef2cdf7ed6",
        "      algorithm: ES256 (-7)",
        "        subject: CN=WebAuthn test vectors, O=W3C, OU=Authenticator Attestation, C=AA",
    ):
        assert line in run.out.splitlines()


def test_the_aaguid_of_a_certificate() -> None:
    client = VirtualClient(SoftwareAuthenticator("inspected", attestation="packed"), "https://example.org")
    options = {
        "rp": {"id": "example.org", "name": "Example"},
        "user": {"id": "AAAA", "name": "ada", "displayName": "Ada"},
        "challenge": b64(bytes(32)),
        "pubKeyCredParams": [{"type": "public-key", "alg": -8}],
        "attestation": "direct",
        "extensions": {"credentialProtectionPolicy": "userVerificationRequired", "minPinLength": True},
    }
    found = inspected(json.dumps(client.create(options)))
    assert found["errors"] == []
    attestation = found["attestationObject"]
    assert attestation["authenticator_data"]["aaguid"] == str(TEST_AAGUID)
    assert attestation["authenticator_data"]["flags"][-1] == "ED"
    assert attestation["authenticator_data"]["extensions"] == {"credProtect": 3, "minPinLength": 4}
    assert attestation["authenticator_data"]["public_key"]["curve"] == {"id": 6, "name": "Ed25519"}
    leaf = attestation["statement"]["x5c"][0]
    assert leaf["aaguid"] == str(TEST_AAGUID)
    assert "id-fido-gen-ce-aaguid" in leaf["extensions"]


def test_an_rsa_key() -> None:
    found = inspected(credential_of(RS256)["public_key"])
    assert found["key_type"]["name"] == "RSA"
    assert found["modulus_bits"] == 3482
    assert found["exponent"] == 65537


def test_an_edwards_key_that_is_no_point(tmp_path: Path) -> None:
    key = {1: 1, 3: -8, -1: 6, -2: (2).to_bytes(32, "little")}
    assert [error["code"] for error in inspected(cbor2.dumps(key).hex())["errors"]] == ["public_key_invalid"]


def test_responses_are_found_wherever_they_are() -> None:
    run = command("inspect", "--json", "-", stdin=json.dumps(PACKED).encode())
    assert run.code == 0
    assert [(found["at"], found["kind"]) for found in run.objects] == [
        ("registration.response", "registration-response"),
        ("authentication.response", "authentication-response"),
    ]
    listed = json.dumps({"body": [1, {"credential": PACKED["authentication"]["response"]}]}).encode()
    assert inspected("-", stdin=listed)["at"] == "body[1].credential"
    assert "authentication response at body[1].credential\n" in command("inspect", "-", stdin=listed).out


def test_a_response_is_taken_apart() -> None:
    response = PACKED["registration"]["response"] | {"authenticatorAttachment": "platform"}
    response["response"] = response["response"] | {"transports": ["usb", "tin-can"], "authenticatorData": "AAAA"}
    found = inspected(json.dumps(response))
    assert found["id"] == response["id"]
    assert "rawId" not in found
    assert found["authenticatorAttachment"] == "platform"
    assert found["transports"] == ["usb", "tin-can"]
    assert found["clientDataJSON"]["origin"] == "https://example.org"
    assert found["clientDataJSON"]["challenge"] == PACKED["registration"]["challenge"]
    assert found["attestationObject"]["format"] == "packed"
    assert "authenticatorData" not in found


SECRETS = {
    "credProps": {"rk": True},
    "prf": {"enabled": True, "results": {"first": "c2VjcmV0LXNlY3JldA", "second": [115, 101, 99]}},
    "largeBlob": {"supported": False, "blob": "c2VjcmV0LXNlY3JldA"},
    "getCredBlob": "c2VjcmV0LXNlY3JldA",
    "hmacGetSecret": {"output1": "c2VjcmV0LXNlY3JldA", "number": 115},
    "minPinLength": 6,
    "list": [115],
}


def test_secrets_of_the_client_are_not_shown() -> None:
    response = PACKED["authentication"]["response"] | {"clientExtensionResults": SECRETS}
    flags = bytes([part(PACKED, "authentication", "authenticatorData")[32] | 0x80])
    data = part(PACKED, "authentication", "authenticatorData")
    data = (
        data[:32]
        + flags
        + data[33:]
        + cbor2.dumps(
            {
                "hmac-secret": b"secret-secret",
                "credBlob": b"secret-secret",
                "credProtect": 2,
                "other": ["secret-secret"],
            }
        )
    )
    response = response | {"response": response["response"] | {"authenticatorData": b64(data)}}
    found = inspected(json.dumps(response))
    human = command("inspect", json.dumps(response))
    assert found["errors"] == []
    assert found["clientExtensionResults"] == {
        "credProps": {"rk": True},
        "prf": {"enabled": True, "results": "(not shown)"},
        "largeBlob": {"supported": False, "blob": "(not shown)"},
        "getCredBlob": "(not shown)",
        "hmacGetSecret": {"output1": "(not shown)", "number": "(not shown)"},
        "minPinLength": 6,
        "list": "(not shown)",
    }
    assert found["authenticatorData"]["extensions"] == {
        "hmac-secret": "(not shown)",
        "credBlob": "(not shown)",
        "credProtect": 2,
        "other": "(not shown)",
    }
    for shown in (json.dumps(found), human.out):
        for secret in ("c2VjcmV0", "115", "secret-secret", b"secret-secret".hex(), b64(b"secret-secret")):
            assert secret not in shown


@pytest.mark.parametrize(
    ("raw", "kind", "code", "shown"),
    [
        (ATTESTATION[:-60], "attestation-object", "cbor_invalid", ("format", "packed")),
        (ATTESTATION + b"\0", "attestation-object", "cbor_invalid", ("format", "packed")),
        (cbor2.dumps({"fmt": "none", "authData": DATA}), "attestation-object", "cbor_invalid", ("format", "none")),
        (cbor2.dumps({"fmt": "x", "attStmt": {}, "authData": DATA, "more": 1}), "attestation-object", "cbor_invalid",
         ("more", 1)),
        (DATA[:60], "authenticator-data", "authenticator_data_invalid", ("sign_count", 0)),
        (DATA + b"\1\2", "authenticator-data", "authenticator_data_invalid", ("rest", b64(b"\1\2"))),
        (DATA[:55] + b"\0" * 5, "authenticator-data", "authenticator_data_invalid", ("credential_id_bytes", 32)),
        (KEY[:-1], "cose-key", "public_key_malformed", ("algorithm", {"id": -7, "name": "ES256"})),
        (KEY[:-1] + bytes([KEY[-1] ^ 1]), "cose-key", "public_key_invalid", ("curve", {"id": 1, "name": "P-256"})),
        (cbor2.dumps({1: 2, 3: -4711}), "cose-key", "algorithm_unsupported",
         ("algorithm", {"id": -4711, "name": "unknown"})),
        (b'{"type":"webauthn.get","origin":"https://a.b"}', "client-data", "json_invalid", ("origin", "https://a.b")),
        (b'{"type":"webauthn.get","origin":', "client-data", "json_invalid",
         ("text", '{"type":"webauthn.get","origin":')),
        (b'{"id":"AA","type":"public-key","response":{"signature":"!"}}', "authentication-response", "json_invalid",
         ("signature", "(not base64url)")),
    ],
)  # fmt: skip
def test_what_the_strict_parser_refuses_is_shown_with_the_reason(
    raw: bytes, kind: str, code: str, shown: tuple[str, Any]
) -> None:
    found = inspected("-", stdin=raw)
    assert found["kind"] == kind
    assert code in [error["code"] for error in found["errors"]]
    assert found[shown[0]] == shown[1]
    human = command("inspect", "-", stdin=raw)
    assert human.code == command("inspect", "--json", "-", stdin=raw).code == 1
    assert f"  error 1: {found['errors'][0]['code']}: " in human.out


def test_a_certificate_that_is_none() -> None:
    attestation = cbor2.loads(ATTESTATION)
    attestation["attStmt"]["x5c"] = [b"\x30\x03\x02\x01", "text", attestation["attStmt"]["x5c"][0]]
    found = inspected("-", stdin=cbor2.dumps(attestation))
    first, second, third = found["statement"]["x5c"]
    assert first == {"bytes": 4, "der": b64(b"\x30\x03\x02\x01")}
    assert second == "text"
    assert third["ca"] is False
    assert [error["code"] for error in found["errors"]] == ["certificate_malformed"]


def test_a_compound_statement() -> None:
    packed = cbor2.loads(ATTESTATION)["attStmt"]
    compound: list[Json] = [{"fmt": "none", "attStmt": {}}, {"fmt": "packed", "attStmt": packed}]
    raw = cbor2.dumps({"fmt": "compound", "attStmt": compound, "authData": DATA})
    found = inspected("-", stdin=raw)
    assert found["errors"] == []
    assert found["statement"][1]["attStmt"]["x5c"][0]["public_key"] == "EC secp256r1"


@pytest.mark.parametrize("kind", ["attestation-object", "authenticator-data", "client-data", "cose-key", "response"])
def test_a_wrong_word_for_it_is_no_crash(kind: str) -> None:
    for raw in (ATTESTATION, DATA, KEY, CLIENT_DATA, json.dumps(PACKED).encode(), b"\0", b"\xff" * 50):
        run = command("inspect", "--json", "-", "--as", kind, stdin=raw)
        assert run.code in (0, 1)
        assert all(found["kind"] in (kind, f"registration-{kind}", f"authentication-{kind}", "unknown")
                   for found in run.objects)  # fmt: skip


@pytest.mark.parametrize("value", ["no-such-file.json", "x", "%%%", "\0", "\udcff", "hello world, this is a poem"])
def test_what_is_nothing_is_unknown(value: str) -> None:
    run = command("inspect", "--json", value)
    assert run.code == 1
    assert run.objects[0]["kind"] == "unknown"
    assert "neither a file" in command("inspect", value).out


def test_a_value_longer_than_any_file_name() -> None:
    assert inspected(ATTESTATION.hex() * 1)["errors"] == []
    assert command("inspect", "A" * 100_000).code == 1


def test_too_much_input_is_misuse() -> None:
    run = command("inspect", "-", stdin=b"\0" * (5 << 20))
    assert run.code == 2
    assert run.out == ""


HOSTILE = {
    "deep JSON": b'{"response":' * 3000,
    "deep list": b"[" * 200_000,
    "closed deep list": b"[" * 900 + b"]" * 900,
    "deep client data": b'{"type":"webauthn.get","challenge":"","origin":"","x":' + b"[" * 900 + b"]" * 900 + b"}",
    "deep extensions": json.dumps(PACKED["registration"]["response"]).encode().replace(
        b'"clientExtensionResults": {}', b'"clientExtensionResults": ' + b'{"a":' * 300 + b"1" + b"}" * 300
    ),
    "deep CBOR": b"\xa1\x63fmt" + b"\x81" * 100_000,
    "deep tags": b"\xa1\x63fmt" + b"\xc1" * 100_000,
    "huge array": b"\xa1\x63fmt\x9b" + b"\xff" * 8,
    "huge map": b"\xbb" + b"\xff" * 8 + b"\x63fmt",
    "huge string": b"\xa1\x63fmt\x5b" + b"\xff" * 8,
    "endless strings": b"\xa1\x63fmt\x7f\x5f\x9f\xbf\xff\xff\xff\xff",
    "floats": b"\xa4\x63fmt\xfb\x7f\xf0" + b"\0" * 6 + b"\x01\xf9\x7e\x00\x02\xfa\x7f\x80\0\0\xf6\xf7",
    "huge numbers": b'{"type":"x","x":' + b"9" * 4000 + b',"y":1e999,"z":NaN,"w":-Infinity}',
    "too huge a number": b'{"type":"x","x":' + b"9" * 5000 + b"}",
    "surrogates": b'{"type":"\\ud800","challenge":"\\udfff","origin":"\xed\xa0\x80"}',
    "terminal": b'{"type":"\\u001b[2J\\u202e\\n\\u009b31m","challenge":"","origin":""}',
    "terminal in names": b'{"response":{"signature":"AA"},"\\u001b[2J":1,"clientExtensionResults":{"\\u001b[2J":{}}}',
    "terminal in a path": b'{"\\u001b[2J\\n":{"response":{"signature":"AA"}}}',
    "credential id cut off": DATA[:53] + b"\xff\xff" + DATA[55:80],
    "flags without data": bytes(32) + b"\xff" + bytes(4),
    "null bytes": b"\0" * 5000,
    "numbers for strings": b'{"id":1,"rawId":[],"type":{},"response":{"clientDataJSON":1,"attestationObject":{},'
    b'"signature":[],"transports":7,"userHandle":"="},"clientExtensionResults":"x"}',
}  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", [(), ("--as", "attestation-object"), ("--as", "client-data"), ("--as", "cose-key")])
def test_hostile_input(raw: bytes, kind: tuple[str, ...]) -> None:
    human = command("inspect", "-", *kind, stdin=raw)
    machine = command("inspect", "--json", "-", *kind, stdin=raw)
    assert human.code == machine.code
    assert human.code in (0, 1)
    assert all(line.isprintable() for line in human.out.splitlines())
    for line in machine.out.splitlines():
        assert line.isascii()
        json.loads(line, parse_constant=pytest.fail)


@settings(deadline=None)
@given(
    seed=st.sampled_from([ATTESTATION, DATA, KEY, CLIENT_DATA, json.dumps(PACKED).encode()]),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 6)), max_size=4),
)
def test_whatever_is_done_to_it(seed: bytes, cuts: list[tuple[float, bytes, int]]) -> None:
    raw = seed
    for place, inserted, removed in cuts:
        at = int(place * len(raw))
        raw = raw[:at] + inserted + raw[at + removed :]
    run = command("inspect", "--json", "-", stdin=raw)
    assert run.code in (0, 1, 2 if not raw.strip() else 0)
    for found in run.objects:
        assert {error["code"] for error in found["errors"]} <= {code.value for code in Code}
        assert (run.code == 0) <= (found["errors"] == [])
