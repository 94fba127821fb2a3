"""For any bytes at all, nothing but `PasskeyError` leaves `parse` and `verify`, and nothing forged is accepted.

More examples: ``HYPOTHESIS_PROFILE=long python -m pytest tests/test_fuzz.py``; the same with ``python -O``.
"""

import json
import os
from typing import Any

import cbor2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passkeycore import (
    AuthenticationResponse,
    CredentialRecord,
    PasskeyError,
    Policy,
    RegistrationResponse,
    RelyingParty,
    TrustPolicy,
)
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    MetadataSigner,
    StatementMaker,
    android_key_maker,
    android_safetynet_maker,
    apple_maker,
    b64url_decode,
    b64url_encode,
    compound_maker,
    fido_u2f_maker,
    metadata_entry,
    metadata_payload,
    packed_maker,
    safetynet_certificate,
    tpm_maker,
)
from passkeycore.trust import AndroidStatusList, Metadata
from passkeycore.webauthn.attestation.certificate import Certificate
from passkeycore.webauthn.authenticator_data import AuthenticatorData
from passkeycore.webauthn.client_data import CollectedClientData
from passkeycore.webauthn.cose import PublicKey, decode_cose_key
from passkeycore.webauthn.options import CreationOptions, RequestOptions
from passkeycore.webauthn.responses import AttestationObject
from tests.ceremony import HANDLE, NOW, client, record, relying_party

settings.register_profile("long", max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("short", max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

AUTHORITY = AttestationAuthority("fuzz")
RP = relying_party(trust=TrustPolicy(anchors=(AUTHORITY.root,)))
DEVICE = client("fuzz", attestation="packed", authority=AUTHORITY, backup_eligible=True)
REGISTRATION = RP.registration_options(
    user_handle=HANDLE,
    user_name="ada",
    attestation="direct",
    extensions={"credProps": True, "prf": {}, "credentialProtectionPolicy": "userVerificationRequired"},
    now=NOW,
)
CREATED = DEVICE.create(REGISTRATION.to_dict())
RECORD = RP.verify_registration(CREATED, REGISTRATION.state, now=NOW).credential
AUTHENTICATION = RP.authentication_options(extensions={"prf": {"eval": {"first": "AAAA"}}}, now=NOW)
GOT = DEVICE.get(AUTHENTICATION.to_dict())
ED25519 = record(RP, client("fuzz ed25519"), algorithms=[-8])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)
CBOR = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=80) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers() | st.text(max_size=12), inner, max_size=5)
    ),
    max_leaves=10,
)


def mutations(data: bytes) -> st.SearchStrategy[bytes]:
    """`data` with a few bits flipped, or bytes cut out and put in."""
    position = st.integers(0, max(len(data) - 1, 0))

    def flip(positions: list[tuple[int, int]]) -> bytes:
        changed = bytearray(data)
        for at, bit in positions:
            changed[at] ^= 1 << bit
        return bytes(changed)

    flipped = st.lists(st.tuples(position, st.integers(0, 7)), min_size=1, max_size=3).map(flip)
    spliced = st.tuples(position, st.integers(0, 12), st.binary(max_size=12)).map(
        lambda change: data[: change[0]] + change[2] + data[change[0] + change[1] :]
    )
    return flipped | spliced


def only_passkey_errors(action: Any) -> Any:
    """What `action` answers, or None when it refuses as it may."""
    try:
        return action()
    except PasskeyError as error:
        json.dumps(error.to_dict())
        assert str(error).isprintable()
        return None


def judge(rp: RelyingParty, body: Any) -> None:
    """Both ceremonies on one body. What is accepted must be what was made, to the last signed byte."""
    outcome = only_passkey_errors(lambda: rp.verify_registration(body, REGISTRATION.state, now=NOW))
    if outcome is not None:
        assert outcome.credential.credential_id == RECORD.credential_id
        assert outcome.credential.public_key == RECORD.public_key
    done = only_passkey_errors(lambda: rp.verify_authentication(body, AUTHENTICATION.state, RECORD, now=NOW))
    if done is not None:
        assert b64url_encode(done.authenticator_data.raw) == GOT["response"]["authenticatorData"]


@given(st.binary(max_size=300) | st.text(max_size=200) | JSON.map(json.dumps) | JSON)
def test_any_body(body: Any) -> None:
    judge(RP, body)


