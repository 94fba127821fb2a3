"""Apple App Attest: what the kit makes is accepted, and refused after one named change; and what real devices made."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passkeycore import Code, ConfigurationError, DecodeError, PasskeyError, SignatureError, VerificationError
from passkeycore.app_attest import AppAttestKey, AppAttestPolicy, verify_assertion, verify_attestation
from passkeycore.testing import (
    AT,
    NOT_AFTER,
    NOT_BEFORE,
    UP,
    AppAttestTamper,
    AttestationAuthority,
    CborValue,
    SoftwareAppAttest,
    SoftwareKey,
    b64url_decode,
    cbor,
    der,
)
from passkeycore.testing.certificates import extension
from passkeycore.testing.statements.apple import apple_extension
from passkeycore.trust import Anchor, TrustPolicy, bundled
from passkeycore.trust.chain import forget_paths
from passkeycore.trust.policy import anchors_of
from passkeycore.webauthn.attestation import FORMATS

NOW: Final = datetime(2026, 11, 5, 12, tzinfo=UTC)
CHALLENGE: Final = b"a fresh challenge"
APP: Final = SoftwareAppAttest("alice's phone")
OTHER: Final = SoftwareAppAttest("mallory's phone")
POLICY: Final = AppAttestPolicy(app_ids=("A1B2C3D4E5.org.example.beta", APP.app_id))
KEY: Final = AppAttestKey(
    key_id=APP.key_id, public_key=APP.public_key, app_id=APP.app_id, environment="production", sign_count=6
)
VECTORS: Final = json.loads((Path(__file__).parents[2] / "vectors" / "app_attest.json").read_text("ascii"))

# What macOS 27.2 writes into certificates (recorded 2026-10): the platform, and the rule for the key's use.
MACOS: Final = extension("1.2.840.113635.100.8.7", der.sequence(der.explicit(1026, der.octet_string(b"macosx"))))
IPHONE: Final = extension("1.2.840.113635.100.8.7", der.sequence(der.explicit(1026, der.octet_string(b"iphoneos"))))
_GATED: Final = bytes.fromhex(  # what Apple publishes, in base64 MEAmAjEx...: signing only under "rsec"
    "30400c023131303a30090c026f6ba1030101ff30090c026f61a1030101ff300b0c046f64656ca1030101ff"
    "30150c046f73676ea0060c04727365633005a603020101"
)


def access(rule: bytes) -> bytes:
    return extension("1.2.840.113635.100.8.6", der.sequence(der.explicit(3, der.octet_string(rule))))


def attest(app: SoftwareAppAttest = APP, *, tamper: AppAttestTamper | None = None, **changes: Any) -> AppAttestKey:
    """The key that comes of an attestation for CHALLENGE, under the kit's root."""
    given: dict[str, Any] = {
        "key_id": app.key_id,
        "client_data": CHALLENGE,
        "policy": POLICY,
        "now": NOW,
        "anchors": [app.root],
    } | changes
    made = given.pop("made", None) or app.attestation(CHALLENGE, tamper=tamper or AppAttestTamper())
    return verify_attestation(made, **given)


def next_assertion(tamper: AppAttestTamper | None = None) -> bytes:
    """The seventh assertion of the key, over CHALLENGE."""
    app = SoftwareAppAttest("alice's phone")
    app.sign_count = 6
    return app.assertion(CHALLENGE, tamper=tamper or AppAttestTamper())


def add(more: list[bytes], usual: list[bytes]) -> list[bytes]:
    return [*usual, *more]


def refused(call: Callable[[], object], code: Code, path: str) -> PasskeyError:
    with pytest.raises(PasskeyError) as caught:
        call()
    assert (caught.value.code, caught.value.path) == (code, path)
    return caught.value


def but(members: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not ...}


def flip(data: bytes, position: int = -1) -> bytes:
    position %= len(data)
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


# Attestations.


def test_an_attestation_gives_the_key() -> None:
    assert attest() == msgspec.structs.replace(KEY, sign_count=0)
    assert (len(KEY.key_id), len(KEY.public_key)) == (32, 91)


def test_the_flags_are_not_judged_and_presence_is_not_asked_for() -> None:
    assert attest(tamper=AppAttestTamper(flags=lambda flags: flags | UP)) == attest()
    assert attest(tamper=AppAttestTamper(flags=lambda flags: flags & ~AT)) == attest()


