"""Hosted pages over both tenants: with their JSON and the dialect whose apps answer them, without a network or live.

The pages are at ``http://localhost``, and so are the shop's passkeys; the shop's own site is at ``shop.localhost``.
"""

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.types import ASGIApp

from passkeycore.config.server import parse_server
from passkeycore.engine.actions.service import AsyncActionService
from passkeycore.engine.actions.tracking import ClientInfo, TrackedAction
from passkeycore.engine.devices.service import AsyncDeviceService
from passkeycore.server import authsignal, pages
from passkeycore.server.edge.cors import Cors
from passkeycore.server.edge.http import Edge
from passkeycore.server.pages.visits import PushHook, Server
from passkeycore.server.tenancy.tenants import Tenant, Tenants
from passkeycore.testing import SoftwareAuthenticator, SoftwareDevice, VirtualClient
from tests.server.kit import Clock, Loop, TenantKit, file_text

Json = dict[str, Any]

SHOP: Final = "https://shop.localhost"
"""The shop's own site, where no browser is."""

RULES: Final = """
[tenants.shop.actions.refund]
default = "BLOCK"

[tenants.shop.actions.loan]
default = "REVIEW"

[tenants.shop.actions.profile]
default = "ALLOW"

[tenants.shop.actions.push-only]
default = "CHALLENGE"
allowed_methods = ["push"]
"""


class Pages:
    """The pages, and what a tenant's server and its users do."""

    def __init__(self, kit: TenantKit, push_created: PushHook | None = None, tenants: Tenants | None = None) -> None:
        self.kit = kit
        tenants = tenants or kit.tenants
        self.server = Server(tenants, kit.settings, push_created, kit.clock)
        routes = [
            *pages.routes(tenants, kit.settings, push_created=push_created, now=kit.clock),
            *authsignal.routes(kit.tenants, kit.settings),
        ]
        self.app: ASGIApp = Edge(Cors(Starlette(routes=routes), kit.tenants.origins_of, ["/v1/client"]))
        self.http = kit.client(self.app)
        self.base_url = kit.settings.base_url

    def track(
        self,
        user_id: str = "ada",
        action: str = "withdraw-funds",
        *,
        tenant: str = "shop",
        client: ClientInfo | None = None,
        **more: Any,
    ) -> TrackedAction:
        """An action that the tenant's server has tracked."""
        return self.kit.run(self.kit.tenant(tenant).actions.track(user_id, action, client=client, **more))

    def url(self, tracked: TrackedAction | str, more: str = "") -> str:
        """The address of its page."""
        token = tracked if isinstance(tracked, str) else tracked.token
        return f"{self.base_url}/challenge?token={token}{more}"

    def state(self, tracked: TrackedAction, tenant: str = "shop") -> str:
        """How far the action has come."""
        action = tracked.action
        actions = self.kit.tenant(tenant).actions
        return self.kit.run(actions.get_action(action.user_id, action.action, action.idempotency_key)).state.value

    def validated(self, token: str, tenant: str = "shop") -> str:
        """Whose challenge was met, as this token proves to the tenant's server."""
        return self.kit.run(self.kit.tenant(tenant).actions.validate_challenge(token)).user_id

    def new_passkey(self, user_id: str = "ada", seed: str = "phone") -> VirtualClient:
        """A client on the pages' origin, which has a passkey of the user's."""
        client = VirtualClient(SoftwareAuthenticator(seed), self.server.origin)
        passkeys = self.kit.tenant().passkeys
        start = self.kit.run(passkeys.start_registration(user_id=user_id, user_name=f"{user_id}@example.com"))
        self.kit.run(passkeys.finish_registration(client.create(start.to_dict()), user_id=user_id))
        return client

    def new_device(
        self, user_id: str = "ada", method: Any = "push", seed: str = "phone", **more: Any
    ) -> SoftwareDevice:
        """A device with a key of the user's."""
        device = SoftwareDevice(seed)
        tracked = self.track(user_id, "profile", scope=["add:authenticators"])
        self.kit.run(
            self.kit.tenant().actions.enrol_device(
                tracked.token,
                method=method,
                public_key=device.public_key,
                signature=None,
                name="Ada's phone",
                platform="ios",
                user_name=f"{user_id}@example.com",
                **more,
            )
        )
        return device

    def answer(self, device: SoftwareDevice, challenge_id: str, decision: Any = "approve", code: Any = None) -> None:
        """The device answers."""
        self.kit.run(
            self.kit.tenant().actions.answer_device_challenge(
                challenge_id,
                public_key=device.public_key,
                signature=device.sign_challenge_id(challenge_id),
                decision=decision,
                verification_code=code,
            )
        )

    def pending(self, device: SoftwareDevice) -> str:
        """The challenge that waits for the device."""
        found = self.kit.run(
            self.kit.tenant().devices.pending_challenge(method="push", public_key=device.public_key, signature=None)
        )
        assert found is not None
        return found.challenge.challenge_id

    # --- without a browser ---

    def open(self, tracked: TrackedAction | str, more: str = "", **headers: str) -> httpx.Response:
        """The answer to a browser that opens the page."""
        return self.http.get(self.url(tracked, more), headers=headers)

    def script(self, answer: httpx.Response) -> "Script":
        """The script of a page that was opened."""
        return Script(self, page_data(answer))


