"""The portal over both tenants, without a network, and an operator who fills in its forms."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp

from passkeycore.server import portal
from passkeycore.server.edge.http import Edge
from passkeycore.server.well_known import live_well_known_routes
from tests.server.kit import OPERATOR_SECRET, Client, TenantKit, tenant_kit

RULES = """
[tenants.shop.actions.transfer]
default = "ALLOW"

[[tenants.shop.actions.transfer.rules]]
id = "large"
outcome = "CHALLENGE"
when = { custom = { amount = { at_least = 1000 } } }
"""


class Operator:
    """Somebody with a browser at the portal."""

    def __init__(self, kit: TenantKit, app: ASGIApp, address: str = "192.0.2.1") -> None:
        self.kit = kit
        self.app = app
        self.http: Client = kit.client(app, address=address)
        self.origin = re.sub(r"(//[^/]+).*", r"\1", kit.settings.base_url)

    def get(self, page: str) -> httpx.Response:
        """A page, wherever it sends on to not followed."""
        return self.http.get(f"/portal{page}")

    def post(self, page: str, form: Mapping[str, Any] | None = None, **headers: str | None) -> httpx.Response:
        """A form, sent as it is; headers that are None are left out."""
        sent = {"Origin": self.origin, **headers}
        given = {name: value for name, value in sent.items() if value is not None}
        return self.http.post(f"/portal{page}", data=dict(form or {}), headers=given)

    def send(self, page: str, form: Mapping[str, Any] | None = None, *, to: str | None = None) -> httpx.Response:
        """A form of a page, with the token of the session."""
        return self.post(to or page, {"csrf": self.csrf(), **(form or {})})

    def json(self, page: str, members: Any = None, **headers: str) -> httpx.Response:
        """What a script sends."""
        return self.http.post(f"/portal{page}", json=members or {}, headers={"Origin": self.origin, **headers})

    def csrf(self) -> str:
        """The token of the session."""
        found = re.search(r'data-csrf="([^"]+)"', self.get("/").text)
        assert found is not None
        return found[1]

    def sign_in(self, secret: str = OPERATOR_SECRET) -> httpx.Response:
        """By the operator secret."""
        return self.post("/sign-in", {"secret": secret})

    def cookie(self) -> str | None:
        """The sealed session, if there is one."""
        value: str | None = self.http.http.cookies.get("__Host-passkeycore-portal")
        return value

    def fields(self, page: str) -> dict[str, str]:
        """What stands in the fields of a settings form."""
        return fields(self.get(page).text)


def fields(text: str) -> dict[str, str]:
    """What stands in the fields of a page's form."""
    form = text[text.index("novalidate") :]
    found = [(name, value) for value, name in re.findall(r'<input value="([^"]*)"[^>]* name="([^"]+)"', form)]
    found += re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>\n([^<]*)</textarea>', form)
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        selected = re.search(r'<option value="([^"]*)" selected', options)
        found.append((name, "" if selected is None else selected[1]))
    revision = re.search(r'name="revision" value="([0-9]+)"', form)
    assert revision is not None
    return {name: unescape(value) for name, value in [*found, ("revision", revision[1])]}


def application(kit: TenantKit) -> ASGIApp:
    """The portal, and what the server tells of its tenants."""
    return Edge(Starlette(routes=[*portal.routes(kit.tenants, kit.settings), *live_well_known_routes(kit.tenants)]))


@contextmanager
def portal_kit(place: Path, **text: Any) -> Generator[tuple[TenantKit, ASGIApp]]:
    """Both tenants, and the portal of their server."""
    with tenant_kit(place, shop_more=RULES, **text) as kit:
        yield kit, application(kit)
