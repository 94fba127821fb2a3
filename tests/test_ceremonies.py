"""Whole ceremonies at level 1: what a server writes and what it gets, for every algorithm, client and preset."""

import json
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from passkeycore import (
    AuthenticationExtensions,
    AuthenticationState,
    ChallengeError,
    Code,
    ConfigurationError,
    CredentialRecord,
    DecodeError,
    PasskeyError,
    Policy,
    PrfValues,
    RegistrationExtensions,
    RegistrationState,
    Trail,
    TrustPolicy,
    UnsupportedError,
    UntrustedError,
    VerificationError,
    android_origin,
    confirm_user_verification,
    second_factor,
    sole_factor,
)
from passkeycore.testing import (
    ANDROID_ORIGIN,
    AttestationAuthority,
    SoftwareAuthenticator,
    Tamper,
    VirtualClient,
    b64url_encode,
)
from passkeycore.webauthn.cose import ALGORITHMS, SUPPORTED_ALGORITHMS
from tests.ceremony import HANDLE, NOW, client, record, register, relying_party

RP = relying_party()


@pytest.mark.parametrize("algorithm", SUPPORTED_ALGORITHMS, ids=lambda id: ALGORITHMS[id].name)
@pytest.mark.parametrize("attestation", ["none", "packed-self", "packed"])
def test_every_algorithm_registers_and_signs_in(algorithm: int, attestation: Any) -> None:
    device = client(attestation=attestation)
    outcome = register(RP, device, algorithms=[algorithm], attestation="direct")
    assert outcome.attestation.type == {"none": "none", "packed-self": "self", "packed": "basic"}[attestation]
    assert not outcome.trust.trusted
    start = RP.authentication_options(allow=[outcome.credential], now=NOW)
    done = RP.verify_authentication(device.get(start.to_dict()), start.state, outcome.credential, now=NOW)
    assert done.user_handle == HANDLE
    assert done.credential == outcome.credential


@pytest.mark.parametrize("body", [json.dumps, lambda body: json.dumps(body).encode(), lambda body: body])
def test_a_body_is_text_bytes_or_a_mapping(body: Any) -> None:
    device = client()
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", now=NOW)
    credential = RP.verify_registration(body(device.create(start.to_json())), start.state, now=NOW).credential
    begun = RP.authentication_options(now=NOW)
    parsed = RP.parse_authentication(body(device.get(begun.to_json())))
    assert parsed.raw_id == credential.credential_id
    assert parsed.client_data.type == "webauthn.get"
    assert parsed.client_data.challenge not in repr(parsed.client_data)
    assert RP.verify_authentication(parsed, begun.state, credential, now=NOW).user_verified
    assert RP.parse_registration(body(device.create(start.to_json()))).client_data.type == "webauthn.create"


def test_apps_sign_in_from_their_own_origins() -> None:
    rp = relying_party(origins=["https://example.org", ANDROID_ORIGIN, "ios:bundle-id:org.example.app"])
    for platform in ("android", "ios", "browser"):
        device = VirtualClient(SoftwareAuthenticator(platform), platform=platform)
        credential = record(rp, device)
        start = rp.authentication_options(now=NOW)
        assert rp.verify_authentication(device.get(start.to_dict()), start.state, credential, now=NOW)


def test_android_origin_is_the_base64url_of_the_fingerprint() -> None:
    colons = ":".join(["AB"] * 32)
    assert android_origin(colons) == android_origin("ab" * 32) == "android:apk-key-hash:" + "q6ur" * 10 + "q6s"


def test_the_state_survives_its_json() -> None:
    device = client()
    start = RP.registration_options(
        user_handle=HANDLE,
        user_name="ada",
        exclude=[CredentialRecord(credential_id=b"old", public_key=b"", rp_id="example.org")],
        preset=sole_factor(),
        attestation="direct",
        authenticator_attachment="platform",
        extensions={"credProps": True},
        realm="tenant",
        purpose="delete",
        account_stamp="7",
        credential_name="phone",
        user_id="42",
        binding="session",
        now=NOW,
    )
    state = RegistrationState.from_json(start.state.to_json())
    assert state == start.state
    assert state.exclude_credentials == (b"old",)
    outcome = RP.verify_registration(device.create(start.to_dict()), state, user_id="42", binding=b"session", now=NOW)
    begun = RP.authentication_options(
        user_handle=HANDLE, allow=[outcome.credential], preset=sole_factor(), extensions={"appid": "https://a"}, now=NOW
    )
    assert AuthenticationState.from_json(begun.state.to_json()) == begun.state
    assert begun.state.appid == "https://a"