@given(mutations(json.dumps(CREATED).encode()) | mutations(json.dumps(GOT).encode()))
def test_a_changed_body(body: bytes) -> None:
    judge(RP, body)


@given(st.sampled_from([CREATED, GOT]), st.data())
def test_a_changed_member(response: dict[str, Any], data: st.DataObject) -> None:
    members = json.loads(json.dumps(response))
    within = members["response"] if data.draw(st.booleans()) else members
    name = data.draw(st.sampled_from(sorted(within)))
    within[name] = data.draw(JSON)
    judge(RP, members)
    judge(RP, json.dumps(members))


@given(st.sampled_from([CREATED, GOT]), st.data())
def test_a_changed_value_inside_a_member(response: dict[str, Any], data: st.DataObject) -> None:
    members = json.loads(json.dumps(response))
    name = data.draw(st.sampled_from(sorted(k for k, v in members["response"].items() if isinstance(v, str))))
    members["response"][name] = b64url_encode(data.draw(mutations(b64url_decode(members["response"][name]))))
    judge(RP, members)


OBJECT: dict[str, Any] = cbor2.loads(b64url_decode(CREATED["response"]["attestationObject"]))


@given(st.sampled_from(["fmt", "attStmt", "authData", "alg", "sig", "x5c", "leaf"]), CBOR, st.data())
def test_a_changed_attestation_object(name: str, value: Any, data: st.DataObject) -> None:
    changed: dict[str, Any] = {**OBJECT, "attStmt": {**OBJECT["attStmt"]}}
    if name == "leaf":
        changed["attStmt"]["x5c"] = [data.draw(mutations(OBJECT["attStmt"]["x5c"][0]))]
    else:
        (changed if name in changed else changed["attStmt"])[name] = value
    response = {**CREATED["response"], "attestationObject": b64url_encode(cbor2.dumps(changed))}
    judge(RP, {**CREATED, "response": response})


# One valid registration with a statement of each format, under policies that let it through to its last check.
_OPEN = relying_party(
    trust=TrustPolicy(
        anchors=(AUTHORITY.root,),
        metadata=Metadata.from_unsigned_payload(
            json.dumps(metadata_payload(metadata_entry(TEST_AAGUID, [AUTHORITY.root]))).encode()
        ),
        android_status=AndroidStatusList.parse(b'{"entries": {}}', NOW),
    ),
    policy=Policy(danger_allow_android_safetynet=True, danger_allow_rs1=True),
)
_PACKED = packed_maker(AUTHORITY.issue(TEST_AAGUID))
MAKERS: dict[str, StatementMaker] = {
    "packed": _PACKED,
    "tpm": tpm_maker(AUTHORITY),
    "android-key": android_key_maker(AUTHORITY),
    "android-safetynet": android_safetynet_maker(safetynet_certificate(AUTHORITY), at=NOW),
    "apple": apple_maker(AUTHORITY),
    "fido-u2f": fido_u2f_maker(AUTHORITY.issue()),
    "compound": compound_maker(_PACKED, tpm_maker(AUTHORITY)),
}


def attested(format: str) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """The response, its attestation object and the state of a registration with a statement of this format."""
    start = _OPEN.registration_options(user_handle=HANDLE, user_name="ada", attestation="direct", now=NOW)
    response = client(f"fuzz {format}", attestation=MAKERS[format]).create(start.to_dict())
    _OPEN.verify_registration(response, start.state, now=NOW)
    return response, cbor2.loads(b64url_decode(response["response"]["attestationObject"])), start.state


ATTESTED = {format: attested(format) for format in MAKERS}


