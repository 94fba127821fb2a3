"""The README's steps for moving from two vendors: with their packages from PyPI, unchanged, against a running server.

The server has the very tenants of the README's files, and the passkeys that its script imports; browsers and apps are
clients of the test kit.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from authsignal.client import ApiException  # type: ignore[import-untyped]

from passkeycore import RelyingParty
from passkeycore.config.server import load_server
from passkeycore.server.propelauth.commands import NOT_SERVED
from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from tests.ceremony import NOW

from .blocks import README, execute, executes, section
from .serving import serving
from .yours import ADA

CHAPTER = "Level 3: the server"
AUTHSIGNAL, PROPELAUTH, IMPORT = (
    f"{CHAPTER} / {name}" for name in ("Moving from Authsignal", "Moving from PropelAuth BYO", "Importing passkeys")
)
LOOP = "Recipes / Moving from another library"
KEY = "the key of the application's servers, 32 bytes"
SERVE = "passkeycore serve --config passkeycore.toml"


class Row(NamedTuple):
    """What the vendor has given out of a passkey."""

    credential_id: bytes
    public_key: bytes
    user_handle: bytes
    sign_count: int
    user_verified: bool
    user_id: str
    email: str
    nickname: str


class Moved(NamedTuple):
    """A server with the tenant of a section, and a client whose passkey the vendor had registered."""

    url: str
    phone: VirtualClient


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # where the file is, and the database
    monkeypatch.setenv("PASSKEYCORE_SECRET", "the server's secret, of 32 bytes or more")
    for vendor in ("AUTHSIGNAL_SECRET", "PROPELAUTH_KEY"):
        monkeypatch.setenv(vendor, KEY)
    return tmp_path


def moved(chapter: str, place: Path) -> Iterator[Moved]:
    """The section's file, the script, and the server over both; Ada's passkey is the vendor's, as she has it."""
    text = section(chapter, "toml")[0].code.replace("AA:BB:…", ":".join(["AB"] * 32))
    (place / "passkeycore.toml").write_text(text)
    (place / "passkey_config.jsonc").write_text('{"hostname": "app.example.com", "max_passkeys_per_user": 5}')
    ((tenant_id, table),) = load_server("passkeycore.toml").tenants.items()
    config = table.settings.config
    rp = RelyingParty(id=config.rp_id, origins=config.origins)
    start = rp.registration_options(user_handle=ADA.handle, user_name=ADA.email, resident_key="required", now=NOW)
    phone = VirtualClient(SoftwareAuthenticator("Ada's phone"), config.origins[0])
    old = rp.verify_registration(phone.create(start.to_dict()), start.state, now=NOW).credential
    row = Row(old.credential_id, old.public_key, ADA.handle, old.sign_count, True, ADA.id, ADA.email, "Phone")
    names = execute(IMPORT, {"__name__": "script"}, {'"main"': f'"{tenant_id}"'})
    # The loop names the RP ID as a reader would write it.
    replaced = {'rp_id="example.com"': f'rp_id="{config.rp_id}"'}
    execute(LOOP, {**names, "old_rows": [row]}, replaced)
    names["repository"].close()
    with serving(SERVE, place) as url:
        yield Moved(url, phone)


@pytest.fixture
def authsignal(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moved]:
    for found in moved(AUTHSIGNAL, place):
        monkeypatch.setenv("AUTHSIGNAL_URL", f"{found.url}/v1")
        yield found


@pytest.fixture
def propelauth(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moved]:
    for found in moved(PROPELAUTH, place):
        monkeypatch.setenv("PROPELAUTH_URL", found.url)
        yield found