@pytest.mark.parametrize(
    ("user_id", "binding"), [(None, "session"), ("41", "session"), ("42", None), ("42", "another"), ("42", b"")]
)
def test_a_ceremony_finishes_only_where_it_began(user_id: str | None, binding: Any) -> None:
    device = client()
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", user_id="42", binding="session", now=NOW)
    with pytest.raises(ChallengeError) as caught:
        RP.verify_registration(device.create(start.to_dict()), start.state, user_id=user_id, binding=binding, now=NOW)
    assert caught.value.code is Code.CHALLENGE_UNKNOWN
    begun = RP.authentication_options(user_id="42", binding="session", now=NOW)
    credential = record(RP, device)
    with pytest.raises(ChallengeError):
        RP.verify_authentication(
            device.get(begun.to_dict()), begun.state, credential, user_id=user_id, binding=binding, now=NOW
        )


def test_the_state_of_one_ceremony_does_not_finish_the_other() -> None:
    device = client()
    credential = record(RP, device)
    registration = RP.registration_options(user_handle=HANDLE, user_name="ada", now=NOW).state
    authentication = RP.authentication_options(now=NOW)
    response = device.get(authentication.to_dict())
    with pytest.raises(ChallengeError):
        RP.verify_authentication(response, registration, credential, now=NOW)  # type: ignore[arg-type]
    with pytest.raises(ChallengeError):
        RP.verify_registration(response, authentication.state, now=NOW)  # type: ignore[arg-type]


def test_lateness_is_told_only_to_a_response_that_is_right_otherwise() -> None:
    device = client()
    credential = record(RP, device)
    start = RP.authentication_options(now=NOW)
    late = NOW + timedelta(minutes=5, microseconds=1)
    with pytest.raises(ChallengeError) as caught:
        RP.verify_authentication(device.get(start.to_dict()), start.state, credential, now=late)
    assert caught.value.code is Code.CHALLENGE_EXPIRED
    forged = device.get(start.to_dict(), tamper=Tamper(sign=lambda key, message: key.sign(message + b"!")))
    with pytest.raises(VerificationError) as refused:
        RP.verify_authentication(forged, start.state, credential, now=late)
    assert refused.value.code is Code.SIGNATURE_INVALID
    # At the last moment, and from a machine whose clock is a minute behind, it is in time.
    for now in (NOW + timedelta(minutes=5), NOW - timedelta(seconds=60)):
        RP.verify_authentication(device.get(start.to_dict()), start.state, credential, now=now)
    with pytest.raises(ChallengeError):
        RP.verify_authentication(device.get(start.to_dict()), start.state, credential, now=NOW - timedelta(seconds=61))


def test_conditional_ceremonies_last_half_an_hour() -> None:
    assert RP.authentication_options(mediation="conditional", now=NOW).state.expires_at == NOW + timedelta(minutes=30)
    assert RP.authentication_options(timeout_ms=1500, now=NOW).state.expires_at == NOW + timedelta(seconds=1.5)
    assert RP.authentication_options(now=NOW).options.timeout_ms == 300_000


def test_only_a_conditional_creation_needs_nobody_present() -> None:
    outcome = register(RP, client(), mediation="conditional")
    assert not outcome.user_verified
    assert not outcome.credential.uv_initialized


