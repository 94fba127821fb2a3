"""Options and extension inputs: exactly the JSON that browsers parse, and refusals of what no client can honour."""

import json
from typing import Any

import pytest

from passkeycore import (
    AuthenticationExtensions,
    AuthenticationState,
    Code,
    ConfigurationError,
    CredentialDescriptor,
    DecodeError,
    Policy,
    PrfValues,
    RegistrationExtensions,
    RegistrationState,
    RelyingParty,
    second_factor,
    sole_factor,
)
from passkeycore.webauthn.options import CreationOptions, RequestOptions
from tests.ceremony import HANDLE, NOW, relying_party

RP = relying_party(name="Example")
OLD = CredentialDescriptor(id=b"old", transports=("usb", "carrier-pigeon"))


def test_creation_options_are_the_json_that_browsers_parse() -> None:
    start = RP.registration_options(
        user_handle=HANDLE,
        user_name="ada@example.org",
        user_display_name="Ada",
        exclude=[OLD],
        hints=["security-key", "hybrid"],
        attestation="direct",
        attestation_formats=["packed"],
        algorithms=[-7, -49],
        extensions=RegistrationExtensions(cred_props=True),
        mediation="conditional",
        challenge=bytes(16),
        now=NOW,
    )
    expected = {
        "rp": {"id": "example.org", "name": "Example"},
        "user": {
            "id": "YSBoYW5kbGUgd2l0aG91dCBwZXJzb25hbCBkYXRh",
            "name": "ada@example.org",
            "displayName": "Ada",
        },
        "challenge": "AAAAAAAAAAAAAAAAAAAAAA",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -49}],
        "timeout": 1_800_000,
        "excludeCredentials": [{"type": "public-key", "id": "b2xk", "transports": ["usb", "carrier-pigeon"]}],
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": False,
            "userVerification": "preferred",
            "authenticatorAttachment": "cross-platform",
        },
        "hints": ["security-key", "hybrid"],
        "attestation": "direct",
        "attestationFormats": ["packed"],
        "extensions": {"credProps": True},
        "mediation": "conditional",
    }
    assert start.to_dict() == expected
    assert json.loads(start.to_json()) == expected
    assert CreationOptions.from_dict(expected) == start.options


def test_request_options_are_the_json_that_browsers_parse() -> None:
    start = RP.authentication_options(
        allow=[OLD], user_verification="required", hints=["client-device"], challenge=bytes(16), now=NOW
    )
    expected = {
        "challenge": "AAAAAAAAAAAAAAAAAAAAAA",
        "timeout": 300_000,
        "rpId": "example.org",
        "allowCredentials": [{"type": "public-key", "id": "b2xk", "transports": ["usb", "carrier-pigeon"]}],
        "userVerification": "required",
        "hints": ["client-device"],
        "extensions": {},
    }
    assert start.to_dict() == json.loads(start.to_json()) == expected
    assert RequestOptions.from_dict(expected) == start.options


def test_words_that_nobody_knows_yet_survive() -> None:
    """The specification's enumerations are open: a newer client's or server's word is kept, not refused."""
    members = RP.registration_options(user_handle=HANDLE, user_name="ada", now=NOW).to_dict()
    members |= {"hints": ["telepathy"], "attestation": "indubitable", "attestationFormats": ["wax-seal"]}
    members["authenticatorSelection"] |= {"authenticatorAttachment": "implanted", "userVerification": "divined"}
    members["pubKeyCredParams"].append({"type": "public-key", "alg": -99999})
    members["unknown"] = {"member": 1}
    del members["unknown"]
    assert CreationOptions.from_dict(members).to_dict() == members


def test_defaults_are_the_specifications() -> None:
    least = {
        "rp": {"name": "Example"},
        "user": {"id": "AA", "name": "ada", "displayName": ""},
        "challenge": "AAAA",
        "pubKeyCredParams": [],
        "unknown": 1,
    }
    options = CreationOptions.from_dict(least)
    assert (options.resident_key, options.user_verification, options.attestation) == (
        "discouraged",
        "preferred",
        "none",
    )
    required = CreationOptions.from_dict(least | {"authenticatorSelection": {"requireResidentKey": True}})
    assert required.resident_key == "required"
    assert RequestOptions.from_dict({"challenge": "AAAA"}).rp_id is None


