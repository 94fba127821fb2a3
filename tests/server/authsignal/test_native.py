"""Apps on each platform, played from data files: passkeys, push, in-app and the legacy device, QR codes."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from passkeycore.testing import ANDROID_PACKAGE, SoftwareAuthenticator
from tests.server.kit import TenantKit, tenant_kit

from .kit import Api, Json, good
from .player import NAMES, App, apps, member

CERTIFICATE = ":".join(f"{byte:02X}" for byte in sha256(b"passkeycore test app").digest())
"""Of the kit's Android app."""
APPS = {data["sdk"]: data for name in NAMES for data in apps(name)}
LIST = "GET /client/user-authenticators"
LISTED = [
    (sdk, flow, step)
    for sdk, data in APPS.items()
    for flow, steps in data["flows"].items()
    for step in steps
    if step.get("app") == LIST
]
"""Every step that lists passkeys; its ``each`` has the members, all texts, that each has to have."""
DEVICE_FLOWS = ("push", "inapp", "device", "qrCode")
PLAYED = [(sdk, flow) for sdk, data in APPS.items() for flow in DEVICE_FLOWS if flow in data["flows"]]


@pytest.fixture
def tenants(tmp_path: Path) -> Iterator[TenantKit]:
    """Both tenants, of which the shop has apps."""
    more = f"""
ios_apps = ["ABCDE12345.com.example.shop"]
android_apps = [{{ package_name = "{ANDROID_PACKAGE}", sha256_fingerprints = ["{CERTIFICATE}"] }}]
"""
    with tenant_kit(tmp_path, shop_more=more) as kit:
        yield kit


@pytest.mark.parametrize("sdk", APPS)
def test_passkeys_of_an_app(api: Api, sdk: str) -> None:
    app = App(api, APPS[sdk])
    for flow in app.data["flows"]:
        if flow not in DEVICE_FLOWS:
            app.play(flow)


@pytest.mark.parametrize(("sdk", "flow"), PLAYED)
def test_keys_of_an_app(api: Api, sdk: str, flow: str) -> None:
    App(api, APPS[sdk]).play(flow)


@pytest.mark.parametrize(("sdk", "flow", "step"), LISTED, ids=[sdk for sdk, _, _ in LISTED])
def test_each_passkey_that_is_listed_has_what_a_strict_model_demands(api: Api, sdk: str, flow: str, step: Json) -> None:
    app = App(api, APPS[sdk])
    app.play(flow)
    listed = good(app.send(step, "app"))
    assert listed
    for each in listed:
        for path in step["each"]:
            assert isinstance(member(each, path), str), path


@pytest.mark.parametrize("used_on", ["iOS 2.13.0", "Android 4.3.0", "Flutter 3.1.0 on the web"])
@pytest.mark.parametrize("made_on", ["iOS 2.13.0", "Android 4.3.0", "Flutter 3.1.0 on the web"])
def test_a_passkey_that_is_synchronised_signs_in_wherever_it_was_made(api: Api, made_on: str, used_on: str) -> None:
    """iOS takes the text of ``user.id`` for the handle, and gives handles back as text; the others do not."""
    authenticator = SoftwareAuthenticator("synchronised")
    App(api, APPS[made_on], authenticator=authenticator).play("passkey.signUp")
    for flow in ("passkey.signIn(action)", "passkey.signIn(token)"):
        App(api, APPS[used_on], authenticator=authenticator).play(flow)


@pytest.mark.parametrize("sdk", APPS)
def test_every_request_says_where_it_is_documented(sdk: str) -> None:
    def steps(data: Json) -> Iterator[Json]:
        for flow in data["flows"].values():
            yield from flow

    assert APPS[sdk]["source"]
    assert all("cites" in step for step in steps(APPS[sdk]) if "app" in step or "browser" in step)
    assert all("cites" in APPS[sdk][part] for part in ("tenant", "headers", "removal"))
