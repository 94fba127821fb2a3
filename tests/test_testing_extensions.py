"""The extensions as the authenticator and the client of the test kit play them."""

import hashlib
import hmac
from typing import Any

import pytest

from passkeycore.testing import (
    AT,
    ED,
    UP,
    UV,
    ClientError,
    SoftwareAuthenticator,
    VirtualClient,
    b64url_decode,
    b64url_encode,
    prf_salt,
)
from tests.kit import (
    ANY_HASH,
    Json,
    Parsed,
    check_assertion,
    creation_options,
    dumps,
    member,
    named,
    registered,
    request_options,
)


class TestExtensions:
    def test_prf(self) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        made = client.create(creation_options(extensions={"prf": {}}))
        assert made["clientExtensionResults"] == {"prf": {"enabled": True}}
        assert registered(made)[1].extensions == {"hmac-secret": True}
        credential_id = b64url_decode(made["id"])
        credential = client.authenticator.credentials[credential_id]
        values = {"first": b64url_encode(b"one"), "second": b64url_encode(b"two")}

        def results(verification: str, prf: Json) -> Json:
            answer = client.get(
                request_options(
                    userVerification=verification,
                    allowCredentials=named(credential_id),
                    extensions={"prf": prf},
                )
            )
            encrypted = Parsed(member(answer, "authenticatorData")).extensions["hmac-secret"]
            found: Json = answer["clientExtensionResults"]["prf"]["results"]
            assert len(encrypted) == 16 + 32 * len(found)
            assert all(b64url_decode(result) not in encrypted for result in found.values())
            return found

        salts = [hashlib.sha256(b"WebAuthn PRF\x00" + value).digest() for value in (b"one", b"two")]
        assert [prf_salt(b"one"), prf_salt(b"two")] == salts
        expected = [b64url_encode(hmac.digest(credential.secret_with_uv, salt, "sha256")) for salt in salts]
        both = dict(zip(("first", "second"), expected, strict=True))
        assert results("required", {"eval": values}) == both
        assert results("required", {"eval": {"first": "QQ"}, "evalByCredential": {made["id"]: values}}) == both
        assert results("discouraged", {"eval": values}) != both
        assert client.get(request_options(extensions={"prf": {}}))["clientExtensionResults"] == {"prf": {}}
        with pytest.raises(ClientError, match="SyntaxError"):
            results("required", {"evalByCredential": {"QQ": values}})
        with pytest.raises(ClientError, match="SyntaxError"):
            results("required", {"evalByCredential": {"no base64url": values}})

    def test_prf_at_creation_gives_what_login_gives(self) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        asked = {"prf": {"eval": {"first": b64url_encode(b"one")}}}
        made = client.create(creation_options(extensions=asked))["clientExtensionResults"]["prf"]
        used = client.get(request_options(extensions=asked))["clientExtensionResults"]["prf"]
        assert made == {"enabled": True, **used}
        bare = VirtualClient(SoftwareAuthenticator(extensions=["hmac-secret"]))
        made = bare.create(creation_options(extensions=asked))["clientExtensionResults"]["prf"]
        assert made == {"enabled": True}
        none = VirtualClient(SoftwareAuthenticator(extensions=[]))
        made = none.create(creation_options(extensions=asked))["clientExtensionResults"]["prf"]
        assert made == {"enabled": False}

    def test_large_blob(self) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        made = client.create(creation_options(extensions={"largeBlob": {"support": "required"}}))
        assert made["clientExtensionResults"] == {"largeBlob": {"supported": True}}
        allowed = named(b64url_decode(made["id"]))

        def ask(**blob: Any) -> Json:
            options = request_options(allowCredentials=allowed, extensions={"largeBlob": blob})
            found: Json = client.get(options)["clientExtensionResults"]["largeBlob"]
            return found

        assert ask(read=True) == {}
        assert ask(write=b64url_encode(b"kept")) == {"written": True}
        assert ask(read=True) == {"blob": b64url_encode(b"kept")}
        without = VirtualClient(SoftwareAuthenticator(extensions=[]))
        with pytest.raises(ClientError, match="NotAllowedError"):
            without.create(creation_options(extensions={"largeBlob": {"support": "required"}}))

    def test_authenticator_extensions(self) -> None:
        client = VirtualClient(SoftwareAuthenticator(min_pin_length=6))
        asked = {
            "credentialProtectionPolicy": "userVerificationRequired",
            "enforceCredentialProtectionPolicy": True,
            "minPinLength": True,
            "credBlob": b64url_encode(b"blob"),
            "uvm": True,
            "hmacCreateSecret": True,
            "somethingNew": True,
        }
        made = client.create(creation_options(extensions=asked))
        uvm = [[2, 4, 2]]
        assert made["clientExtensionResults"] == {"hmacCreateSecret": True, "credBlob": True, "uvm": uvm}
        _, data = registered(made)
        expected = {"credProtect": 3, "credBlob": True, "minPinLength": 6, "hmac-secret": True, "uvm": uvm}
        assert data.flags == UP | UV | AT | ED
        assert data.extensions == expected
        assert data.tail == dumps(expected)
        answer = client.get(request_options(extensions={"getCredBlob": True, "uvm": True}))
        assert answer["clientExtensionResults"] == {"getCredBlob": b64url_encode(b"blob"), "uvm": uvm}
        assert Parsed(member(answer, "authenticatorData")).extensions == {"credBlob": b"blob", "uvm": uvm}

    @pytest.mark.parametrize("level", [1, 2])
    def test_protection_is_enforced_only_where_asked(self, level: int) -> None:
        policy = ["userVerificationOptional", "userVerificationOptionalWithCredentialIDList"][level - 1]
        asked = {"credentialProtectionPolicy": policy, "enforceCredentialProtectionPolicy": True}
        _, data = registered(VirtualClient(SoftwareAuthenticator()).create(creation_options(extensions=asked)))
        assert data.extensions == {"credProtect": level}
        without = VirtualClient(SoftwareAuthenticator(extensions=[]))
        _, data = registered(
            without.create(creation_options(extensions=asked | {"enforceCredentialProtectionPolicy": False}))
        )
        assert data.extensions == {}
        if level == 2:
            with pytest.raises(ClientError, match="NotAllowedError"):
                without.create(creation_options(extensions=asked))

    def test_a_blob_that_is_too_long_is_not_stored(self) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        made = client.create(creation_options(extensions={"credBlob": b64url_encode(bytes(33))}))
        assert made["clientExtensionResults"] == {"credBlob": False}
        answer = client.get(request_options(extensions={"getCredBlob": True}))
        assert answer["clientExtensionResults"] == {"getCredBlob": ""}

    def test_app_ids(self) -> None:
        app_id = "https://example.org/app-id.json"
        client = VirtualClient(SoftwareAuthenticator(user_verification=False))
        old = client.authenticator.make_credential(
            rp_id=app_id,
            client_data_hash=ANY_HASH,
            user_handle=b"u",
            discoverable=False,
            user_verified=False,
        ).credential
        options = request_options(allowCredentials=named(old.credential_id), extensions={"appid": app_id})
        answer = client.get(options)
        assert answer["clientExtensionResults"] == {"appid": True}
        data = Parsed(member(answer, "authenticatorData"))
        assert data.rp_id_hash == hashlib.sha256(app_id.encode()).digest()
        check_assertion(answer, old.key.public_key)
        asked = creation_options(excludeCredentials=named(old.credential_id))
        new = client.create(asked)
        options = request_options(allowCredentials=named(b64url_decode(new["id"])), extensions={"appid": app_id})
        assert client.get(options)["clientExtensionResults"] == {"appid": False}
        with pytest.raises(ClientError, match="InvalidStateError"):
            client.create(asked | {"extensions": {"appidExclude": app_id}})
        made = client.create(creation_options(extensions={"appidExclude": app_id}))
        assert made["clientExtensionResults"] == {"appidExclude": True}

    def test_remote_client_data(self) -> None:
        client = VirtualClient(SoftwareAuthenticator())
        text = '{"type":"webauthn.create", "origin":"https://remote.example"}'
        made = client.create(creation_options(extensions={"remoteClientDataJSON": text}))
        assert member(made, "clientDataJSON").decode() == text
        assert made["clientExtensionResults"] == {"remoteClientDataJSON": True}
