"""What every test of the server begins with: two tenants in a database of their own, clients, and a server on a port.

    with tenant_kit(tmp_path) as kit:
        shop = kit.tenant("shop")
        client = kit.client(Starlette(routes=routes(kit.tenants)))
        answer = client.post("/v1/users/ada/actions/sign-in", json={}, auth=(API_KEYS["shop"], ""))
        kit.clock.pass_(600)

    with tenant_kit(tmp_path, port=free_port()) as kit, kit.live(app, port) as url: ...  # for SDKs and Chromium

Everything runs in one event loop, in a thread of its own: `kit.run` awaits something there, clients and servers use it.
Tenants are "shop" and "bank"; `TEXT` is their file. Time stands still until it is told.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from starlette.types import ASGIApp

from passkeycore.config.server import ServerSettings, parse_server
from passkeycore.server.tenancy.live import LiveTenants
from passkeycore.server.tenancy.storage import Storage
from passkeycore.server.tenancy.tenants import Tenant
from passkeycore.testing import SoftwareAuthenticator, VirtualClient

_T = TypeVar("_T")

SECRET = "the server's secret, of 32 bytes at least"
OPERATOR_SECRET = "the operator's secret, 32 bytes or more"
API_KEYS = {"shop": "api key of the shop, in its own file", "bank": "api key of the bank, in its own file"}
INTEGRATION_KEYS = {
    "shop": "integration key of the shop, for everything",
    "bank": "integration key of the bank, for everything",
}
SIGN_IN_ONLY = "integration key of the shop, for signing in"
"""May run two commands of the shop's, and no others."""

BASE_URL = "https://auth.example.com"
ORIGINS = {"shop": "https://shop.example.com", "bank": "https://bank.example.com"}
RP_IDS = {"shop": "shop.example.com", "bank": "bank.example.com"}

TEXT = """
base_url = "{base_url}"
database = "{database}"
secret = "{secret}"
operator_secret = "{operator_secret}"
{more}

[tenants.shop]
hostname = "{shop}"
name = "Shop"
redirect_urls = ["{shop_origin}", "com.example.shop:"]
frame_origins = ["{shop_origin}"]
cors_origins = ["https://www.shop.example"]
api_keys = ["{shop_key}"]
integration_keys = [
  {{ key = "{shop_integration_key}" }},
  {{ key = "{sign_in_only}", commands = ["StartPasskeyAuthentication", "FinishPasskeyAuthentication"] }},
]
{shop_more}

[tenants.bank]
hostname = "{bank}"
name = "Bank"
redirect_urls = ["{bank_origin}"]
api_keys = ["{bank_key}"]
integration_keys = [{{ key = "{bank_integration_key}" }}]
{bank_more}
"""
"""The file of the two tenants."""


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 3, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_(self, seconds: float) -> None:
        """So much time goes by."""
        self.time += timedelta(seconds=seconds)


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kit")
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """What the coroutine gives, awaited in the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """Ends the thread."""
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Client:
    """Sends requests to an application, without a network, and keeps its cookies."""

    def __init__(self, loop: Loop, app: ASGIApp, base_url: str, address: str, **options: Any) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1234))
        self.http = httpx.AsyncClient(transport=transport, base_url=base_url, **options)
        self._loop = loop

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self._loop.run(self.http.request(method, path, **arguments))

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("GET", path, **arguments)

    def post(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("POST", path, **arguments)

    def patch(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("PATCH", path, **arguments)

    def delete(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("DELETE", path, **arguments)


class TenantKit:
    """Two tenants, and what a test does with them; see above."""

    def __init__(self, loop: Loop, settings: ServerSettings, clock: Clock) -> None:
        self.loop = loop
        self.settings = settings
        self.clock = clock
        self.storage = Storage(settings)
        self.tenants = LiveTenants(settings, self.storage, refresh_s=0, now=clock)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """What the coroutine gives."""
        return self.loop.run(coroutine)

    def tenant(self, tenant_id: str = "shop") -> Tenant:
        """The tenant as it is now."""
        tenant = self.run(self.tenants.by_id(tenant_id))
        assert tenant is not None
        return tenant

    def client(self, app: ASGIApp, base_url: str = "", address: str = "192.0.2.1", **options: Any) -> Client:
        """A client of the application, at the address that the server gives itself."""
        return Client(self.loop, app, base_url or self.settings.base_url, address, **options)

    def virtual_client(self, tenant_id: str = "shop", seed: str = "phone") -> VirtualClient:
        """A browser on the tenant's own page, with an authenticator from this seed."""
        origin = self.tenant(tenant_id).settings.config.origins[0]
        return VirtualClient(SoftwareAuthenticator(seed), origin)

    @contextmanager
    def live(self, app: ASGIApp | Callable[[str], ASGIApp], port: int = 0) -> Generator[str]:
        """The application under uvicorn on a port of localhost; gives its address, such as http://localhost:1234."""
        with socket.create_server(("127.0.0.1", port)) as listener:
            url = f"http://localhost:{listener.getsockname()[1]}"
            config = uvicorn.Config(app, log_level="warning", lifespan="auto", ws="websockets-sansio")
            server = uvicorn.Server(config)
            serving = asyncio.run_coroutine_threadsafe(server._serve([listener]), self.loop._loop)
            try:
                self.run(_started(server, serving))
                yield url
            finally:
                server.should_exit = True
                serving.result()


async def _started(server: uvicorn.Server, serving: Any) -> None:
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)


def free_port() -> int:
    """A port of this machine that nobody used a moment ago, for addresses that have to be known before."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def file_text(
    database: str, *, port: int | None = None, more: str = "", shop_more: str = "", bank_more: str = ""
) -> str:
    """The file of both tenants, with lines of a test's own.

    With a port, the shop is ``localhost`` and the bank ``bank.localhost``, both on that port.
    """
    hosts = RP_IDS if port is None else {"shop": f"localhost:{port}", "bank": f"bank.localhost:{port}"}
    origins = ORIGINS if port is None else {name: f"http://{host}" for name, host in hosts.items()}
    return TEXT.format(
        base_url=BASE_URL if port is None else f"http://localhost:{port}",
        database=database,
        secret=SECRET,
        operator_secret=OPERATOR_SECRET,
        shop=hosts["shop"],
        shop_origin=origins["shop"],
        shop_key=API_KEYS["shop"],
        shop_integration_key=INTEGRATION_KEYS["shop"],
        sign_in_only=SIGN_IN_ONLY,
        bank=hosts["bank"],
        bank_origin=origins["bank"],
        bank_key=API_KEYS["bank"],
        bank_integration_key=INTEGRATION_KEYS["bank"],
        more=more,
        shop_more=shop_more,
        bank_more=bank_more,
    )


@contextmanager
def tenant_kit(place: Path | str, *, clock: Clock | None = None, **text: Any) -> Generator[TenantKit]:
    """Both tenants over a database.

    Args:
        place: A directory for a new SQLite file, or the URL of a database.
        clock: None: one of its own, which stands still.
        text: For `file_text`: a port of localhost, or more lines.
    """
    database = place if isinstance(place, str) else f"sqlite+aiosqlite:///{place / 'passkeycore.db'}"
    settings = parse_server(file_text(database, **text), name="passkeycore.toml", format="toml")
    loop = Loop()
    try:
        kit = TenantKit(loop, settings, clock or Clock())
        try:
            yield kit
        finally:
            loop.run(kit.storage.close())
    finally:
        loop.close()