def test_extensions_of_ios_27_and_statement_members_that_are_not_known_are_accepted() -> None:
    extensions: dict[str, CborValue] = {
        "apple_bundle_version_01": "1",
        "apple_validation_category_01": b"\4\0\0\0",
        "apple_new_01": b"",
    }
    later = AppAttestTamper(
        extensions=lambda _: extensions,
        statement=lambda members: {**members, "new": 1},
        members=lambda members: {**members, "new": [True, None]},
    )
    assert attest(tamper=later) == attest()


def test_a_receipt_is_not_read() -> None:
    assert attest(tamper=AppAttestTamper(statement=lambda members: but(members, receipt=...))) == attest()


_INTERMEDIATE = APP.authority.certificate
_ROOTED = AttestationAuthority("app attest", algorithm=-35, common_name="test App Attestation Root CA")
_STRANGER = AttestationAuthority("a stranger's root", algorithm=-35, common_name="test App Attestation Root CA")
_STRANGERS = SoftwareAppAttest(
    "alice's phone", authority=AttestationAuthority("stranger", parent=_STRANGER, algorithm=-35)
)
_RSA = SoftwareKey.derive("k", -257)
_P384 = SoftwareKey.derive("k", -35)
_INVALID, _MALFORMED = Code.APP_ATTEST_INVALID, Code.APP_ATTEST_MALFORMED
_X5C, _DATA = "attestation_object.attStmt.x5c", "attestation_object.authData"


