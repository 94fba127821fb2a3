"""The API over both tenants, as a server has it and as a host mounts it; and callers of each kind with what they show.

api = Api(kit)
api.server("/server/users/get", user_id="ada")  # members of a success; anything else fails the test
refused(api.send("POST", "/action", {}, token="no token"), "token_invalid")
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp

from passkeycore.server.api import HANDLERS, SignIn, mounted_routes, routes
from passkeycore.server.api.refusals import CODES
from passkeycore.testing import SoftwareAuthenticator, SoftwareDevice, VirtualClient
from tests.server.kit import API_KEYS, ORIGINS, RP_IDS, Client, TenantKit

Json = dict[str, Any]
MORE = """
[tenants.shop.actions.reviewed]
default = "REVIEW"

[tenants.shop.actions.blocked]
default = "BLOCK"
"""
"""Of the shop: actions that rules do not simply challenge."""

HOST_COOKIE = "host_session"
"""Of a host that trusts it blindly: its value is who is signed in."""


def user_of(request: Request) -> str | None:
    """The host's answer to who is signed in."""
    return request.cookies.get(HOST_COOKIE)


def begin_session(request: Request, done: SignIn) -> Response:
    """The host's session, when somebody has signed in."""
    answer = Response(b'{"welcome":true}', media_type="application/json")
    answer.set_cookie(HOST_COOKIE, done.user_id, secure=True)
    return answer


