"""The software authenticator and the virtual client of the test kit."""

import hashlib
import json

import pytest
from cryptography.hazmat.primitives import serialization

from passkeycore.testing import (
    ALGORITHMS,
    ANDROID_ORIGIN,
    AT,
    BE,
    BS,
    TEST_AAGUID,
    UP,
    UV,
    AuthenticatorError,
    ClientError,
    SoftwareAuthenticator,
    VirtualClient,
    b64url_decode,
    b64url_encode,
)
from tests.kit import (
    ANY_HASH,
    Json,
    Parsed,
    check,
    check_assertion,
    creation_options,
    loads,
    member,
    named,
    public_key,
    registered,
    request_options,
)


class TestAuthenticator:
    def test_same_seed_and_calls_same_bytes(self) -> None:
        def play() -> list[Json]:
            client = VirtualClient(SoftwareAuthenticator("phone", attestation="packed", sign_count_step=1))
            return [
                client.create(creation_options()),
                client.create(creation_options()),
                client.get(request_options()),
            ]

        first = play()
        assert first == play()
        assert first[0]["id"] != first[1]["id"]
        assert SoftwareAuthenticator("other").authority.root != SoftwareAuthenticator("phone").authority.root

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_every_algorithm_registers_and_signs(self, algorithm: int) -> None:
        client = VirtualClient(SoftwareAuthenticator(attestation="packed-self"))
        response = client.create(creation_options(pubKeyCredParams=[{"type": "public-key", "alg": algorithm}]))
        attestation, data = registered(response)
        key, label = public_key(data.cose)
        client_data_hash = hashlib.sha256(member(response, "clientDataJSON")).digest()
        assert label == attestation["attStmt"]["alg"] == response["response"]["publicKeyAlgorithm"] == algorithm
        assert member(response, "publicKey") == key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        check(key, algorithm, attestation["attStmt"]["sig"], attestation["authData"] + client_data_hash)
        check_assertion(client.get(request_options()), key, algorithm)

    def test_settings_reach_the_authenticator_data(self) -> None:
        authenticator = SoftwareAuthenticator(
            backup_eligible=True,
            backup_state=True,
            sign_count=7,
            sign_count_step=2,
            credential_id_length=1023,
        )
        made = authenticator.make_credential(
            rp_id="example.org", client_data_hash=ANY_HASH, user_handle=b"u", user_verified=False
        )
        data = Parsed(made.authenticator_data)
        assert (data.flags, data.sign_count, data.aaguid) == (UP | BE | BS | AT, 7, TEST_AAGUID.bytes)
        assert data.rp_id_hash == hashlib.sha256(b"example.org").digest()
        assert data.credential_id == made.credential.credential_id
        assert len(data.credential_id) == 1023
        assert loads(made.attestation_object)["authData"] == made.authenticator_data
        made.credential.backup_state = False
        counts = [
            Parsed(
                authenticator.get_assertion(
                    rp_id="example.org", client_data_hash=ANY_HASH, user_present=False
                ).authenticator_data
            )
            for _ in range(2)
        ]
        assert [(c.flags, c.sign_count) for c in counts] == [(UV | BE, 9), (UV | BE, 11)]

    def test_the_newest_discoverable_credential_answers_unless_others_are_named(self) -> None:
        authenticator = SoftwareAuthenticator()
        old, new, hidden, elsewhere = (
            authenticator.make_credential(
                rp_id=rp_id, client_data_hash=ANY_HASH, user_handle=b"u", discoverable=discoverable
            ).credential
            for rp_id, discoverable in (("a.org", True), ("a.org", True), ("a.org", False), ("b.org", True))
        )

        def answer(*allowed: bytes) -> tuple[bytes, bytes | None]:
            made = authenticator.get_assertion(rp_id="a.org", client_data_hash=ANY_HASH, allowed=allowed)
            return made.credential_id, made.user_handle

        assert answer() == (new.credential_id, b"u")
        assert answer(hidden.credential_id, old.credential_id) == (hidden.credential_id, None)
        with pytest.raises(AuthenticatorError, match="NO_CREDENTIALS"):
            answer(elsewhere.credential_id)

    @pytest.mark.parametrize(
        ("settings", "asked", "status"),
        [
            ({"algorithms": [-8]}, {"algorithms": [-7]}, "CTAP2_ERR_UNSUPPORTED_ALGORITHM"),
            ({"user_verification": False}, {}, "CTAP2_ERR_UNSUPPORTED_OPTION"),
            ({"resident_keys": False}, {}, "CTAP2_ERR_UNSUPPORTED_OPTION"),
        ],
    )
    def test_it_refuses_what_it_cannot_do(self, settings: Json, asked: Json, status: str) -> None:
        authenticator = SoftwareAuthenticator(**settings)
        with pytest.raises(AuthenticatorError) as caught:
            authenticator.make_credential(rp_id="a.org", client_data_hash=ANY_HASH, user_handle=b"u", **asked)
        assert caught.value.status == status
        assert authenticator.credentials == {}
        if settings == {"user_verification": False}:
            with pytest.raises(AuthenticatorError, match="UNSUPPORTED_OPTION"):
                authenticator.get_assertion(rp_id="a.org", client_data_hash=ANY_HASH)
            with pytest.raises(ClientError, match="NotAllowedError"):
                VirtualClient(authenticator).get(request_options(userVerification="required"))

    def test_protection_levels_hide_credentials_from_the_unverified(self) -> None:
        authenticator = SoftwareAuthenticator()
        ids = [
            authenticator.make_credential(
                rp_id="a.org",
                client_data_hash=ANY_HASH,
                user_handle=b"u",
                extensions={"credProtect": level},
            ).credential.credential_id
            for level in (1, 2, 3)
        ]
        found = authenticator.find("a.org", user_verified=False)
        assert [credential.credential_id for credential in found] == ids[:1]
        found = authenticator.find("a.org", ids, user_verified=False)
        assert [credential.credential_id for credential in found] == ids[:2]
        assert len(authenticator.find("a.org")) == 3