# By name: what is changed on the way, what comes of it, and where.
ATTESTATIONS: dict[str, tuple[AppAttestTamper, Code, str]] = {
    # What Apple's steps are about, in their order.
    "certificates of a stranger": (
        AppAttestTamper(x5c=lambda _: list(_STRANGERS.authority.issue(key=APP.key).x5c)),
        _INVALID,
        _X5C,
    ),
    "the leaf alone": (AppAttestTamper(x5c=lambda x5c: x5c[:1]), _MALFORMED, _X5C),
    "no certificates": (AppAttestTamper(x5c=lambda _: []), _MALFORMED, _X5C),
    "the root with them": (AppAttestTamper(x5c=lambda x5c: [*x5c, APP.root]), _MALFORMED, _X5C),
    "the root for the intermediate": (AppAttestTamper(x5c=lambda x5c: [x5c[0], APP.root]), _INVALID, _X5C),
    "the leaf twice": (AppAttestTamper(x5c=lambda x5c: [x5c[0], x5c[0]]), _INVALID, _X5C),
    "in the other order": (AppAttestTamper(x5c=lambda x5c: x5c[::-1]), _INVALID, _X5C),
    "a leaf that the root certified": (
        AppAttestTamper(x5c=lambda x5c: [_ROOTED.issue(key=APP.key, extensions=[_nonce_of(x5c[0])]).x5c[0], x5c[1]]),
        _INVALID,
        _X5C,
    ),
    "a leaf with another signature": (AppAttestTamper(x5c=lambda x5c: [flip(x5c[0]), x5c[1]]), _INVALID, _X5C),
    "a leaf that is no certificate": (AppAttestTamper(x5c=lambda x5c: [b"\x30\0", x5c[1]]), _MALFORMED, _X5C),
    "an intermediate that is none": (AppAttestTamper(x5c=lambda x5c: [x5c[0], b"\x30\0"]), _INVALID, _X5C),
    "a leaf with a byte more": (AppAttestTamper(x5c=lambda x5c: [x5c[0] + b"\0", x5c[1]]), _MALFORMED, _X5C),
    "a text for a certificate": (AppAttestTamper(x5c=lambda x5c: ["leaf", x5c[1]]), _MALFORMED, _X5C),
    "a map of certificates": (AppAttestTamper(x5c=lambda x5c: {0: x5c[0], 1: x5c[1]}), _MALFORMED, _X5C),
    "a huge certificate": (AppAttestTamper(x5c=lambda x5c: [x5c[0], bytes(8193)]), Code.TOO_LARGE, _X5C),
    "for other client data": (
        AppAttestTamper(client_data_hash=lambda _: sha256(b"another challenge").digest()),
        _INVALID,
        _X5C,
    ),
    "for client data that was not hashed": (AppAttestTamper(client_data_hash=lambda _: CHALLENGE), _INVALID, _X5C),
    "another nonce": (AppAttestTamper(nonce=lambda _: bytes(32)), _INVALID, _X5C),
    "a shorter nonce": (AppAttestTamper(nonce=lambda nonce: nonce[:31]), _INVALID, _X5C),
    "no nonce": (AppAttestTamper(certificate_extensions=lambda _: []), _INVALID, _X5C),
    "the nonce twice": (AppAttestTamper(certificate_extensions=lambda one: one * 2), _MALFORMED, _X5C),
    "the nonce in another form": (
        AppAttestTamper(nonce=der.octet_string),
        _INVALID,
        _X5C,
    ),
    "a P-384 key": (AppAttestTamper(certified_key=lambda _: _P384), _INVALID, _X5C),
    "an RSA key": (AppAttestTamper(certified_key=lambda _: _RSA), _INVALID, _X5C),
    "the certificate of another key": (AppAttestTamper(certified_key=lambda _: OTHER.key), _INVALID, "key_id"),
    "another app": (
        AppAttestTamper(rp_id_hash=lambda _: sha256(b"A1B2C3D4E5.org.example.other").digest()),
        _INVALID,
        f"{_DATA}.rpIdHash",
    ),
    "the app of another team": (
        AppAttestTamper(rp_id_hash=lambda _: sha256(b"Z1B2C3D4E5.org.example.app").digest()),
        _INVALID,
        f"{_DATA}.rpIdHash",
    ),
    "a key that was used": (AppAttestTamper(sign_count=lambda _: 1), _INVALID, f"{_DATA}.counter"),
    "a key that was used often": (AppAttestTamper(sign_count=lambda _: 1 << 24), _INVALID, f"{_DATA}.counter"),
    "the environment of developers": (
        AppAttestTamper(aaguid=lambda _: b"appattestdevelop"),
        _INVALID,
        f"{_DATA}.aaguid",
    ),
    "no environment": (AppAttestTamper(aaguid=lambda _: bytes(16)), _INVALID, f"{_DATA}.aaguid"),
    "an environment in capitals": (
        AppAttestTamper(aaguid=lambda aaguid: aaguid.upper()),
        _INVALID,
        f"{_DATA}.aaguid",
    ),
    "another credential id": (
        AppAttestTamper(credential_id=lambda _: OTHER.key_id),
        _INVALID,
        f"{_DATA}.credentialId",
    ),
    "a longer credential id": (
        AppAttestTamper(credential_id=lambda id: id + b"\0"),
        _INVALID,
        f"{_DATA}.credentialId",
    ),
    "another key in the data": (
        AppAttestTamper(cose_key=lambda _: OTHER.key.cose_map()),
        _INVALID,
        f"{_DATA}.credentialPublicKey",
    ),
    "the key under another algorithm": (
        AppAttestTamper(cose_key=lambda key: key | {3: -9}),
        _INVALID,
        f"{_DATA}.credentialPublicKey",
    ),
    "a compressed key in the data": (
        AppAttestTamper(cose_key=lambda key: key | {-3: True}, extensions=lambda _: {"filler": bytes(40)}),
        _INVALID,
        f"{_DATA}.credentialPublicKey",
    ),
    # Macs.
    "a Mac without a rule for the key": (
        AppAttestTamper(certificate_extensions=lambda usual: [*usual, MACOS]),
        _INVALID,
        _X5C,
    ),
    "a Mac whose key signs always": (
        AppAttestTamper(certificate_extensions=lambda usual: [*usual, MACOS, access(_GATED.replace(b"rsec", b"none"))]),
        _INVALID,
        _X5C,
    ),
    "a platform that is not DER": (
        AppAttestTamper(
            certificate_extensions=lambda usual: [*usual, extension("1.2.840.113635.100.8.7", b"\x30\x80\0\0")]
        ),
        _MALFORMED,
        _X5C,
    ),
    # The form.
    "no CBOR": (AppAttestTamper(encoded=lambda _: b"\xff"), _MALFORMED, "attestation_object"),
    "nothing": (AppAttestTamper(encoded=lambda _: b""), _MALFORMED, "attestation_object"),
    "a byte more": (AppAttestTamper(encoded=lambda data: data + b"\0"), _MALFORMED, "attestation_object"),
    "a byte less": (AppAttestTamper(encoded=lambda data: data[:-1]), _MALFORMED, "attestation_object"),
    "a list": (AppAttestTamper(members=lambda members: list(members.values())), _MALFORMED, "attestation_object"),
    "a tag": (
        AppAttestTamper(encoded=lambda data: b"\xd9\xd9\xf7" + data),
        _MALFORMED,
        "attestation_object",
    ),
    "a member twice": (
        AppAttestTamper(encoded=lambda data: b"\xa4" + data[1:] + cbor("fmt") + cbor("apple-appattest")),
        _MALFORMED,
        "attestation_object",
    ),
    "as large as none is": (
        AppAttestTamper(statement=lambda members: but(members, receipt=bytes(32_768))),
        Code.TOO_LARGE,
        "attestation_object",
    ),
    "the format of passkeys": (
        AppAttestTamper(members=lambda members: but(members, fmt="apple")),
        _MALFORMED,
        "attestation_object.fmt",
    ),
    "no format": (
        AppAttestTamper(members=lambda members: but(members, fmt=...)),
        _MALFORMED,
        "attestation_object.fmt",
    ),
    "no statement": (
        AppAttestTamper(members=lambda members: but(members, attStmt=...)),
        _MALFORMED,
        "attestation_object.attStmt",
    ),
    "a statement that is no map": (AppAttestTamper(statement=lambda _: []), _MALFORMED, "attestation_object.attStmt"),
    "no x5c": (AppAttestTamper(statement=lambda members: but(members, x5c=...)), _MALFORMED, _X5C),
    "no authenticator data": (
        AppAttestTamper(members=lambda members: but(members, authData=...)),
        _MALFORMED,
        _DATA,
    ),
    "a text for it": (AppAttestTamper(members=lambda members: but(members, authData="")), _MALFORMED, _DATA),
    "authenticator data cut off": (AppAttestTamper(authenticator_data=lambda data: data[:-1]), _MALFORMED, _DATA),
    "the header alone": (AppAttestTamper(authenticator_data=lambda data: data[:37]), _MALFORMED, _DATA),
    "a byte after the key": (AppAttestTamper(authenticator_data=lambda data: data + b"\xff"), _MALFORMED, _DATA),
    "extensions that are no map": (
        AppAttestTamper(extensions=lambda _: b"\x80"),
        _MALFORMED,
        f"{_DATA}.extensions",
    ),
    "a byte after the extensions": (AppAttestTamper(extensions=lambda _: b"\xa0\0"), _MALFORMED, _DATA),
    "an extension twice": (AppAttestTamper(extensions=lambda _: bytes.fromhex("a2616101616102")), _MALFORMED, _DATA),
}


