"""The dialect over both tenants: clients in each spelling, checks of what comes back, and users who have something."""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import httpx
from starlette.applications import Starlette

from passkeycore.server.authsignal import routes
from passkeycore.server.authsignal.webhooks import Hooks
from passkeycore.server.edge.cors import Cors
from passkeycore.testing import SoftwareAuthenticator, SoftwareDevice, VirtualClient
from tests.server.kit import API_KEYS, Client, TenantKit

Json = dict[str, Any]
Platform = Literal["browser", "ios", "android"]

OWN: Final = "/client/user-authenticators"
SPELLINGS: Final[Mapping[Platform, Callable[[str], str]]] = {
    "ios": lambda tenant: base64.urlsafe_b64encode(f"{tenant}:".encode()).decode().rstrip("="),
    "android": lambda tenant: base64.b64encode(f"{tenant}:".encode()).decode(),
    "browser": lambda tenant: base64.b64encode(tenant.encode()).decode(),
}
"""How each platform spells the tenant in ``Authorization: Basic``."""


class Api:
    """Both tenants behind the dialect. Answers that are no success fail the test, unless it expects them."""

    def __init__(self, kit: TenantKit, hooks: Hooks | None = None) -> None:
        self.kit = kit
        served = routes(kit.tenants, kit.settings, hooks=hooks)
        self.app = Cors(Starlette(routes=served), kit.tenants.origins_of, ["/v1/client"])
        self.http: Client = kit.client(self.app)

    def server(self, method: str, path: str, body: Json | None = None, *, tenant: str = "shop", **more: Any) -> Any:
        """What a server of the tenant's is answered."""
        return good(self.http.request(method, f"/v1{path}", json=body, headers=secret_of(tenant), **more))

    def client(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        token: str | None = None,
        tenant: str = "shop",
        platform: Platform = "android",
        **more: Any,
    ) -> httpx.Response:
        """What a client is answered, which shows a token, or names the tenant as its platform does."""
        headers = bearer(token) if token is not None else basic(tenant, platform)
        return self.http.request(method, f"/v1{path}", json=body, headers=headers, **more)

    def post(self, path: str, body: Json | None = None, **more: Any) -> Any:
        """The members of an answer that has to be good."""
        return good(self.client("POST", path, {} if body is None else body, **more))

    def get(self, path: str, **more: Any) -> Any:
        """Likewise."""
        return good(self.client("GET", path, **more))

    def track(self, user_id: str = "ada", action: str = "transfer", *, tenant: str = "shop", **attributes: Any) -> Any:
        """What a server gets that tracks an action."""
        return self.server("POST", f"/users/{user_id}/actions/{action}", attributes, tenant=tenant)

    def token(self, user_id: str = "ada", action: str = "transfer", **attributes: Any) -> str:
        """The token of a tracked action, with which its user may add authenticators."""
        attributes.setdefault("scope", "add:authenticators")
        token: str = self.track(user_id, action, **attributes)["token"]
        return token

    def validate(self, token: str, *, tenant: str = "shop", **expected: Any) -> Any:
        """What a server learns of a token."""
        return self.server("POST", "/validate", {"token": token, **expected}, tenant=tenant)

    def new_passkey(
        self, user_id: str = "ada", *, client: VirtualClient | None = None, tenant: str = "shop"
    ) -> VirtualClient:
        """A client that has just made a passkey of the user's."""
        client = client or self.kit.virtual_client(tenant)
        token = self.token(user_id, tenant=tenant)
        start = self.post(f"{OWN}/passkey/registration-options", {"username": f"{user_id}@example.com"}, token=token)
        body = {"challengeId": start["challengeId"], "registrationCredential": client.create(start["options"])}
        assert self.post(f"{OWN}/passkey", body, token=token)["isVerified"] is True
        return client

    def sign_in(self, client: VirtualClient, *, token: str | None = None, **challenge: Any) -> Any:
        """What a client gets that uses its passkey."""
        start = self.post(f"{OWN}/passkey/authentication-options", challenge, token=token)
        body = {"challengeId": start["challengeId"], "authenticationCredential": client.get(start["options"])}
        return self.post("/client/verify/passkey", body, token=token)

    def new_device(
        self, user_id: str = "ada", kind: str = "push", *, seed: str = "phone", **more: Any
    ) -> SoftwareDevice:
        """A device with a key of the user's."""
        device = SoftwareDevice(seed)
        body = {"publicKey": key_of(device), "deviceName": "Phone", "devicePlatform": "ios", **more}
        self.post(f"{OWN}/{kind}", body, token=self.token(user_id))
        return device


def secret_of(tenant: str) -> dict[str, str]:
    """As servers show their key."""
    return {"Authorization": "Basic " + base64.b64encode(f"{API_KEYS[tenant]}:".encode()).decode()}


def basic(tenant: str, platform: Platform = "android") -> dict[str, str]:
    """As clients name the tenant."""
    return {"Authorization": f"Basic {SPELLINGS[platform](tenant)}"}


def bearer(token: str) -> dict[str, str]:
    """As clients show a token."""
    return {"Authorization": f"Bearer {token}"}


def good(answer: httpx.Response) -> Any:
    """The members of an answer which every SDK takes for a success: 200, exactly JSON, and nothing called error."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    members: Any = answer.json()
    assert isinstance(members, dict) or members == [] or isinstance(members[0], dict)
    assert "error" not in members or members["isValid"] is False
    return members


def refused(answer: httpx.Response, code: str, status: int | None = None) -> Json:
    """The members of an answer that every SDK reads as an error with this code."""
    assert 400 <= answer.status_code < 500 or answer.status_code == status, answer.text
    assert status is None or answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    members: Json = answer.json()
    assert members.keys() == {"error", "errorCode", "errorDescription"}
    assert members["error"] == members["errorCode"] == code, members
    assert members["errorDescription"]
    return members


def key_of(device: SoftwareDevice) -> str:
    """The device's public key as it stands in JSON."""
    return base64.b64encode(device.public_key).decode()


def key_in_query(device: SoftwareDevice, platform: Platform = "android") -> str:
    """As it stands in a query string: the same text, in base64 again."""
    text = key_of(device).encode()
    return (
        base64.b64encode(text).decode()
        if platform == "android"
        else base64.urlsafe_b64encode(text).decode().rstrip("=")
    )


def signed(device: SoftwareDevice, challenge_id: str) -> Json:
    """The members with which a device answers: its key, and its signature of the challenge's id."""
    return {
        "challengeId": challenge_id,
        "publicKey": key_of(device),
        "signature": base64.b64encode(device.sign_challenge_id(challenge_id)).decode(),
    }


def phone(seed: str = "phone", platform: Platform = "browser", origin: str | None = None) -> VirtualClient:
    """A client with an authenticator of its own."""
    return VirtualClient(SoftwareAuthenticator(seed), origin, platform=platform)