def test_user_verification_is_trusted_when_a_thief_cannot_have_set_it_up() -> None:
    """UV counts if it was seen at registration, or the credential can be synced, or another factor confirmed it."""
    for first, eligible, trusted in ((True, False, True), (False, False, False), (False, True, True)):
        device = client(f"{first}{eligible}", user_verification=first, backup_eligible=eligible)
        credential = record(RP, device, user_verification="preferred")
        stolen = VirtualClient(
            SoftwareAuthenticator(f"{first}{eligible}", user_verification=True, backup_eligible=eligible)
        )
        stolen.authenticator.credentials.update(device.authenticator.credentials)
        start = RP.authentication_options(user_verification="required", now=NOW)
        done = RP.verify_authentication(stolen.get(start.to_dict()), start.state, credential, now=NOW)
        assert done.user_verified
        assert done.user_verification_trusted is trusted
        assert done.credential.uv_initialized is first
        confirmed = confirm_user_verification(credential)
        done = RP.verify_authentication(stolen.get(start.to_dict()), start.state, confirmed, now=NOW)
        assert done.user_verification_trusted
        demands: list[dict[str, Any]] = [{"preset": sole_factor()}, {"require_trusted_user_verification": True}]
        for demand in demands:
            start = RP.authentication_options(now=NOW, **demand)
            assert start.options.user_verification == "required"
            response = stolen.get(start.to_dict())
            if trusted:
                assert RP.verify_authentication(response, start.state, credential, now=NOW)
            else:
                with pytest.raises(VerificationError) as caught:
                    RP.verify_authentication(response, start.state, credential, now=NOW)
                assert caught.value.code is Code.USER_VERIFICATION_UNTRUSTED


def test_a_second_factor_never_finishes_a_sole_factor_ceremony() -> None:
    device = client()
    credential = record(RP, device, preset=second_factor(), resident_key=None)
    assert credential.usage == "second_factor"
    start = RP.authentication_options(allow=[credential], preset=sole_factor(), now=NOW)
    with pytest.raises(VerificationError) as caught:
        RP.verify_authentication(device.get(start.to_dict()), start.state, credential, now=NOW)
    assert caught.value.code is Code.CREDENTIAL_NOT_ALLOWED
    start = RP.authentication_options(allow=[credential], preset=second_factor(), now=NOW)
    assert RP.verify_authentication(device.get(start.to_dict()), start.state, credential, now=NOW)


def test_a_record_without_an_owner_answers_only_where_no_owner_is_claimed() -> None:
    """Imported records may lack the user handle: only the allow list can vouch for them."""
    device = client()
    orphan = replace(record(RP, device), user_handle=None)
    cases: list[tuple[dict[str, Any], Code | None]] = [
        ({}, Code.USER_HANDLE_MISMATCH),
        ({"allow": [orphan]}, None),
        ({"allow": [orphan], "user_handle": HANDLE}, None),
        ({"user_handle": HANDLE}, Code.CREDENTIAL_NOT_ALLOWED),
    ]
    for options, code in cases:
        start = RP.authentication_options(now=NOW, **options)
        response = device.get(start.to_dict())
        if code is None:
            done = RP.verify_authentication(response, start.state, orphan, now=NOW)
            assert done.user_handle is None
        else:
            with pytest.raises(VerificationError) as caught:
                RP.verify_authentication(response, start.state, orphan, now=NOW)
            assert caught.value.code is code


@pytest.mark.parametrize(
    ("policy", "eligible", "accepted"),
    [
        ("reject_single_device", False, False),
        ("reject_single_device", True, True),
        ("reject", True, False),
        ("report", False, True),
    ],
)
def test_a_counter_that_does_not_grow_is_judged_by_policy(policy: Any, eligible: bool, accepted: bool) -> None:
    rp = relying_party(policy=Policy(sign_count_regression=policy))
    device = client(sign_count=5, backup_eligible=eligible)
    credential = replace(record(rp, device), sign_count=9)
    start = rp.authentication_options(now=NOW)
    response = device.get(start.to_dict())
    if accepted:
        done = rp.verify_authentication(response, start.state, credential, now=NOW)
        assert done.sign_count_regressed
        assert done.credential.sign_count == done.update.sign_count == 9
    else:
        with pytest.raises(VerificationError) as caught:
            rp.verify_authentication(response, start.state, credential, now=NOW)
        assert caught.value.code is Code.SIGN_COUNT_REGRESSED


def test_the_update_holds_what_was_judged_and_what_to_store() -> None:
    device = client(sign_count=5, sign_count_step=1, backup_eligible=True, backup_state=True)
    credential = replace(record(RP, device), backup_eligible=None, backup_state=False, sign_count=3)
    start = RP.authentication_options(now=NOW)
    done = RP.verify_authentication(device.get(start.to_dict()), start.state, credential, now=NOW)
    update = done.update
    assert (update.expected_sign_count, update.expected_backup_state, update.expected_uv_initialized) == (
        3,
        False,
        True,
    )
    assert (update.backup_eligible, update.backup_state) == (True, True)
    assert update.sign_count > 5
    assert done.backup_state_changed
    assert not done.backup_eligibility_changed
    assert done.credential.backup_eligible is True