def _nonce_of(leaf: bytes) -> bytes:
    """The extension with the nonce that stands in a certificate of the kit's."""
    start = leaf.index(bytes.fromhex("3024a1220420")) + 6
    return apple_extension(leaf[start : start + 32])


def test_the_unchanged_attestation_passes_so_that_each_change_is_what_is_refused() -> None:
    assert attest(tamper=AppAttestTamper()) == attest()
    assert _ROOTED.root == APP.root


@pytest.mark.parametrize("name", ATTESTATIONS)
def test_an_attestation_with_one_change_is_refused(name: str) -> None:
    tamper, code, path = ATTESTATIONS[name]
    error = refused(lambda: attest(tamper=tamper), code, path)
    assert type(error) is (VerificationError if code is _INVALID else DecodeError)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"client_data": b"another challenge"}, _X5C),
        ({"client_data": sha256(CHALLENGE).digest()}, _X5C),
        ({"key_id": OTHER.key_id}, "key_id"),
        ({"key_id": APP.key_id[:31]}, "key_id"),
        ({"key_id": b""}, "key_id"),
        ({"policy": AppAttestPolicy(app_ids=("A1B2C3D4E5.org.example.beta",))}, f"{_DATA}.rpIdHash"),
        ({"policy": msgspec.structs.replace(POLICY, environments=("development",))}, f"{_DATA}.aaguid"),
        ({"anchors": None}, _X5C),
        ({"anchors": [_STRANGER.root]}, _X5C),
        ({"anchors": []}, _X5C),
        ({"anchors": [_INTERMEDIATE]}, _X5C),
        ({"now": NOT_BEFORE - timedelta(seconds=1)}, _X5C),
        ({"now": NOT_AFTER + timedelta(seconds=1)}, _X5C),
    ],
)
def test_an_attestation_is_judged_by_what_the_server_says(changes: dict[str, Any], path: str) -> None:
    refused(lambda: attest(**changes), _INVALID, path)


def test_the_leafs_own_dates_count_also_when_its_path_is_known() -> None:
    soon = SoftwareAppAttest("alice's phone", not_before=NOW - timedelta(days=1), not_after=NOW + timedelta(days=2))
    for _ in range(2):
        attest(soon)
        attest(soon, now=NOW + timedelta(days=2))
        refused(lambda: attest(soon, now=NOW + timedelta(days=2, seconds=1)), _INVALID, _X5C)
        refused(lambda: attest(soon, now=NOW - timedelta(days=1, seconds=1)), _INVALID, _X5C)