class TestClient:
    def test_registration_response(self) -> None:
        authenticator = SoftwareAuthenticator(transports=["internal", "hybrid", "internal"])
        client = VirtualClient(authenticator)
        response = client.create(json.dumps(creation_options()).encode())
        assert list(response) == [
            "id",
            "rawId",
            "response",
            "authenticatorAttachment",
            "clientExtensionResults",
            "type",
        ]
        assert response["type"] == "public-key"
        assert response["authenticatorAttachment"] == "platform"
        assert response["clientExtensionResults"] == {}
        assert response["response"]["transports"] == ["hybrid", "internal"]
        attestation, data = registered(response)
        assert member(response, "authenticatorData") == attestation["authData"]
        assert response["id"] == response["rawId"] == b64url_encode(data.credential_id)
        assert data.flags == UP | UV | AT
        challenge = creation_options()["challenge"]
        expected = (
            f'{{"type":"webauthn.create","challenge":"{challenge}","origin":"https://example.org","crossOrigin":false}}'
        )
        assert member(response, "clientDataJSON").decode() == expected
        assert json.loads(json.dumps(response)) == response

    def test_authentication_response(self) -> None:
        client = VirtualClient(SoftwareAuthenticator(transports=["usb"]))
        _, data = registered(client.create(creation_options()))
        response = client.get(json.dumps(request_options(userVerification="discouraged")))
        assert member(response, "userHandle") == b"user-1"
        assert response["authenticatorAttachment"] == "cross-platform"
        assert Parsed(member(response, "authenticatorData")).flags == UP
        assert json.loads(member(response, "clientDataJSON"))["type"] == "webauthn.get"
        check_assertion(response, public_key(data.cose)[0])

    def test_a_credential_that_is_not_discoverable_brings_no_user_handle(self) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        made = client.create(creation_options(authenticatorSelection={}))
        credential_id = b64url_decode(made["id"])
        assert not client.authenticator.credentials[credential_id].discoverable
        assert "userHandle" not in client.get(request_options(allowCredentials=named(credential_id)))["response"]
        for options, mediation in (
            (request_options(), None),
            (request_options(allowCredentials=named(credential_id)), "conditional"),
        ):
            with pytest.raises(ClientError, match="NotAllowedError"):
                client.get(options, mediation=mediation)

    def test_the_user_can_pick(self) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        first = client.create(creation_options())["id"]
        second = client.create(creation_options())["id"]
        assert client.get(request_options())["id"] == second
        assert client.get(request_options(), credential_id=b64url_decode(first))["id"] == first

    @pytest.mark.parametrize(
        ("selection", "settings", "discoverable"),
        [
            ({}, {}, False),
            ({"requireResidentKey": True}, {}, True),
            ({"residentKey": "preferred"}, {}, True),
            ({"residentKey": "preferred"}, {"resident_keys": False}, False),
            ({"residentKey": "discouraged", "requireResidentKey": True}, {}, False),
            ({"residentKey": "something new", "requireResidentKey": True}, {}, True),
        ],
    )
    def test_resident_key(self, selection: Json, settings: Json, discoverable: bool) -> None:
        client = VirtualClient(SoftwareAuthenticator(**settings))
        options = creation_options(authenticatorSelection=selection, extensions={"credProps": True})
        assert client.create(options)["clientExtensionResults"] == {"credProps": {"rk": discoverable}}

    @pytest.mark.parametrize(
        ("requirement", "capable", "verified"),
        [
            ("required", True, True),
            ("preferred", True, True),
            ("preferred", False, False),
            ("discouraged", True, False),
            (None, True, True),
        ],
    )
    def test_user_verification(self, requirement: str | None, capable: bool, verified: bool) -> None:
        client = VirtualClient(SoftwareAuthenticator(user_verification=capable))
        selection = {"residentKey": "required", "userVerification": requirement}
        _, data = registered(client.create(creation_options(authenticatorSelection=selection)))
        assert bool(data.flags & UV) == verified
        answer = client.get(request_options(userVerification=requirement))
        assert bool(Parsed(member(answer, "authenticatorData")).flags & UV) == verified

    def test_conditional_creation_asks_nobody(self) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        _, data = registered(client.create(creation_options(), mediation="conditional"))
        assert data.flags == AT

    @pytest.mark.parametrize(
        ("params", "algorithm"),
        [([], -7), ([-257, -7], -257), ([-999, -8], -8)],
    )
    def test_algorithm_choice(self, params: list[int], algorithm: int) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        entries = [{"type": "public-key", "alg": one} for one in params]
        response = client.create(creation_options(pubKeyCredParams=entries))
        assert response["response"]["publicKeyAlgorithm"] == algorithm

    @pytest.mark.parametrize(
        ("origin", "rp_id", "used"),
        [
            ("https://example.org", "example.org", "example.org"),
            ("https://login.example.org:8443", "example.org", "example.org"),
            ("https://login.example.org", None, "login.example.org"),
            ("http://localhost:8000", "localhost", "localhost"),
            ("https://example.net", "example.org", "example.org"),
        ],
    )
    def test_rp_id_and_origin(self, origin: str, rp_id: str | None, used: str) -> None:
        related = {"example.org": ["https://example.net"]}
        client = VirtualClient(SoftwareAuthenticator(), origin, related_origins=related)
        response = client.create(creation_options(rp={"name": "", "id": rp_id}))
        assert registered(response)[1].rp_id_hash == hashlib.sha256(used.encode()).digest()
        assert json.loads(member(response, "clientDataJSON"))["origin"] == origin

    @pytest.mark.parametrize(
        ("origin", "rp_id"),
        [
            ("https://example.org", "org"),
            ("https://example.org", "login.example.org"),
            ("https://badexample.org", "example.org"),
            ("https://example.org", "example.net"),
            ("http://example.org", "example.org"),
            ("https://192.0.2.1", "192.0.2.1"),
            ("https://", None),
        ],
    )
    def test_a_browser_refuses_foreign_rp_ids(self, origin: str, rp_id: str | None) -> None:
        client = VirtualClient(SoftwareAuthenticator(), origin)
        with pytest.raises(ClientError, match="SecurityError"):
            client.create(creation_options(rp={"id": rp_id, "name": ""}))
        with pytest.raises(ClientError, match="SecurityError"):
            client.get(request_options(rpId=rp_id))

    def test_apps_have_their_own_origins(self) -> None:
        ios = VirtualClient(SoftwareAuthenticator(), platform="ios")
        android = VirtualClient(SoftwareAuthenticator(), platform="android")
        data = json.loads(member(ios.create(creation_options()), "clientDataJSON"))
        assert (data["origin"], data["crossOrigin"]) == ("https://example.org", False)
        data = json.loads(member(android.create(creation_options()), "clientDataJSON"))
        assert data["origin"] == ANDROID_ORIGIN
        assert len(b64url_decode(ANDROID_ORIGIN.removeprefix("android:apk-key-hash:"))) == 32
        assert "crossOrigin" not in data
        with pytest.raises(ClientError, match="SecurityError"):
            android.get(request_options(rpId=None))

    def test_embedding(self) -> None:
        client = VirtualClient(SoftwareAuthenticator(), cross_origin=True, top_origin="https://example.com")
        data = json.loads(member(client.create(creation_options()), "clientDataJSON"))
        assert list(data) == ["type", "challenge", "origin", "crossOrigin", "topOrigin"]
        assert (data["crossOrigin"], data["topOrigin"]) == (True, "https://example.com")
        with pytest.raises(ValueError, match="cross_origin"):
            VirtualClient(SoftwareAuthenticator(), top_origin="https://example.com")

    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"challenge": "QQ=="}, "EncodingError"),
            ({"challenge": None}, "TypeError"),
            ({"user": {"id": "", "name": "", "displayName": ""}}, "TypeError"),
            ({"user": {"id": b64url_encode(bytes(65)), "name": "", "displayName": ""}}, "TypeError"),
            ({"user": {"id": "QQ", "name": ""}}, "TypeError"),
            ({"rp": {"id": "example.org"}}, "TypeError"),
            ({"pubKeyCredParams": None}, "TypeError"),
            ({"pubKeyCredParams": [{"type": "public-key", "alg": "ES256"}]}, "TypeError"),
            ({"pubKeyCredParams": [{"type": "password", "alg": -7}]}, "NotSupportedError"),
            ({"pubKeyCredParams": [{"type": "public-key", "alg": -999}]}, "NotSupportedError"),
            ({"authenticatorSelection": {"authenticatorAttachment": "cross-platform"}}, "NotAllowedError"),
            ({"extensions": []}, "TypeError"),
            ({"extensions": {"appidExclude": 1}}, "TypeError"),
            ({"extensions": {"largeBlob": {"read": True}}}, "NotSupportedError"),
            ({"extensions": {"prf": {"evalByCredential": {}}}}, "NotSupportedError"),
            ({"extensions": {"credentialProtectionPolicy": "x"}}, "TypeError"),
        ],
    )
    def test_refused_creation_options(self, changes: Json, name: str) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        with pytest.raises(ClientError) as caught:
            client.create(creation_options(**changes))
        assert caught.value.name == name
        assert client.authenticator.credentials == {}

    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"allowCredentials": [{"type": "password", "id": "QQ"}]}, "NotAllowedError"),
            ({"allowCredentials": named(b"unknown")}, "NotAllowedError"),
            ({"extensions": {"prf": {"evalByCredential": {"QQ": {"first": "QQ"}}}}}, "NotSupportedError"),
            ({"extensions": {"largeBlob": {"write": "QQ"}}}, "NotSupportedError"),
            ({"extensions": {"largeBlob": {"support": "required"}}}, "NotSupportedError"),
            ({"extensions": {"prf": {"eval": {"first": "QQ=="}}}}, "EncodingError"),
        ],
    )
    def test_refused_request_options(self, changes: Json, name: str) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        client.create(creation_options())
        with pytest.raises(ClientError) as caught:
            client.get(request_options(**changes))
        assert caught.value.name == name

    @pytest.mark.parametrize("text", ["{", b"\xff", "[]"])
    def test_refused_text(self, text: str | bytes) -> None:
        with pytest.raises(ClientError, match=r"SyntaxError|TypeError"):
            VirtualClient(SoftwareAuthenticator()).get(text)

    def test_excluded_credentials(self) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        known = b64url_decode(client.create(creation_options())["id"])
        with pytest.raises(ClientError) as caught:
            client.create(creation_options(excludeCredentials=named(known)))
        assert caught.value.name == "InvalidStateError"
        assert str(caught.value) == "InvalidStateError: the authenticator has an excluded credential"
        client.create(creation_options(excludeCredentials=named(b"other")))