def test_a_changed_backup_eligibility_is_reported_when_policy_says_so() -> None:
    device = client(backup_eligible=True)
    credential = replace(record(RP, device), backup_eligible=False)
    rp = relying_party(policy=Policy(backup_eligibility_change="report"))
    start = rp.authentication_options(now=NOW)
    done = rp.verify_authentication(device.get(start.to_dict()), start.state, credential, now=NOW)
    assert done.backup_eligibility_changed
    assert done.credential.backup_eligible is True


def test_trust_is_reported_apart_from_validity_and_demanded_by_policy() -> None:
    authority = AttestationAuthority("vendor")
    other = AttestationAuthority("another vendor")
    device = client(attestation="packed", authority=authority)
    outcome = register(relying_party(trust=TrustPolicy(anchors=(authority.root,))), device, attestation="direct")
    assert outcome.trust.trusted
    assert outcome.trust.path[-1] == authority.root
    assert outcome.attestation.trust_path[0] == outcome.trust.path[0]
    strangers = TrustPolicy(anchors=(other.root,))
    assert not register(relying_party(trust=strangers), device, attestation="direct").trust.trusted
    for policy, settings, code in (
        (TrustPolicy(anchors=(other.root,), untrusted="reject"), device, Code.ATTESTATION_UNTRUSTED),
        (TrustPolicy(anchors=(other.root,), require_trusted=True), device, Code.ATTESTATION_UNTRUSTED),
        (TrustPolicy(anchors=(other.root,), require_trusted=True), client(), Code.ATTESTATION_REQUIRED),
    ):
        with pytest.raises(UntrustedError) as caught:
            register(relying_party(trust=policy), settings, attestation="direct")
        assert caught.value.code is code
        assert caught.value.decision.reason  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError):
        TrustPolicy(require_trusted=True)


def test_the_trail_tells_each_check_and_ends_with_the_one_that_failed() -> None:
    device = client()
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", user_verification="required", now=NOW)
    trail = Trail()
    outcome = RP.verify_registration(device.create(start.to_dict()), start.state, now=NOW, trail=trail)
    names = [check["name"] for check in trail.to_list()]
    assert names[:7] == ["credential type", "client data", "type", "challenge", "origin", "crossOrigin", "topOrigin"]
    assert names[-1] == "trust"
    begun = RP.authentication_options(now=NOW)
    complete = Trail()
    RP.verify_authentication(device.get(begun.to_dict()), begun.state, outcome.credential, now=NOW, trail=complete)
    failed = Trail()
    absent = device.get(begun.to_dict(), tamper=Tamper(flags=lambda flags: flags & ~1))
    with pytest.raises(VerificationError):
        RP.verify_authentication(absent, begun.state, outcome.credential, now=NOW, trail=failed)
    assert failed.checks[-1].to_dict() == {"name": "UP", "expected": True, "actual": False}
    assert [check.name for check in complete.checks][: len(failed.checks)] == [check.name for check in failed.checks]
    assert begun.state.challenge.hex() not in repr(complete) + json.dumps(complete.to_list())


def test_errors_tell_developers_why_and_users_nothing() -> None:
    device = client()
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", now=NOW)
    messages = set()
    for tamper in (
        Tamper(client_data=lambda members: members | {"origin": "https://evil\r\n.example"}),
        Tamper(flags=lambda flags: flags & ~1),
        Tamper(rp_id_hash=lambda _: bytes(32)),
    ):
        with pytest.raises(VerificationError) as caught:
            RP.verify_registration(device.create(start.to_dict(), tamper=tamper), start.state, now=NOW)
        error: PasskeyError = caught.value
        messages.add((error.public_message, error.http_status))
        assert error.spec is not None
        assert error.spec.startswith("https://www.w3.org/TR/webauthn-3/#")
        assert "\n" not in str(error) + json.dumps(error.to_dict(), ensure_ascii=False)
    assert len(messages) == 1