def test_a_key_of_developers_counts_where_the_policy_says_so() -> None:
    beta = SoftwareAppAttest("b", environment="development")
    both = msgspec.structs.replace(POLICY, environments=("production", "development"))
    assert attest(beta, policy=both).environment == "development"
    assert attest(policy=both).environment == "production"


def test_a_mac_counts_under_the_rule_that_apple_publishes_and_a_phone_under_any() -> None:
    for extensions in ([MACOS, access(_GATED)], [IPHONE, access(b"\x30\0")], [IPHONE], [access(b"\x30\0")]):
        assert attest(tamper=AppAttestTamper(certificate_extensions=partial(add, extensions))) == attest()


@pytest.mark.parametrize(
    ("extensions", "good"),
    [
        ({"apple_validation_category_01": b"\4\0\0\0"}, True),
        ({"apple_validation_category_01": b"\2\0\0\0"}, False),
        ({"apple_validation_category_01": b"\0\0\0\4"}, False),
        ({"apple_validation_category_01": b"\4"}, False),
        ({"apple_validation_category_01": 4}, False),
        ({"apple_bundle_version_01": "4"}, False),
        ({}, False),
    ],
)
def test_how_the_app_came_to_the_device(extensions: dict[str, Any], good: bool) -> None:
    store = msgspec.structs.replace(POLICY, validation_categories=frozenset({4}))
    tamper = AppAttestTamper(extensions=lambda _: extensions)
    if good:
        attest(tamper=tamper, policy=store)
    else:
        refused(lambda: attest(tamper=tamper, policy=store), _INVALID, f"{_DATA}.extensions")
    attest(tamper=tamper)


# Assertions.


def test_an_assertion_gives_the_new_counter() -> None:
    assert verify_assertion(next_assertion(), client_data=CHALLENGE, key=KEY) == 7


def test_an_assertion_counts_once() -> None:
    made = next_assertion()
    count = verify_assertion(made, client_data=CHALLENGE, key=KEY)
    later = msgspec.structs.replace(KEY, sign_count=count)
    error = refused(
        lambda: verify_assertion(made, client_data=CHALLENGE, key=later),
        _INVALID,
        "assertion.authenticatorData.counter",
    )
    assert (error.expected, error.actual) == (8, 7)


def test_extensions_and_other_flags_of_assertions_are_accepted() -> None:
    for tamper in (
        AppAttestTamper(extensions=lambda _: {"apple_validation_category_01": b"\4\0\0\0"}),
        AppAttestTamper(flags=lambda _: 0),
        AppAttestTamper(members=lambda members: {**members, "new": 1}),
        AppAttestTamper(sign_count=lambda _: 2**32 - 1),
    ):
        assert verify_assertion(next_assertion(tamper), client_data=CHALLENGE, key=KEY) > 6


_AUTH, _SIGNATURE = "assertion.authenticatorData", "assertion.signature"

