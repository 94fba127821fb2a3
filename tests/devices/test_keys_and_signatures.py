"""What devices sign: every line of every message counts, and nothing but the right key's signature passes.

The signatures are the kit's, which was written from the documented protocol; so are the messages spelled out here.
"""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from passkeycore import Code, DecodeError, PasskeyError, SignatureError, VerificationError
from passkeycore.devices import (
    ChallengeIdVerifier,
    DeviceVerifier,
    SignedVerifier,
    check_public_key,
    digest_of,
)
from passkeycore.testing import SoftwareDevice, SoftwareKey, b64url_encode, der

Call = Callable[..., object]
Arguments = dict[str, Any]

NOW = datetime(2026, 11, 5, 12, 4, 56, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
PHONE = SoftwareDevice("alice's phone", domain="example.com", method="push")
OURS = SignedVerifier("example.com")
THEIRS = ChallengeIdVerifier()
KEY = PHONE.public_key
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256

ANSWER: Arguments = {
    "method": "push",
    "challenge_id": "k3Jv" * 10 + "abc",
    "decision": "approve",
    "purpose": "transfer",
    "verification_code": "42",
    "content": "Send €100 to Bob?",
}
CLAIM: Arguments = {**ANSWER, "decision": "claim", "purpose": None, "verification_code": None, "content": ""}
REMOVAL: Arguments = {"method": "push", "authenticator_id": "a-1", "issued_at": SECONDS, "now": NOW}
FETCH: Arguments = {"method": "push", "issued_at": SECONDS, "now": NOW}
UPDATE: Arguments = {**REMOVAL, "push_token": "token of the push service"}
ENROLMENT: Arguments = {"method": "push", "enrolment_token": "eyJ.eyJ.sig"}


def but(arguments: Arguments, **changes: object) -> Arguments:
    return {**arguments, **changes}


def sign_answer(device: SoftwareDevice, arguments: Arguments) -> bytes:
    if arguments["decision"] == "claim":
        return device.claim(arguments["challenge_id"])
    given = {name: arguments[name] for name in ("purpose", "verification_code", "content")}
    return device.answer(arguments["challenge_id"], arguments["decision"], **given)


def sign_removal(device: SoftwareDevice, arguments: Arguments) -> bytes:
    return device.remove(arguments["authenticator_id"], issued_at=arguments["issued_at"])


def sign_fetch(device: SoftwareDevice, arguments: Arguments) -> bytes:
    return device.fetch(issued_at=arguments["issued_at"])


def sign_update(device: SoftwareDevice, arguments: Arguments) -> bytes:
    return device.update(
        arguments["authenticator_id"], issued_at=arguments["issued_at"], push_token=arguments["push_token"]
    )


def sign_enrolment(device: SoftwareDevice, arguments: Arguments) -> bytes:
    return device.enrol(arguments["enrolment_token"])


# What is judged, what it is judged with, and what signs it.
MESSAGES: dict[str, tuple[Call, Arguments, Callable[[SoftwareDevice, Arguments], bytes]]] = {
    "answer": (OURS.verify_answer, ANSWER, sign_answer),
    "claim": (OURS.verify_answer, CLAIM, sign_answer),
    "enrolment": (OURS.verify_enrolment, ENROLMENT, sign_enrolment),
    "fetch": (OURS.verify_fetch, FETCH, sign_fetch),
    "update": (OURS.verify_update, UPDATE, sign_update),
    "removal": (OURS.verify_removal, REMOVAL, sign_removal),
}
CHANGES = [
    ("answer", "method", "qr-code"),
    ("answer", "challenge_id", "k3Jv" * 10 + "abd"),
    ("answer", "decision", "reject"),
    ("answer", "decision", "claim"),
    ("answer", "purpose", "login"),
    ("answer", "purpose", None),
    ("answer", "purpose", ""),
    ("answer", "verification_code", "43"),
    ("answer", "verification_code", None),
    ("answer", "content", "Send €900 to Bob?"),
    ("answer", "content", ""),
    ("claim", "method", "in-app"),
    ("claim", "challenge_id", "another"),
    ("claim", "decision", "approve"),
    ("claim", "decision", "reject"),
    ("claim", "purpose", "login"),
    ("claim", "verification_code", "42"),
    ("claim", "content", "other"),
    ("enrolment", "method", "in-app"),
    ("enrolment", "enrolment_token", "eyJ.eyJ.other"),
    ("fetch", "method", "in-app"),
    ("fetch", "issued_at", SECONDS - 1),
    ("update", "method", "in-app"),
    ("update", "authenticator_id", "a-2"),
    ("update", "push_token", "an attacker's"),
    ("update", "push_token", None),
    ("update", "issued_at", SECONDS + 1),
    ("removal", "method", "in-app"),
    ("removal", "authenticator_id", "a-2"),
    ("removal", "issued_at", SECONDS + 1),
]


def refused(code: Code, call: Call, *arguments: object, **named: object) -> PasskeyError:
    with pytest.raises(PasskeyError) as caught:
        call(*arguments, **named)
    assert caught.value.code is code
    return caught.value


@pytest.mark.parametrize("name", MESSAGES)
def test_what_the_device_signed_is_accepted(name: str) -> None:
    verify, arguments, sign = MESSAGES[name]
    verify(KEY, sign(PHONE, arguments), **arguments)


@pytest.mark.parametrize(("name", "member", "value"), CHANGES)
def test_each_member_of_a_message_counts(name: str, member: str, value: object) -> None:
    verify, arguments, sign = MESSAGES[name]
    assert arguments[member] != value
    error = refused(Code.SIGNATURE_INVALID, verify, KEY, sign(PHONE, arguments), **but(arguments, **{member: value}))
    assert isinstance(error, SignatureError)
    assert error.path == "signature"


def test_the_table_of_changes_names_every_member() -> None:
    signed = {(name, member) for name, (_, arguments, _) in MESSAGES.items() for member in arguments}
    changed = {(name, member) for name, member, _ in CHANGES}
    assert signed - changed == {(name, "now") for name in ("fetch", "update", "removal")}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize(
    ("member", "value"), [("domain", "example.org"), ("method", "in-app"), ("seed", "mallory's phone")]
)
def test_another_server_method_or_key_is_refused(name: str, member: str, value: str) -> None:
    verify, arguments, sign = MESSAGES[name]
    other = dataclasses.replace(PHONE, **{member: value})  # type: ignore[arg-type]
    refused(Code.SIGNATURE_INVALID, verify, KEY, sign(other, arguments), **arguments)


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("other", MESSAGES)
def test_a_signature_for_one_thing_is_good_for_no_other(name: str, other: str) -> None:
    verify, arguments, _ = MESSAGES[name]
    _, signed, sign = MESSAGES[other]
    if name != other:
        refused(Code.SIGNATURE_INVALID, verify, KEY, sign(PHONE, signed), **arguments)


def test_the_messages_are_those_that_are_documented() -> None:
    def digest(text: str) -> str:
        return b64url_encode(sha256(text.encode()).digest())

    answer = "\n".join(
        (
            "passkeycore-device-1",
            "approve",
            "example.com",
            "push",
            "k3Jv" * 10 + "abc",
            digest("transfer"),
            "42",
            digest("Send €100 to Bob?"),
        )
    )
    OURS.verify_answer(KEY, PHONE.sign(answer.encode()), **ANSWER)
    refused(Code.SIGNATURE_INVALID, OURS.verify_answer, KEY, PHONE.sign(answer.encode() + b"\n"), **ANSWER)
    signed = OURS.verify_enrolment(KEY, PHONE.enrol("eyJ.eyJ.sig"), **ENROLMENT)
    key_digest = b64url_encode(sha256(KEY).digest())
    enrolment = ("passkeycore-device-1", "enrol", "example.com", "push", digest("eyJ.eyJ.sig"), key_digest)
    assert signed == "\n".join(enrolment).encode()
    assert digest_of("Send €100 to Bob?") == digest("Send €100 to Bob?")


def test_an_enrolment_is_for_the_key_that_signs_it() -> None:
    """Whoever saw Alice's token cannot have his own key enrolled with her signature, nor hers with his."""
    mallory = dataclasses.replace(PHONE, seed="mallory's phone")
    for key, signature in (
        (mallory.public_key, PHONE.enrol("eyJ.eyJ.sig")),
        (mallory.public_key, PHONE.enrol("eyJ.eyJ.sig", public_key=mallory.public_key)),
        (KEY, PHONE.enrol("eyJ.eyJ.sig", public_key=mallory.public_key)),
    ):
        refused(Code.SIGNATURE_INVALID, OURS.verify_enrolment, key, signature, **ENROLMENT)


@pytest.mark.parametrize("name", ["fetch", "update", "removal"])
@pytest.mark.parametrize(
    ("seconds", "good"), [(-301, False), (-300, True), (300, True), (301, False), (-86_400, False), (86_400, False)]
)
def test_a_signature_that_was_kept_or_comes_from_the_future_is_refused(name: str, seconds: int, good: bool) -> None:
    verify, arguments, sign = MESSAGES[name]
    arguments = but(arguments, issued_at=SECONDS + seconds)
    if good:
        verify(KEY, sign(PHONE, arguments), **arguments)
    else:
        refused(Code.SIGNATURE_INVALID, verify, KEY, sign(PHONE, arguments), **arguments)


def test_a_removal_without_a_time_is_refused() -> None:
    signature = PHONE.sign_lines("remove", "a-1", "None")
    refused(Code.SIGNATURE_INVALID, OURS.verify_removal, KEY, signature, **but(REMOVAL, issued_at=None))


# Keys.


def spki(key: SoftwareKey, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    return key.public_key.public_bytes(Encoding.DER, form)


def compressed(curve_bytes: bytes = bytes.fromhex("2a8648ce3d030107")) -> bytes:
    point = PHONE.key.public_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = der.sequence(der.oid("1.2.840.10045.2.1"), b"\x06\x08" + curve_bytes)
    return der.sequence(algorithm, der.bit_string(point))


OFF_CURVE = KEY[:-1] + bytes([KEY[-1] ^ 1])
NO_KEYS: dict[str, bytes] = {
    "P-384": spki(SoftwareKey.derive("k", -35)),
    "P-521": spki(SoftwareKey.derive("k", -36)),
    "secp256k1": spki(SoftwareKey.derive("k", -47)),
    "secp256k1 in 91 bytes": KEY.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03010a")),
    "RSA": spki(SoftwareKey.derive("k", -257)),
    "Ed25519": spki(SoftwareKey.derive("k", -8)),
    "a compressed point": compressed(),
    "the bare point": KEY[-65:],
    "a byte more": KEY + b"\0",
    "a byte less": KEY[:-1],
    "nothing": b"",
    "PEM": b"-----BEGIN PUBLIC KEY-----",
    "a hybrid point": KEY[:26] + b"\x06" + KEY[27:],
    "a BIT STRING with unused bits": KEY[:25] + b"\x01" + KEY[26:],
    "a long form of length": b"\x30\x81" + KEY[1:],
}


@pytest.mark.parametrize("name", NO_KEYS)
def test_what_is_no_key_of_p256_is_malformed(name: str) -> None:
    error = refused(Code.PUBLIC_KEY_MALFORMED, check_public_key, NO_KEYS[name])
    assert isinstance(error, DecodeError)
    assert error.path == "public_key"


@pytest.mark.parametrize(
    "point",
    [OFF_CURVE[27:], bytes(64), b"\xff" * 64, b"\0" * 32 + b"\xff" * 32],
    ids=["off the curve", "zeros", "not reduced", "y not reduced"],
)
def test_a_point_off_the_curve_is_invalid(point: bytes) -> None:
    error = refused(Code.PUBLIC_KEY_INVALID, check_public_key, KEY[:27] + point)
    assert isinstance(error, VerificationError)


def test_a_key_of_p256_is_taken_as_it_is() -> None:
    assert check_public_key(KEY) == KEY
    assert len(KEY) == 91


# Signatures.


def forms(signature: bytes) -> dict[str, bytes]:
    r, s = decode_dss_signature(signature)
    return {
        "raw r and s": r.to_bytes(32) + s.to_bytes(32),
        "a byte more": signature + b"\0",
        "a byte less": signature[:-1],
        "nothing": b"",
        "zeros": encode_dss_signature(0, 0),
        "r of zero": encode_dss_signature(0, s),
        "s of the order more": der.sequence(der.integer(r), der.integer(s + ORDER)),
        "too long": der.sequence(der.integer(r), der.element(b"\x02", bytes(8) + s.to_bytes(33))),
        "a long form of length": b"\x30\x81" + signature[1:],
        "indefinite length": b"\x30\x80" + signature[2:] + b"\0\0",
        "negative r": der.sequence(der.integer(-r), der.integer(s)),
    }


@pytest.mark.parametrize("name", forms(PHONE.sign(b"")))
@pytest.mark.parametrize("verifier", [OURS, THEIRS], ids=["ours", "compatible"])
def test_a_signature_has_one_form(name: str, verifier: DeviceVerifier) -> None:
    signature = sign_answer(PHONE, ANSWER) if verifier is OURS else PHONE.sign_challenge_id(ANSWER["challenge_id"])
    verifier.verify_answer(KEY, signature, **ANSWER)
    refused(Code.SIGNATURE_INVALID, verifier.verify_answer, KEY, forms(signature)[name], **ANSWER)


def test_a_signature_longer_than_any_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr("passkeycore.devices._key", read.append)
    refused(Code.SIGNATURE_INVALID, OURS.verify_answer, KEY, bytes(73), **ANSWER)
    assert read == []


def test_signatures_of_the_kit_repeat() -> None:
    assert sign_answer(PHONE, ANSWER) == sign_answer(SoftwareDevice("alice's phone", domain="example.com"), ANSWER)


# What apps sign that were built for another service.


def test_compatible_apps_sign_the_challenge_id_whatever_it_is_for() -> None:
    """The weakness that `ChallengeIdVerifier` states: decision, code and content are not signed."""
    signature = PHONE.sign_challenge_id(ANSWER["challenge_id"])
    for decision in ("approve", "reject", "claim"):
        THEIRS.verify_answer(KEY, signature, **but(ANSWER, decision=decision, verification_code=None))
    refused(Code.SIGNATURE_INVALID, THEIRS.verify_answer, KEY, signature, **but(ANSWER, challenge_id="another"))
    mallory = dataclasses.replace(PHONE, seed="mallory's phone")
    refused(Code.SIGNATURE_INVALID, THEIRS.verify_answer, mallory.public_key, signature, **ANSWER)


def test_neither_protocol_takes_the_others_signatures() -> None:
    compatible = PHONE.sign_challenge_id(ANSWER["challenge_id"])
    refused(Code.SIGNATURE_INVALID, OURS.verify_answer, KEY, compatible, **ANSWER)
    refused(Code.SIGNATURE_INVALID, THEIRS.verify_answer, KEY, sign_answer(PHONE, ANSWER), **ANSWER)
    refused(Code.SIGNATURE_INVALID, OURS.verify_removal, KEY, PHONE.sign_bucket(NOW), **REMOVAL)
    refused(Code.SIGNATURE_INVALID, THEIRS.verify_removal, KEY, sign_removal(PHONE, REMOVAL), **REMOVAL)
    refused(Code.SIGNATURE_INVALID, THEIRS.verify_removal, KEY, PHONE.sign_challenge_id("a-1"), **REMOVAL)
    refused(Code.SIGNATURE_INVALID, THEIRS.verify_answer, KEY, PHONE.sign_bucket(NOW), **ANSWER)


BUCKET = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)  # ten minutes begin here


@pytest.mark.parametrize(
    ("now", "signed", "good"),
    [
        (BUCKET, BUCKET, True),
        (BUCKET, BUCKET - timedelta(minutes=10), True),
        (BUCKET, BUCKET - timedelta(minutes=10, microseconds=1), False),
        (BUCKET, BUCKET + timedelta(minutes=20) - timedelta(microseconds=1), True),
        (BUCKET, BUCKET + timedelta(minutes=20), False),
        (BUCKET + timedelta(minutes=10) - timedelta(microseconds=1), BUCKET - timedelta(minutes=10), True),
        (BUCKET + timedelta(minutes=10), BUCKET - timedelta(microseconds=1), False),
        (BUCKET, BUCKET + timedelta(days=1), False),
    ],
)
def test_a_removal_is_good_for_its_ten_minutes_and_those_beside(now: datetime, signed: datetime, good: bool) -> None:
    arguments = but(REMOVAL, now=now, issued_at=None)
    if good:
        THEIRS.verify_removal(KEY, PHONE.sign_bucket(signed), **arguments)
    else:
        refused(Code.SIGNATURE_INVALID, THEIRS.verify_removal, KEY, PHONE.sign_bucket(signed), **arguments)


def test_the_ten_minutes_are_written_as_a_floating_point_number() -> None:
    number = int(BUCKET.timestamp()) // 600
    THEIRS.verify_removal(KEY, PHONE.sign(f"{number}.0".encode()), **but(REMOVAL, now=BUCKET))
    for wrong in (str(number), f"{number}.00", f" {number}.0", f"{number}.5"):
        signature = PHONE.sign(wrong.encode())
        refused(Code.SIGNATURE_INVALID, THEIRS.verify_removal, KEY, signature, **but(REMOVAL, now=BUCKET))


@pytest.mark.parametrize("text", ["\ud800", "a\nb", "\0"])
def test_texts_of_any_kind_end_in_a_verdict(text: str) -> None:
    """Also those that UTF-8 has no form for."""
    arguments = but(ANSWER, purpose=text, content=text)
    refused(Code.SIGNATURE_INVALID, OURS.verify_answer, KEY, sign_answer(PHONE, ANSWER), **arguments)
    refused(
        Code.SIGNATURE_INVALID,
        THEIRS.verify_answer,
        KEY,
        sign_answer(PHONE, ANSWER),
        **but(ANSWER, challenge_id=text),
    )