class Api:
    """Both tenants behind the API."""

    def __init__(self, kit: TenantKit, app: ASGIApp | None = None) -> None:
        """Serves both; `app` is what has the API below ``/api``, None: its routes alone."""
        self.kit = kit
        self.app = app or Starlette(routes=routes(kit.tenants, kit.settings), exception_handlers=HANDLERS)
        self.http: Client = kit.client(self.app)

    def mounted(self, tenant_id: str = "shop", **host: Any) -> Starlette:
        """A host that has mounted one tenant below ``/passkeys``."""
        tenant = self.kit.tenant(tenant_id)
        host = {"current_user": user_of, "on_sign_in": begin_session} | host
        served = mounted_routes(tenant.passkeys, tenant.devices, tenant.actions, **host)
        return Starlette(routes=[Mount("/passkeys", app=Starlette(routes=served, exception_handlers=HANDLERS))])

    def send(
        self,
        method: str,
        path: str,
        members: object = None,
        *,
        token: str | None = None,
        tenant: str = "shop",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """What anybody is answered; `token` is shown as a Bearer token."""
        shown = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.request(method, f"/api/{tenant}{path}", json=members, headers=shown | dict(headers or {}))

    def post(self, path: str, members: Json | None = None, *, token: str | None = None, tenant: str = "shop") -> Json:
        """The members of a success."""
        return good(self.send("POST", path, members or {}, token=token, tenant=tenant))

    def server(self, path: str, *, tenant: str = "shop", **members: Any) -> Json:
        """What a server of the tenant's gets."""
        return self.post(path, members, token=API_KEYS[tenant], tenant=tenant)

    def track(self, user_id: str, action: str = "transfer", *, tenant: str = "shop", **members: Any) -> str:
        """The token of a new action."""
        token: str = self.server("/server/actions/track", tenant=tenant, user_id=user_id, action=action, **members)[
            "token"
        ]
        return token

    def browser(self, tenant: str = "shop") -> "Browser":
        """A browser on a page of the tenant's, which calls the server."""
        return Browser(self.kit.client(self.app), f"/api/{tenant}", ORIGINS[tenant])

    def host_browser(self, user_id: str | None = None, tenant: str = "shop", **host: Any) -> "Browser":
        """A browser on a page of a host that has mounted the tenant; somebody is signed in there, or nobody."""
        client = self.kit.client(self.mounted(tenant, **host), base_url=ORIGINS[tenant])
        if user_id is not None:
            client.http.cookies.set(HOST_COOKIE, user_id)
        return Browser(client, "/passkeys", ORIGINS[tenant])

    def new_passkey(self, user_id: str, *, tenant: str = "shop", seed: str = "") -> VirtualClient:
        """A client that has just made a passkey of the user's."""
        client = VirtualClient(SoftwareAuthenticator(seed or f"{tenant} {user_id}"), ORIGINS[tenant])
        passkeys, run = self.kit.tenant(tenant).passkeys, self.kit.run
        start = run(passkeys.start_registration(user_id=user_id, user_name=user_id))
        run(passkeys.finish_registration(client.create(start.to_dict()), user_id=user_id))
        return client

    def new_device(self, user_id: str, method: Any = "push", *, tenant: str = "shop", seed: str = "") -> SoftwareDevice:
        """A device of the user's."""
        device = SoftwareDevice(seed or f"{tenant} {user_id}", domain=RP_IDS[tenant], method=method)
        devices, run = self.kit.tenant(tenant).devices, self.kit.run
        token = run(devices.start_enrolment(user_id, user_name=user_id)).token
        enrolled = {"name": "Phone", "platform": "ios", "push_token": "push here"}
        key = {"public_key": device.public_key, "signature": device.enrol(token)}
        run(devices.enrol_device(token, method=method, **key, **enrolled))  # type: ignore[arg-type]
        return device

    def stored(self) -> Json:
        """How many rows each table has that has any."""
        path = self.kit.settings.database.partition("///")[2]
        with closing(sqlite3.connect(path)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            counts = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608
        return {name: count for name, count in counts.items() if count}

    def things_of(self, user_id: str) -> Json:
        """All that is stored of a user, by tables; but for the journal, where refusals are noted as well."""
        path = self.kit.settings.database.partition("///")[2]
        with closing(sqlite3.connect(path)) as database:
            tables = database.execute(
                "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
                "WHERE m.type = 'table' AND c.name = 'user_id'"
            ).fetchall()
            return {
                name: database.execute(f"SELECT * FROM {name} WHERE user_id = ?", (user_id,)).fetchall()  # noqa: S608
                for (name,) in tables
                if name not in ("passkey_events", "passkey_outbox")
            }

    @property
    def seconds(self) -> int:
        """Now, for what devices sign."""
        return int(self.kit.clock.time.timestamp())


class Browser:
    """Posts as a page does: with its origin, its cookies, and the token against forged requests."""

    def __init__(self, client: Client, prefix: str, origin: str) -> None:
        self.client = client
        self.prefix = prefix
        self.origin = origin
        self.csrf = ""

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.client.get(self.prefix + path, headers=headers)

    def begin(self) -> Json:
        """Gets its cookie and its token."""
        members = good(self.get("/session", {"Origin": self.origin}))
        self.csrf = members["csrf_token"]
        return members

    def send(self, path: str, members: object, **headers: str | None) -> httpx.Response:
        """Posts; a header of None is left out."""
        if not self.csrf:
            self.begin()
        sent = {"Origin": self.origin, "X-CSRF-Token": self.csrf, **{_name(name): headers[name] for name in headers}}
        return self.client.post(
            self.prefix + path, json=members, headers={name: text for name, text in sent.items() if text is not None}
        )

    def post(self, path: str, members: Json | None = None) -> Json:
        """The members of a success."""
        return good(self.send(path, members or {}))

    def sign_in(self, client: VirtualClient) -> Json:
        """What the page gets when somebody uses their passkey."""
        options = self.post("/sign-in/passkey/start")["options"]
        return self.post("/sign-in/passkey/finish", {"response": client.get(options)})


def good(answer: httpx.Response) -> Json:
    """The members of a success: JSON, and never kept by anybody."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    members: Json = answer.json()
    assert "error" not in members
    return members


def refused(answer: httpx.Response, code: str | None = None, status: int | None = None) -> Json:
    """The members of an error in our form, which is the client's mistake."""
    assert 400 <= answer.status_code < 500, answer.text
    assert status in (None, answer.status_code), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"error"}
    error: Json = body["error"]
    assert {"code", "message"} <= error.keys() <= {"code", "message", "path", "signal"}
    assert error["code"] in CODES
    assert error["message"]
    assert code in (None, error["code"]), answer.text
    return error


def _name(argument: str) -> str:
    return {"csrf": "X-CSRF-Token", "origin": "Origin", "content_type": "Content-Type"}[argument]