ASSERTIONS: dict[str, tuple[AppAttestTamper, Code, str]] = {
    "of another key": (
        AppAttestTamper(sign=lambda _, message: OTHER.key.sign(message)),
        _INVALID,
        _SIGNATURE,
    ),
    "over other client data": (AppAttestTamper(client_data_hash=lambda _: bytes(32)), _INVALID, _SIGNATURE),
    "over client data that was not hashed": (
        AppAttestTamper(client_data_hash=lambda _: CHALLENGE),
        _INVALID,
        _SIGNATURE,
    ),
    "over another nonce": (AppAttestTamper(nonce=lambda _: bytes(32)), _INVALID, _SIGNATURE),
    "with data that was not signed": (
        AppAttestTamper(members=lambda members: but(members, authenticatorData=flip(members["authenticatorData"]))),
        _INVALID,
        _SIGNATURE,
    ),
    "with a raw signature": (AppAttestTamper(sign=lambda _key, _message: bytes(64)), _INVALID, _SIGNATURE),
    "with no signature": (AppAttestTamper(sign=lambda _key, _message: b""), _INVALID, _SIGNATURE),
    "with a signature longer than any": (
        AppAttestTamper(sign=lambda key, message: key.sign(message) + bytes(8)),
        _INVALID,
        _SIGNATURE,
    ),
    "of another app": (
        AppAttestTamper(rp_id_hash=lambda _: sha256(b"A1B2C3D4E5.org.example.beta").digest()),
        _INVALID,
        f"{_AUTH}.rpIdHash",
    ),
    "the same counter": (AppAttestTamper(sign_count=lambda _: 6), _INVALID, f"{_AUTH}.counter"),
    "an earlier counter": (AppAttestTamper(sign_count=lambda _: 5), _INVALID, f"{_AUTH}.counter"),
    "no counter": (AppAttestTamper(sign_count=lambda _: 0), _INVALID, f"{_AUTH}.counter"),
    "no CBOR": (AppAttestTamper(encoded=lambda _: b"\xff"), _MALFORMED, "assertion"),
    "nothing": (AppAttestTamper(encoded=lambda _: b""), _MALFORMED, "assertion"),
    "a byte more": (AppAttestTamper(encoded=lambda data: data + b"\0"), _MALFORMED, "assertion"),
    "a member twice": (
        AppAttestTamper(encoded=lambda data: b"\xa3" + data[1:] + cbor("signature") + cbor(b"")),
        _MALFORMED,
        "assertion",
    ),
    "a list": (AppAttestTamper(members=lambda members: list(members.values())), _MALFORMED, "assertion"),
    "as large as none is": (
        AppAttestTamper(members=lambda members: {**members, "new": bytes(2048)}),
        Code.TOO_LARGE,
        "assertion",
    ),
    "a signature that is missing": (
        AppAttestTamper(members=lambda members: but(members, signature=...)),
        _MALFORMED,
        _SIGNATURE,
    ),
    "a signature that is a text": (
        AppAttestTamper(members=lambda members: but(members, signature="")),
        _MALFORMED,
        _SIGNATURE,
    ),
    "no authenticator data": (
        AppAttestTamper(members=lambda members: but(members, authenticatorData=...)),
        _MALFORMED,
        _AUTH,
    ),
    "authenticator data cut off": (AppAttestTamper(authenticator_data=lambda data: data[:36]), _MALFORMED, _AUTH),
    "a byte after it": (AppAttestTamper(authenticator_data=lambda data: data + b"\xff"), _MALFORMED, _AUTH),
    "extensions that are no map": (AppAttestTamper(extensions=lambda _: b"\x80"), _MALFORMED, f"{_AUTH}.extensions"),
}


@pytest.mark.parametrize("name", ASSERTIONS)
def test_an_assertion_with_one_change_is_refused(name: str) -> None:
    tamper, code, path = ASSERTIONS[name]
    made = next_assertion(tamper)
    error = refused(lambda: verify_assertion(made, client_data=CHALLENGE, key=KEY), code, path)
    expected = SignatureError if path == _SIGNATURE else VerificationError
    assert type(error) is (expected if code is _INVALID else DecodeError)


def test_authenticator_data_that_was_cut_off_is_called_so() -> None:
    made = next_assertion(AppAttestTamper(authenticator_data=lambda data: data[:36]))
    error = refused(lambda: verify_assertion(made, client_data=CHALLENGE, key=KEY), _MALFORMED, _AUTH)
    assert "37 bytes" in error.message


def test_an_assertion_is_judged_by_what_the_server_says() -> None:
    made = next_assertion()
    others = msgspec.structs.replace(KEY, public_key=OTHER.public_key)
    elsewhere = msgspec.structs.replace(KEY, app_id="A1B2C3D4E5.org.example.beta")
    for client_data, key, path in (
        (b"another request", KEY, _SIGNATURE),
        (sha256(CHALLENGE).digest(), KEY, _SIGNATURE),
        (CHALLENGE, others, _SIGNATURE),
        (CHALLENGE, elsewhere, f"{_AUTH}.rpIdHash"),
    ):
        refused(lambda data=client_data, key=key: verify_assertion(made, client_data=data, key=key), _INVALID, path)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("public_key", "code", "path"),
    [
        (b"", _MALFORMED, "key.public_key"),
        (KEY.public_key + b"\0", _MALFORMED, "key.public_key"),
        (SoftwareKey.derive("k", -35).spki(), _MALFORMED, "key.public_key"),
        (b"\x31" + KEY.public_key[1:], _MALFORMED, "key.public_key"),
        (flip(KEY.public_key), _INVALID, _SIGNATURE),
    ],
)
def test_a_stored_key_that_is_none_verifies_nothing(public_key: bytes, code: Code, path: str) -> None:
    broken = msgspec.structs.replace(KEY, public_key=public_key)
    refused(lambda: verify_assertion(next_assertion(), client_data=CHALLENGE, key=broken), code, path)