def test_nothing_secret_is_in_a_repr() -> None:
    start = RP.registration_options(
        user_handle=HANDLE, user_name="ada", extensions={"prf": {"eval": {"first": "c2VjcmV0"}}}, now=NOW
    )
    begun = RP.authentication_options(
        extensions={"prf": {"eval": {"first": "c2VjcmV0", "second": "c2VjcmV0"}}}, now=NOW
    )
    response = RP.parse_registration(client().create(start.to_dict()))
    outcome = RP.verify_registration(response, start.state, now=NOW)
    secret = RegistrationExtensions(cred_blob=b"secret", other={"x": repr(b"secret")})
    assert repr(b"secret") not in repr(PrfValues(first=b"secret", second=b"secret"))
    written = AuthenticationExtensions(large_blob_write=b"secret")
    for value in (
        *(start, start.state, start.options, start.options.extensions, begun, begun.state, begun.options),
        *(response, response.client_data, outcome, outcome.credential, secret, written),
    ):
        text = repr(value)
        assert repr(start.state.challenge) not in text
        assert b64url_encode(start.state.challenge) not in text
        assert repr(begun.state.challenge) not in text
        assert repr(b"secret") not in text


def test_the_trail_shows_what_each_check_saw() -> None:
    """The whole trail of one authentication: a support engineer reads it like the specification."""
    device = client(sign_count=7, sign_count_step=1)
    credential = record(RP, device)
    start = RP.authentication_options(allow=[credential], user_handle=HANDLE, extensions={"uvm": True}, now=NOW)
    trail = Trail()
    response = device.get(start.to_dict())
    done = RP.verify_authentication(response, start.state, credential, now=NOW, trail=trail)
    seen = [(check.name, check.expected, check.actual) for check in trail.checks]
    assert seen == [
        ("credential type", "public-key", "public-key"),
        ("credential id", credential.credential_id, credential.credential_id),
        ("RP ID of the record", "example.org", "example.org"),
        ("allowed credentials", 1, credential.credential_id),
        ("owner", HANDLE, HANDLE),
        ("user handle", HANDLE, HANDLE),
        ("usage", None, None),
        ("client data", None, None),
        ("type", "webauthn.get", "webauthn.get"),
        ("challenge", None, None),
        ("origin", ("https://example.org",), "https://example.org"),
        ("crossOrigin", False, False),
        ("topOrigin", (), None),
        ("tokenBinding", "ignore", False),
        ("rpIdHash", done.authenticator_data.rp_id_hash, done.authenticator_data.rp_id_hash),
        ("UP", True, True),
        ("UV", "preferred", True),
        ("BE/BS", None, 0),
        ("attested credential data", False, False),
        ("public key", None, credential.public_key),
        ("signature", None, None),
        # Only now what the record alone tells: a forged response must not learn it.
        ("trusted UV", False, True),
        ("BE unchanged", False, False),
        ("signCount", credential.sign_count, done.authenticator_data.sign_count),
        ("extensions", ("uvm",), ["uvm"]),
        ("time", "2026-01-01T12:05:00+00:00", "2026-01-01T12:00:00+00:00"),
    ]
    assert (done.user_handle, done.user_verified) == (HANDLE, True)
    assert done.authenticator_extensions.names == {"uvm"}
    unknown = RP.authentication_options(now=NOW)
    trail = Trail()
    RP.verify_authentication(device.get(unknown.to_dict()), unknown.state, done.credential, now=NOW, trail=trail)
    assert [(c.expected, c.actual) for c in trail.checks if c.name == "user handle"] == [(HANDLE, HANDLE)]
    assert [c.expected for c in trail.checks if c.name == "owner"] == [None]


def test_the_trail_of_a_registration_shows_what_each_check_saw() -> None:
    device = client()
    start = RP.registration_options(
        user_handle=HANDLE, user_name="ada", extensions={"credProps": True, "minPinLength": True}, now=NOW
    )
    trail = Trail()
    outcome = RP.verify_registration(device.create(start.to_dict()), start.state, now=NOW, trail=trail)
    seen = {check.name: (check.expected, check.actual) for check in trail.checks}
    credential = outcome.credential
    assert seen["attested credential data"] == (True, True)
    assert seen["credential id length"] == (1023, len(credential.credential_id))
    assert seen["credential id"] == (credential.credential_id, credential.credential_id)
    assert seen["excluded credentials"] == (0, credential.credential_id)
    assert seen["algorithm"] == (start.state.algorithms, -7)
    assert seen["extensions"] == (("credProps", "minPinLength"), ["credProps", "minPinLength"])
    assert seen["trust"] == (0, "none")