@executes(IMPORT)
@executes(AUTHSIGNAL)
def test_moving_from_authsignal(authsignal: Moved, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the vendor's package: an action is tracked, met with the passkey that was imported, and validated."""
    names = execute(AUTHSIGNAL, {"me": lambda: ADA})
    url = names["transfer_new"]()
    assert url.startswith("https://auth.example.com/challenge?token=")
    token = url.partition("token=")[2]
    assert names["transfer"](token) is False
    with httpx.Client(base_url=f"{authsignal.url}/v1/client", headers={"Authorization": f"Bearer {token}"}) as app:
        started = app.post("/user-authenticators/passkey/authentication-options", json={}).json()
        credential = authsignal.phone.get(started["options"])
        body = {"challengeId": started["challengeId"], "authenticationCredential": credential}
        done = app.post("/verify/passkey", json=body).json()
    assert (done["isVerified"], done["userId"]) == (True, ADA.id)
    assert names["transfer"](done["accessToken"]) is True
    # Somebody who has nothing yet is let through; and their names are brought by `update_user`.
    client = names["authsignal"]
    assert client.track(user_id="grace", action="transfer")["state"] == "ALLOW"
    client.update_user("grace", {"username": "Grace", "email": "grace@example.com", "emailVerified": True})
    assert client.get_user("grace")["email"] == "grace@example.com"
    # Back: the same code asks whomever the variables name, and nobody else.
    monkeypatch.setenv("AUTHSIGNAL_URL", f"{authsignal.url}/elsewhere")
    back = execute(AUTHSIGNAL, {"me": lambda: ADA})
    with pytest.raises(ApiException):
        back["transfer_new"]()
    monkeypatch.setenv("AUTHSIGNAL_URL", f"{authsignal.url}/v1")
    assert execute(AUTHSIGNAL, {"me": lambda: ADA})["transfer_new"]().startswith("https://auth.example.com/")


@executes(PROPELAUTH)
def test_moving_from_propelauth(propelauth: Moved) -> None:
    """With the vendor's package: the passkey that was imported signs its owner in, and nobody else."""
    names = execute(PROPELAUTH, {})

    async def sign_in() -> None:
        response = propelauth.phone.get(await names["login_new"](ADA.id))
        assert await names["login"](ADA.id, response) is True
        assert await names["login"](ADA.id, response) is False  # the challenge is spent
        response = propelauth.phone.get(await names["login_new"](ADA.id))
        assert await names["login"]("grace", response) is False

    asyncio.run(sign_in())


def test_what_the_table_says_of_authsignal_differs(authsignal: Moved) -> None:
    """What is not served says so in the form of its SDKs, and nothing else happens."""
    with httpx.Client(base_url=f"{authsignal.url}/v1", auth=(KEY, "")) as client:
        for path in ("/challenge", "/verify", "/challenges", "/sessions", "/claim"):
            answer = client.post(path, json={})
            assert (answer.status_code, answer.json()["errorCode"]) == (404, "invalid_request"), path
        attributes = {"redirectUrl": "https://elsewhere.example/back"}
        assert client.post("/users/ada/actions/transfer", json=attributes).status_code == 400
        enrolled = {"verificationMethod": "EMAIL_OTP", "email": "ada@example.com"}
        assert client.post("/users/eve/authenticators", json=enrolled).status_code == 200
        assert client.get("/users/eve/authenticators").json()[0]["verificationMethod"] == "EMAIL_OTP"
        scope = {"scope": "add:authenticators"}
        token = client.post("/users/ada/actions/transfer", json=scope).json()["token"]
    with httpx.Client(base_url=f"{authsignal.url}/v1/client", headers={"Authorization": f"Bearer {token}"}) as app:
        own = "/user-authenticators"
        for path in (
            f"{own}/passkey/registration-options/web",
            "/challenge/email-otp",
            f"{own}/totp",
            f"{own}/push/sign",
        ):
            assert app.post(path, json={}).status_code == 404, path
        assert app.post(f"{own}/push/challenge/sign").json().get("message") is None


def test_what_the_table_says_of_propelauth_differs(propelauth: Moved) -> None:
    """Sessions and devices are answered as not allowed, the rest as unknown; ceremonies differ as it says."""
    with httpx.Client(base_url=propelauth.url, headers={"Authorization": f"Bearer {KEY}"}) as client:

        def answer(command: str, **data: Any) -> Any:
            return client.post("/run-command", json={"command": command, "data": data}).json()

        assert {answer(command)["type"] for command in NOT_SERVED} == {"CommandNotAllowed"}
        assert answer("CreateImpersonationSession")["type"] == "UnexpectedError"
        (passkey,) = answer("FetchAllPasskeysForUser", userId=ADA.id)["passkeys"]
        assert passkey["displayName"] == "Phone"
        far = answer("StartPasskeyAuthentication", userId=ADA.id, additionalAllowedOrigin="https://elsewhere.example")
        assert far["type"] == "UnexpectedError"
        asked = [answer("StartPasskeyAuthentication", userId=ADA.id)["authenticationOptions"] for _ in range(2)]
        assert {options["userVerification"] for options in asked} == {"required"}
        for options in asked:  # the first is as good as the second
            response = propelauth.phone.get(options)
            assert answer("FinishPasskeyAuthentication", userId=ADA.id, publicKey=response) == {}


def test_it_is_said_that_nobody_is_affiliated() -> None:
    """In the chapter's first paragraph, once."""
    text = " ".join(README.read_text("utf-8").partition(f"## {CHAPTER}")[2].partition("###")[0].split())
    assert "independent project, not affiliated with Authsignal or PropelAuth; names are used to say" in text