@pytest.mark.parametrize("members", [{}, {"challenge": 1}, {"challenge": "A A"}, {"challenge": "AAAA", "hints": "x"}])
def test_malformed_options_are_decode_errors(members: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        RequestOptions.from_dict(members)
    with pytest.raises(DecodeError):
        CreationOptions.from_dict(members)


def test_presets_settle_what_belongs_together() -> None:
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", preset=sole_factor(), now=NOW)
    assert (start.state.resident_key, start.state.user_verification) == ("required", "required")
    assert start.to_dict()["authenticatorSelection"]["requireResidentKey"] is True
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", preset=second_factor(), now=NOW)
    assert (start.state.resident_key, start.state.user_verification) == ("discouraged", "discouraged")
    assert RP.authentication_options(preset=sole_factor()).state.require_trusted_user_verification
    beside = RP.authentication_options(user_handle=HANDLE, preset=second_factor())
    assert not beside.state.require_trusted_user_verification


def test_a_second_factor_is_asked_of_somebody() -> None:
    with pytest.raises(ConfigurationError) as caught:
        RP.authentication_options(preset=second_factor(), now=NOW)
    assert caught.value.path == "user_handle"
    named = RP.authentication_options(allow=[CredentialDescriptor(id=b"id")], preset=second_factor(), now=NOW)
    assert named.state.usage == "second_factor"


def test_challenges_are_fresh_and_random() -> None:
    challenges = {RP.authentication_options().state.challenge for _ in range(100)}
    assert len(challenges) == 100
    assert {len(challenge) for challenge in challenges} == {32}


REGISTRATION = RegistrationExtensions(
    cred_props=True,
    cred_protect="userVerificationRequired",
    enforce_cred_protect=True,
    min_pin_length=True,
    cred_blob=b"blob",
    large_blob="preferred",
    prf=PrfValues(first=b"1", second=b"2"),
    hmac_create_secret=True,
    appid_exclude="https://example.org/app-id.json",
    uvm=True,
    remote_client_data_json='{"type":"webauthn.create"}',
    other={"payment": {"isPayment": True}},
)
REGISTRATION_JSON = {
    "credProps": True,
    "credentialProtectionPolicy": "userVerificationRequired",
    "enforceCredentialProtectionPolicy": True,
    "minPinLength": True,
    "credBlob": "YmxvYg",
    "largeBlob": {"support": "preferred"},
    "prf": {"eval": {"first": "MQ", "second": "Mg"}},
    "hmacCreateSecret": True,
    "appidExclude": "https://example.org/app-id.json",
    "uvm": True,
    "remoteClientDataJSON": '{"type":"webauthn.create"}',
    "payment": {"isPayment": True},
}
AUTHENTICATION = AuthenticationExtensions(
    appid="https://example.org/app-id.json",
    get_cred_blob=True,
    large_blob_read=True,
    prf=PrfValues(first=b"1"),
    prf_by_credential={b"old": PrfValues(first=b"3")},
    uvm=True,
    remote_client_data_json="{}",
    other={"payment": {}},
)
AUTHENTICATION_JSON = {
    "appid": "https://example.org/app-id.json",
    "getCredBlob": True,
    "largeBlob": {"read": True},
    "prf": {"eval": {"first": "MQ"}, "evalByCredential": {"b2xk": {"first": "Mw"}}},
    "uvm": True,
    "remoteClientDataJSON": "{}",
    "payment": {},
}


def test_extension_inputs_in_both_forms() -> None:
    assert REGISTRATION.to_dict() == REGISTRATION_JSON
    assert RegistrationExtensions.from_dict(REGISTRATION_JSON) == REGISTRATION
    assert AUTHENTICATION.to_dict() == AUTHENTICATION_JSON
    assert AuthenticationExtensions.from_dict(AUTHENTICATION_JSON) == AUTHENTICATION
    write = AuthenticationExtensions(large_blob_write=b"x")
    assert write.to_dict() == {"largeBlob": {"write": "eA"}}
    assert AuthenticationExtensions.from_dict(write.to_dict()) == write
    assert RegistrationExtensions(prf=True).to_dict() == {"prf": {}}
    assert RegistrationExtensions.from_dict({"prf": {}}).prf is True
    assert RegistrationExtensions.from_dict({}) == RegistrationExtensions()
    by_credential = AuthenticationExtensions(prf_by_credential={b"a": PrfValues(first=b"")})
    assert AuthenticationExtensions.from_dict(by_credential.to_dict()) == by_credential
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", extensions=REGISTRATION, now=NOW)
    assert set(start.state.extensions) == set(REGISTRATION_JSON)


@pytest.mark.parametrize(
    "extensions",
    [
        {"appid": "https://example.org"},
        {"getCredBlob": True},
        {"prf": {"evalByCredential": {}}},
        {"enforceCredentialProtectionPolicy": True},
        RegistrationExtensions(enforce_cred_protect=True),
        RegistrationExtensions(other={"appid": "https://example.org"}),
        RegistrationExtensions(other={"largeBlob": {"write": "eA"}}),
        RegistrationExtensions(cred_blob=bytes(33)),
        {"largeBlob": {"read": True}},
        {"appidExclude": "http://example.org"},
        {"hmacGetSecret": {}},
    ],
)
def test_registration_refuses_inputs_that_mean_nothing_there(extensions: Any) -> None:
    with pytest.raises(ConfigurationError):
        RP.registration_options(user_handle=HANDLE, user_name="ada", extensions=extensions)


@pytest.mark.parametrize(
    "extensions",
    [
        {"credProps": True},
        {"appidExclude": "https://example.org"},
        {"prf": {"evalByCredential": {"b2xk": {"first": "MQ"}}}},
        {"largeBlob": {"read": True, "write": "eA"}},
        {"largeBlob": {"write": "eA"}},
        AuthenticationExtensions(large_blob_write=b"x"),
        AuthenticationExtensions(prf_by_credential={b"old": PrfValues(first=b"1")}),
        AuthenticationExtensions(other={"credProps": True}),
        AuthenticationExtensions(other={"largeBlob": {"write": "eA"}}),
        {"largeBlob": {"support": "required"}},
        {"minPinLength": True},
        {"hmacCreateSecret": True},
        {"appid": ""},
    ],
)
def test_authentication_refuses_inputs_that_mean_nothing_there(extensions: Any) -> None:
    with pytest.raises(ConfigurationError):
        RP.authentication_options(extensions=extensions)


def test_inputs_that_need_the_allow_list_have_it() -> None:
    assert RP.authentication_options(allow=[OLD], extensions=AUTHENTICATION)
    assert RP.authentication_options(allow=[OLD], extensions={"largeBlob": {"write": "eA"}})


@pytest.mark.parametrize(
    "extensions",
    [
        {"prf": {"eval": {}}},
        {"prf": {"eval": {"first": "?"}}},
        {"prf": 1},
        {"largeBlob": {"support": "maybe"}},
        {"credBlob": "?"},
        {"credentialProtectionPolicy": "none"},
    ],
)
def test_malformed_inputs_are_decode_errors(extensions: Any) -> None:
    with pytest.raises(DecodeError) as caught:
        RP.registration_options(user_handle=HANDLE, user_name="ada", extensions=extensions)
    assert caught.value.path is not None
    assert caught.value.path.startswith("extensions")


@pytest.mark.parametrize(
    "arguments",
    [
        {"user_handle": b""},
        {"user_handle": bytes(65)},
        {"user_handle": b"ada"},
        {"user_name": ""},
        {"user_name": "ada\u202eevil"},
        {"user_name": "a\x00"},
        {"user_name": "a\ud800"},
        {"user_display_name": "\u2066"},
        {"resident_key": "maybe"},
        {"user_verification": "requried"},
        {"attestation": "all"},
        {"mediation": "silent"},
        {"algorithms": []},
        {"algorithms": [-999]},
        {"algorithms": [-65535]},
        {"challenge": bytes(15)},
        {"challenge": bytes(129)},
        {"timeout_ms": 0},
        {"origins": []},
        {"origins": "https://example.org"},
        {"origins": ["https://evil.test"]},
        {"hints": "hybrid"},
        {"preset": sole_factor(), "user_verification": "discouraged"},
        {"authenticator_attachment": "platfrom"},
        {"exclude": [CredentialDescriptor(id=b"")]},
        {"exclude": [CredentialDescriptor(id=b"1", type="password")]},
        {"timeout_ms": 86_400_001},
        {"now": NOW.replace(tzinfo=None)},
    ],
    ids=str,
)
def test_arguments_that_cannot_work_are_refused_at_once(arguments: dict[str, Any]) -> None:
    required: dict[str, Any] = {"user_handle": HANDLE, "user_name": "ada"}
    with pytest.raises(ConfigurationError):
        RP.registration_options(**(required | arguments))


@pytest.mark.parametrize(
    "members",
    [
        {"id": ""},
        {"id": "https://example.org"},
        {"id": "example.org:443"},
        {"id": "Example.org"},
        {"id": "exämple.org"},
        {"id": "example.org."},
        {"id": "1.2.3.4"},
        {"id": "[::1]"},
        {"id": "0x7f000001"},
        {"id": "a..b"},
        {"id": "-a.b"},
        {"id": "a" * 64 + ".org"},
        {"id": ".".join(["a" * 60] * 5)},
        {"origins": []},
        {"origins": "https://example.org"},
        {"origins": ["https://example.org/"]},
        {"origins": ["https://example.org/login"]},
        {"origins": ["https://example.org?x"]},
        {"origins": ["https://user@example.org"]},
        {"origins": ["https://*.example.org"]},
        {"origins": ["https://example.org:443"]},
        {"origins": ["https://example.org:0443"]},
        {"origins": ["https://example.org:65536"]},
        {"origins": ["http://example.org"]},
        {"origins": ["HTTPS://example.org"]},
        {"origins": ["https://EXAMPLE.org"]},
        {"origins": ["https://example.org."]},
        {"origins": ["https://evil-example.org"]},
        {"origins": ["https://example.com"]},
        {"origins": ["null"]},
        {"origins": [""]},
        {"origins": ["android:apk-key-hash:"]},
        {"origins": ["android:apk-key-hash:" + "A" * 43 + "="]},
        {"origins": ["android:apk-key-hash:" + "+" * 43]},
        {"origins": ["android:apk-key-hash:" + "A" * 27]},
        {"origins": ["android:apk-key-hash-sha1:" + "A" * 27]},
        {"origins": ["ios:bundle id"]},
        {"related_origins": ["ios:bundle-id:a"]},
        {"top_origins": ["https://example.org/"]},
        {"algorithms": [-65535]},
        {"algorithms": []},
        {"attestation": "always"},
        {"formats": {}},
        {"name": "\u202e"},
    ],
    ids=str,
)
def test_a_relying_party_that_cannot_work_is_refused_when_built(members: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        relying_party(**members)
    assert caught.value.code is Code.CONFIGURATION_INVALID
    assert caught.value.http_status == 500


def test_a_relying_party_that_works() -> None:
    rp = RelyingParty(
        id="localhost",
        origins=["http://localhost:8000", "https://localhost", "http://app.localhost:1"],
        related_origins=["https://example.de"],
        top_origins=["https://embedder.example"],
        algorithms=[-65535],
        policy=Policy(danger_allow_rs1=True),
    )
    assert rp.authentication_options().state.origins == (*rp.origins, "https://example.de")
    assert rp.authentication_options(origins=["https://localhost"]).state.origins == ("https://localhost",)
    with pytest.raises(AttributeError):
        rp.id = "evil.test"  # type: ignore[misc]


@pytest.mark.parametrize(
    "value", ["ab" * 20, "ab:" * 32, "AB" * 31 + "G0", " " + "ab" * 32, "ab" * 32 + "\n", "a:" * 64, ""]
)
def test_android_origin_refuses_what_is_no_sha256_fingerprint(value: str) -> None:
    from passkeycore import android_origin

    with pytest.raises(ConfigurationError, match="64 hexadecimal digits"):
        android_origin(value)


@pytest.mark.parametrize(
    "settings",
    [
        {"sign_count_regression": "ignore"},
        {"unsolicited_extensions": ""},
        {"cbor_max_depth": 0},
        {"cbor_max_depth": 65},
        {"min_credential_id_bytes": 0},
        {"min_credential_id_bytes": 1024},
    ],
    ids=str,
)
def test_a_policy_that_cannot_be_meant_is_refused(settings: dict[str, Any]) -> None:
    """A misspelt word must not quietly weaken a rule."""
    with pytest.raises(ConfigurationError):
        Policy(**settings)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "{", '"\ud800"', b"\xff", '{"ceremony":"registration"}', "[" * 9999]
)
def test_what_is_no_state_is_a_decode_error(text: str | bytes) -> None:
    for kind in (RegistrationState, AuthenticationState):
        with pytest.raises(DecodeError) as caught:
            kind.from_json(text)
        assert caught.value.code is Code.STATE_INVALID