def test_what_was_judged_cannot_be_changed_afterwards() -> None:
    """Every value is frozen and made by keyword, so that a later release can add to it."""
    device = client()
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", now=NOW)
    response = RP.parse_registration(device.create(start.to_dict()))
    outcome = RP.verify_registration(response, start.state, now=NOW)
    begun = RP.authentication_options(now=NOW)
    done = RP.verify_authentication(device.get(begun.to_dict()), begun.state, outcome.credential, now=NOW)
    data = response.attestation_object.authenticator_data
    values: list[Any] = [
        *(start, start.state, start.options, begun, begun.state, begun.options, response, response.client_data, data),
        *(data.attested_credential_data, outcome, outcome.credential, outcome.attestation, outcome.trust, done, RP),
        *(done.update, done.client_extensions, done.authenticator_extensions, RP.policy, RP.policy.limits, RP.trust),
    ]
    for value in values:
        fields = value.__struct_fields__
        with pytest.raises(AttributeError):
            setattr(value, fields[0], getattr(value, fields[0]))
        with pytest.raises(TypeError):
            type(value)(*(getattr(value, name) for name in fields))


def test_a_ceremony_of_another_relying_party_does_not_finish_here() -> None:
    other = relying_party(id="example.com", origins=["https://example.com"])
    device = client()
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", now=NOW)
    with pytest.raises(ChallengeError):
        other.verify_registration(device.create(start.to_dict()), start.state, now=NOW)
    credential = record(RP, device)
    begun = RP.authentication_options(now=NOW)
    with pytest.raises(ChallengeError):
        other.verify_authentication(device.get(begun.to_dict()), begun.state, credential, now=NOW)


def test_sha1_signatures_need_their_opt_in_at_every_sign_in() -> None:
    lax = relying_party(algorithms=[-65535], policy=Policy(danger_allow_rs1=True))
    device = client()
    credential = record(lax, device)
    start = lax.authentication_options(now=NOW)
    response = device.get(start.to_dict())
    assert lax.verify_authentication(response, start.state, credential, now=NOW)
    with pytest.raises(UnsupportedError) as caught:
        RP.verify_authentication(response, start.state, credential, now=NOW)
    assert caught.value.code is Code.ALGORITHM_UNSUPPORTED


@pytest.mark.parametrize("results", [{"x": 10**5000}, {"x": object()}, {"x": {1, 2}}, {"x": "\ud800"}, {"x": 1e999}])
def test_members_that_are_no_json_are_decode_errors_or_ignored(results: Any) -> None:
    device = client()
    credential = record(RP, device)
    start = RP.authentication_options(now=NOW)
    body = device.get(start.to_dict()) | {"clientExtensionResults": results}
    try:
        RP.verify_authentication(MappingProxyType(body), start.state, credential, now=NOW)
    except DecodeError as error:
        assert error.code is Code.JSON_INVALID
    for nothing in (None, 1, [], [1], "\ud800", b"\xff"):
        with pytest.raises(DecodeError):
            RP.parse_authentication(nothing)  # type: ignore[arg-type]


def test_a_binding_is_any_text_at_all() -> None:
    device = client()
    begun = RP.authentication_options(binding="\ud800", now=NOW)
    credential = record(RP, device)
    response = device.get(begun.to_dict())
    assert RP.verify_authentication(response, begun.state, credential, binding="\ud800", now=NOW)
    with pytest.raises(ChallengeError):
        RP.verify_authentication(response, begun.state, credential, binding="\udfff", now=NOW)


def test_the_trail_ends_with_the_check_that_failed_also_where_reading_failed() -> None:
    device = client()
    start = RP.registration_options(user_handle=HANDLE, user_name="ada", now=NOW)
    for tamper, last in (
        (Tamper(client_data_json=lambda raw: raw[:-1]), "client data"),
        (Tamper(cose_key=lambda key: dict(key) | {-2: bytes(32)}), "public key"),
    ):
        trail = Trail()
        with pytest.raises(PasskeyError):
            RP.verify_registration(device.create(start.to_dict(), tamper=tamper), start.state, now=NOW, trail=trail)
        assert trail.checks[-1].name == last