class Hasty:
    """The tenants of `kit`, whose devices have a minute to answer: sooner than their actions end."""

    def __init__(self, kit: TenantKit) -> None:
        self.kit = kit
        self.by_key = kit.tenants.by_key
        self.secrets_of = kit.tenants.secrets_of

    async def by_id(self, tenant_id: str) -> Tenant | None:
        return self._hasty(await self.kit.tenants.by_id(tenant_id))

    async def by_token(self, token: str) -> Tenant | None:
        return self._hasty(await self.kit.tenants.by_token(token))

    def _hasty(self, tenant: Tenant | None) -> Tenant | None:
        if tenant is None:
            return None
        repository, tokens = self.kit.storage.repository, self.kit.tenants.tokens
        devices = AsyncDeviceService(
            repository,
            domain=tenant.settings.config.rp_id,
            realm=tenant.tenant_id,
            tokens=tokens,
            danger_allow_challenge_id_signatures=True,
            challenge_lifetime_s=60,
            now=self.kit.clock,
        )
        actions = AsyncActionService(
            repository, tokens=tokens, passkeys=tenant.passkeys, devices=devices, rules=tenant.settings.rules
        )
        return msgspec.structs.replace(tenant, devices=devices, actions=actions)


class Script:
    """What the script of a page does, without a browser."""

    def __init__(self, pages: Pages, data: Json) -> None:
        self.pages = pages
        self.data = data

    def ask(self, path: str, members: Json | None = None, **headers: str | None) -> httpx.Response:
        """The answer to a request of the page's; headers that are None are left out."""
        sent = {
            "Authorization": f"Bearer {self.data['token']}",
            "Origin": self.pages.server.origin,
            "Content-Type": "application/json",
            **headers,
        }
        return self.pages.http.post(
            f"{self.data['api'] or '/challenge/api'}{path}",
            content=json.dumps({} if members is None else members),
            headers={name: value for name, value in sent.items() if value is not None},
        )

    def __call__(self, path: str, members: Json | None = None) -> Json:
        """What is answered, which has to be good."""
        answer = self.ask(path, members)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        members = answer.json()
        assert isinstance(members, dict)
        return members

    def refused(self, path: str, members: Json | None = None, status: int = 403, **headers: str | None) -> Json:
        """The error, which has to be one."""
        answer = self.ask(path, members, **headers)
        assert answer.status_code == status, answer.text
        error: Json = answer.json()["error"]
        assert error["message"]
        return error

    def meet(self, client: VirtualClient) -> Json:
        """How the page ends after the passkey was used."""
        return self("/passkey/finish", client.get(self("/passkey/start")))


def page_data(answer: httpx.Response) -> Json:
    """What the page gives its script."""
    found = re.search(r'data-page="([^"]*)"', answer.text)
    assert found is not None
    data: Json = json.loads(unescape(found[1]))
    return data


def heading(answer: httpx.Response) -> str:
    """What the page says it is."""
    found = re.search(r"<h1[^>]*>([^<]+)</h1>", answer.text)
    assert found is not None
    return unescape(found[1])


@contextmanager
def pages_kit(
    place: Path,
    *,
    origin: str = "http://localhost",
    shop: str = SHOP,
    clock: Clock | None = None,
    push_created: PushHook | None = None,
    hasty: bool = False,
    more: str = "",
    replace: Mapping[str, str] | None = None,
) -> Generator[Pages]:
    """The pages over a new database.

    Args:
        place: A directory.
        origin: Where the pages are; the shop's passkeys are of its host.
        shop: The shop's own site, which may frame the pages, and to which they may lead.
        clock: None: one that stands still.
        push_created: See `pages.routes`.
        hasty: Devices have a minute to answer.
        more: Lines for the shop, before its rules.
        replace: Texts of the file, and what stands there instead.
    """
    port = 80
    text = file_text(f"sqlite+aiosqlite:///{place / 'pages.db'}", port=port, shop_more=more + RULES)
    text = text.replace('hostname = "localhost:80"', f'hostname = "localhost"\norigins = ["{origin}"]')
    text = text.replace("bank.localhost:80", "bank.localhost").replace("http://localhost:80", origin)
    text = text.replace(f'frame_origins = ["{origin}"]', f'frame_origins = ["{shop}"]')
    text = text.replace(
        f'redirect_urls = ["{origin}", "com.example.shop:"]', f'redirect_urls = ["{shop}", "authsignal:"]'
    )
    for before, after in (replace or {}).items():
        assert before in text
        text = text.replace(before, after)
    settings = parse_server(text, name="passkeycore.toml", format="toml")
    loop = Loop()
    try:
        kit = TenantKit(loop, settings, clock or Clock())
        try:
            yield Pages(kit, push_created, Hasty(kit) if hasty else None)
        finally:
            loop.run(kit.storage.close())
    finally:
        loop.close()