def test_states_are_typed_by_ceremony_and_version() -> None:
    registration = RP.registration_options(user_handle=HANDLE, user_name="ada").state.to_json()
    authentication = RP.authentication_options().state.to_json()
    with pytest.raises(DecodeError):
        AuthenticationState.from_json(registration)
    with pytest.raises(DecodeError):
        RegistrationState.from_json(authentication)
    with pytest.raises(DecodeError):
        AuthenticationState.from_json(authentication.replace('"version":1', '"version":2'))
    newer = json.dumps(json.loads(authentication) | {"member_of_a_newer_release": True})
    assert AuthenticationState.from_json(newer).to_json() == authentication


@pytest.mark.parametrize(
    "arguments",
    [
        {"user_handle": b""},
        {"user_handle": bytes(65)},
        {"allow": [CredentialDescriptor(id=bytes(1024))]},
        {"user_verification": "always"},
        {"challenge": b"short"},
        {"preset": second_factor(), "user_verification": "required"},
    ],
    ids=str,
)
def test_arguments_of_authentication_that_cannot_work_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RP.authentication_options(**arguments)


def test_an_allow_list_of_unknown_types_is_no_empty_one() -> None:
    """Clients skip unknown types; an empty list would then let any credential answer."""
    listed = {"challenge": "AAAA", "allowCredentials": [{"type": "wax-seal", "id": "b2xk"}]}
    with pytest.raises(DecodeError):
        RequestOptions.from_dict(listed)


def test_options_without_an_rp_id_stay_so() -> None:
    members = RP.registration_options(user_handle=HANDLE, user_name="ada", now=NOW).to_dict()
    del members["rp"]["id"]
    assert CreationOptions.from_dict(members).to_dict() == members
    with pytest.raises(DecodeError):
        CreationOptions.from_dict(members | {"timeout": -1})