def changed_within(value: Any, data: st.DataObject) -> Any:
    """`value` with something in it changed, at whatever depth."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 9)):
        name = data.draw(st.sampled_from(sorted(value)))
        return {**value, name: changed_within(value[name], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 9)):
        place = data.draw(st.integers(0, len(value) - 1))
        return [*value[:place], changed_within(value[place], data), *value[place + 1 :]]
    if isinstance(value, bytes) and data.draw(st.integers(0, 4)):
        return data.draw(mutations(value))
    return data.draw(CBOR)


@given(st.sampled_from(sorted(MAKERS)), st.data())
def test_a_changed_statement_of_every_format(format: str, data: st.DataObject) -> None:
    response, made, state = ATTESTED[format]
    changed = {**made, "attStmt": changed_within(made["attStmt"], data)}
    body = {**response, "response": {**response["response"], "attestationObject": b64url_encode(cbor2.dumps(changed))}}
    outcome = only_passkey_errors(lambda: _OPEN.verify_registration(body, state, now=NOW))
    if outcome is not None:
        only_passkey_errors(lambda: _OPEN.reassess(outcome.credential, None, NOW))


@given(st.sampled_from(sorted(MAKERS)), st.data())
def test_any_certificates_above_the_leaf(format: str, data: st.DataObject) -> None:
    response, made, state = ATTESTED[format]
    statement = made["attStmt"]
    if not isinstance(statement, dict) or "x5c" not in statement:
        return
    more = data.draw(st.lists(mutations(AUTHORITY.root) | st.binary(max_size=60), max_size=3))
    changed = {**made, "attStmt": {**statement, "x5c": [*statement["x5c"], *more]}}
    body = {**response, "response": {**response["response"], "attestationObject": b64url_encode(cbor2.dumps(changed))}}
    only_passkey_errors(lambda: _OPEN.verify_registration(body, state, now=NOW))


SIGNER = MetadataSigner("fuzz")
BLOB = SIGNER.blob(metadata_payload(metadata_entry(TEST_AAGUID, [AUTHORITY.root])))
PAYLOAD: dict[str, Any] = metadata_payload(metadata_entry(TEST_AAGUID, [AUTHORITY.root]))


@given(mutations(BLOB) | st.binary(max_size=200), JSON, st.data())
def test_any_metadata(blob: bytes, payload: Any, data: st.DataObject) -> None:
    only_passkey_errors(lambda: Metadata.from_blob(blob, now=NOW, anchors=[SIGNER.root]))
    changed = json.loads(json.dumps(changed_within(PAYLOAD, data), default=str))
    for value in (payload, changed):
        text = json.dumps(value).encode()
        metadata = only_passkey_errors(lambda text=text: Metadata.from_unsigned_payload(text))
        if metadata is not None:
            for entry in metadata.entries:
                entry.status_at(NOW)
        only_passkey_errors(lambda text=text: AndroidStatusList.parse(text, NOW))


@given(CBOR.map(cbor2.dumps) | st.binary(max_size=200) | mutations(RECORD.public_key) | mutations(ED25519.public_key))
def test_any_public_key(data: bytes) -> None:
    key = only_passkey_errors(lambda: PublicKey.parse(data))
    checked = only_passkey_errors(lambda: PublicKey.check(decode_cose_key(data, 0, "x")[0]))
    if key is not None:
        if checked is not None:
            assert checked.key.public_bytes_raw() if hasattr(key.key, "public_bytes_raw") else checked.key == key.key
        for signature in (b"", bytes(64), bytes(72)):
            assert only_passkey_errors(lambda signature=signature: key.verify(signature, b"message") or 1) is None


@given(st.binary(max_size=400) | mutations(b64url_decode(GOT["response"]["authenticatorData"])))
def test_any_bytes_for_every_reader(data: bytes) -> None:
    for parse in (
        AuthenticatorData.parse,
        CollectedClientData.parse,
        AttestationObject.parse,
        Certificate.parse,
        CredentialRecord.from_bytes,
        RegistrationResponse.parse,
        AuthenticationResponse.parse,
    ):
        only_passkey_errors(lambda parse=parse: parse(data))


@given(st.dictionaries(st.text(max_size=12), JSON, max_size=4), st.data())
def test_any_members_for_every_reader(members: dict[str, Any], data: st.DataObject) -> None:
    for parse, valid in (
        (CreationOptions.from_dict, REGISTRATION.to_dict()),
        (RequestOptions.from_dict, AUTHENTICATION.to_dict()),
        (CredentialRecord.from_dict, RECORD.to_dict()),
    ):
        only_passkey_errors(lambda parse=parse: parse(members))
        changed = {**valid, data.draw(st.sampled_from(sorted(valid))): data.draw(JSON)}
        only_passkey_errors(lambda parse=parse, changed=changed: parse(changed))


@given(mutations(RECORD.public_key) | st.binary(max_size=100))
def test_a_record_with_any_public_key(public_key: bytes) -> None:
    changed = CredentialRecord.from_dict({**RECORD.to_dict(), "public_key": b64url_encode(public_key)})
    done = only_passkey_errors(lambda: RP.verify_authentication(GOT, AUTHENTICATION.state, changed, now=NOW))
    assert done is None or public_key == RECORD.public_key