def test_neither_object_passes_for_the_other() -> None:
    refused(lambda: attest(made=next_assertion()), _MALFORMED, "attestation_object.fmt")
    made = APP.attestation(CHALLENGE)
    refused(lambda: verify_assertion(made, client_data=CHALLENGE, key=KEY), _MALFORMED, _SIGNATURE)


# The policy.


@pytest.mark.parametrize(
    "wrong",
    [
        {"app_ids": ()},
        {"app_ids": "A1B2C3D4E5.org.example.app"},
        {"app_ids": ("org.example.app",)},
        {"app_ids": ("A1B2C3D4E5.",)},
        {"app_ids": ("a1b2c3d4e5.org.example.app",)},
        {"app_ids": ("A1B2C3D4E5.*",)},
        {"app_ids": ("A1B2C3D4E5.org.example.app\n",)},
        {"app_ids": (b"A1B2C3D4E5.org.example.app",)},
        {"app_ids": (None,)},
        {"app_ids": None},
        {"app_ids": 1},
        {"environments": ()},
        {"environments": "production"},
        {"environments": ("sandbox",)},
        {"environments": (["production"],)},
        {"validation_categories": frozenset()},
        {"validation_categories": {0}},
        {"validation_categories": {11}},
        {"validation_categories": {"4"}},
        {"validation_categories": {True}},
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_when_it_is_built(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AppAttestPolicy(**but({"app_ids": (APP.app_id,)}, **wrong))
    assert caught.value.path == f"app_attest.{next(iter(wrong))}"


def test_a_policy_keeps_what_it_checked() -> None:
    app_ids = [APP.app_id]
    policy = AppAttestPolicy(app_ids=app_ids, validation_categories={4, 2})  # type: ignore[arg-type]
    app_ids.append("A1B2C3D4E5.org.example.other")
    assert (policy.app_ids, policy.validation_categories) == ((APP.app_id,), frozenset({2, 4}))
    assert (policy.require_attestation, policy.require_assertions, policy.environments) == (True, True, ("production",))


# The root.


def test_the_bundled_root_is_apples_for_app_attest_alone() -> None:
    (root,) = bundled("apple-appattest")
    digest = sha256(root.certificate).hexdigest()
    assert digest == "1cb9823ba28ba6ad2d33a006941de2ae4f513ef1d4e831b9f7e0fa7b6242c932"
    assert root.formats == frozenset({"apple-appattest"})
    assert "apple-appattest" not in FORMATS
    everything = TrustPolicy(anchors=bundled() + bundled("apple-appattest"))
    for format in FORMATS:
        assert root not in anchors_of(everything, format)


@pytest.mark.parametrize("formats", [{"apple-appattest"}, {"apple"}, {"mds"}])
def test_without_anchors_the_roots_for_app_attest_count_and_no_others(
    formats: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passkeycore.trust.roots._all", lambda: (Anchor(APP.root, frozenset(formats)),))
    if formats == {"apple-appattest"}:
        assert attest(anchors=None) == attest()
    else:
        refused(lambda: attest(anchors=None), _INVALID, _X5C)


def test_trust_cannot_be_demanded_of_passkeys_on_the_root_of_app_attest_alone() -> None:
    with pytest.raises(ConfigurationError):
        TrustPolicy(anchors=bundled("apple-appattest"), require_trusted=True)


@pytest.mark.parametrize(("formats", "trusted"), [({"apple"}, True), ({"apple-appattest"}, False)])
def test_a_root_of_app_attest_certifies_no_passkey(formats: set[str], trusted: bool) -> None:
    """AP4: a path to another root of Apple's. The same certificates count only where the root is listed for them."""
    from passkeycore import RelyingParty, UntrustedError
    from passkeycore.testing import SoftwareAuthenticator, VirtualClient, apple_maker

    policy = TrustPolicy(anchors=[Anchor(APP.root, frozenset(formats))], untrusted="reject")
    rp = RelyingParty(id="example.org", name="Example", origins=["https://example.org"], trust=policy)
    start = rp.registration_options(user_handle=b"u", user_name="ada", attestation="direct", now=NOW)
    phone = SoftwareAuthenticator("phone", attestation=apple_maker(APP.authority))
    response = VirtualClient(phone, "https://example.org").create(start.to_dict())
    if trusted:
        assert rp.verify_registration(response, start.state, now=NOW).trust.trusted
    else:
        with pytest.raises(UntrustedError) as caught:
            rp.verify_registration(response, start.state, now=NOW)
        assert caught.value.code is Code.ATTESTATION_UNTRUSTED


# What real devices made.


def recorded(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS[name]]


def judge(case: dict[str, Any], **changes: Any) -> AppAttestKey:
    given: dict[str, Any] = {
        "key_id": b64url_decode(case["key_id"]),
        "client_data": b64url_decode(case["client_data"]),
        "policy": AppAttestPolicy(app_ids=(VECTORS["app_id"],), environments=(case["environment"],)),
        "now": datetime.fromisoformat(case["time"]),
    } | changes
    return verify_attestation(b64url_decode(case["attestation_object"]), **given)


@pytest.mark.parametrize("case", recorded("attestations"))
def test_a_recorded_attestation_is_accepted_under_apples_root(case: dict[str, Any]) -> None:
    forget_paths()
    key = judge(case)
    assert (key.app_id, key.environment, key.sign_count) == (VECTORS["app_id"], case["environment"], 0)
    assert sha256(key.public_key[26:]).digest() == key.key_id
    refused(lambda: judge(case, client_data=b"other"), _INVALID, _X5C)
    refused(lambda: judge(case, now=NOW), _INVALID, _X5C)
    refused(lambda: judge(case, anchors=[APP.root]), _INVALID, _X5C)
    refused(lambda: judge(case, anchors=[root.certificate for root in bundled("apple")]), _INVALID, _X5C)
    refused(lambda: judge(case, policy=POLICY), _INVALID, f"{_DATA}.rpIdHash")


@pytest.mark.parametrize("case", recorded("assertions"))
def test_a_recorded_assertion_is_accepted(case: dict[str, Any]) -> None:
    key = AppAttestKey(
        key_id=b"",
        public_key=b64url_decode(case["public_key"]),
        app_id=VECTORS["app_id"],
        environment=case["environment"],
    )
    assertion, client_data = b64url_decode(case["assertion"]), b64url_decode(case["client_data"])
    assert verify_assertion(assertion, client_data=client_data, key=key) == case["sign_count"]
    refused(lambda: verify_assertion(assertion, client_data=b"other", key=key), _INVALID, _SIGNATURE)


def test_the_recorded_file_says_where_it_is_from_and_under_which_licence() -> None:
    assert VECTORS["source"].startswith("Test data of node-app-attest")
    assert VECTORS["license"].startswith("MIT License\n\nCopyright (c) 2024 David ")


# Any bytes end in a verdict.

HONEST: Final = APP.attestation(CHALLENGE)
ASSERTED: Final = next_assertion()
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=200) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(-9, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def mutilated(draw: st.DrawFn, honest: bytes) -> bytes:
    """Honest bytes, some of them replaced, taken out or put in."""
    data = bytearray(honest)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        data[start : start + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


def verdict(call: Callable[[], object]) -> None:
    try:
        call()
    except PasskeyError as error:
        assert error.code in (_INVALID, _MALFORMED, Code.TOO_LARGE)


@given(st.binary(max_size=300) | mutilated(HONEST))
def test_any_bytes_of_an_attestation_end_in_a_verdict(data: bytes) -> None:
    verdict(lambda: attest(made=data or b"\0"))


@given(_VALUES, _VALUES, _VALUES)
def test_any_members_of_an_attestation_end_in_a_verdict(statement: Any, x5c: Any, data: Any) -> None:
    for members in (
        {"fmt": "apple-appattest", "attStmt": statement, "authData": data},
        {"fmt": "apple-appattest", "attStmt": {"x5c": x5c}, "authData": data},
        {"fmt": statement, "attStmt": {"x5c": [_INTERMEDIATE, _INTERMEDIATE]}, "authData": bytes(164)},
    ):
        verdict(lambda members=members: attest(made=cbor(members)))  # type: ignore[misc]


@given(mutilated(APP.authority.issue(key=APP.key).x5c[0]), st.binary(max_size=80))
def test_any_certificate_and_extensions_end_in_a_verdict(leaf: bytes, tail: bytes) -> None:
    verdict(lambda: attest(tamper=AppAttestTamper(x5c=lambda x5c: [leaf, x5c[1]])))
    verdict(lambda: attest(tamper=AppAttestTamper(extensions=lambda _: tail or {})))


@given(st.binary(max_size=300) | mutilated(ASSERTED))
def test_any_bytes_of_an_assertion_end_in_a_verdict(data: bytes) -> None:
    verdict(lambda: verify_assertion(data, client_data=CHALLENGE, key=KEY))
