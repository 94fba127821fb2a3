"""Sign-ins that only wait for their finish: begun in a database, and answered by software authenticators.

What belongs here: the server's configuration, its users, the requests to replay, and what the bare route is to do for
each: the very statements that the server sends, recorded from it over a copy of the database, and one signature check.
"""

import asyncio
import json
import pickle
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

import cbor2
import httpx
import sqlalchemy
from sqlalchemy import event

from passkeycore.config.server import ServerSettings, load_server
from passkeycore.engine.actions.service import ActionService
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.repositories.sql import SQLRepository
from passkeycore.server.api.visitors import COOKIE, CSRF_HEADER, csrf_token
from passkeycore.server.app import server_app
from passkeycore.server.tenancy.live import LiveTenants
from passkeycore.server.tenancy.storage import Storage
from passkeycore.testing import SoftwareAuthenticator, VirtualClient, b64url_decode, b64url_encode
from passkeycore.tokens import Tokens
from passkeycore.webauthn.cose import ES256

HOST: Final = "shop.example.com"
ORIGIN: Final = f"https://{HOST}"
TENANT: Final = "shop"
PATH: Final = f"/api/{TENANT}/sign-in/passkey/finish"
_ACTION: Final = "sign-in"
_USERS: Final = 200
_LONGEST_MS: Final = 43_200_000  # twelve hours, so that what was begun waits until it is replayed
_CONFIG: Final = """
base_url = "https://auth.example.com"
database = "{database}"
secret = "a secret of the benchmarks, 32 bytes or more"
limits = {{ per_tenant = "100000000/minute", per_address = "100000000/minute", per_user = "100000000/minute" }}
[tenants.{tenant}]
hostname = "{host}"
"""


@dataclass(frozen=True)
class Prepared:
    """A database with sign-ins that wait, and the requests that finish them.

    Attributes:
        config: The server's file.
        requests: A file with a body on each line.
        headers: Of every request.
        count: How many.
    """

    config: Path
    requests: Path
    headers: Mapping[str, str]
    count: int


class Expected(dict[bytes, tuple[list[tuple[str, Any]], bytes, bytes, bytes]]):
    """By challenge: the statements, and of the signature check the public key (X9.62), signature and message."""


def write_config(directory: Path, database: str) -> ServerSettings:
    """The server's file in `directory`, over this database."""
    file = directory / "passkeycore.toml"
    file.write_text(_CONFIG.format(database=database, tenant=TENANT, host=HOST))
    return load_server(file)


def prepare(directory: Path, url: str, count: int) -> Prepared:
    """Begins `count` sign-ins in the database, of a visitor of their own, and answers them."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = write_config(directory, url)
    rp = settings.tenants[TENANT].settings.config.relying_party()
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _without_waiting)
    repository = SQLRepository(engine, create=True)
    passkeys = PasskeyService(rp, repository, realm=TENANT)
    actions = ActionService(repository, tokens=Tokens(settings.secrets), passkeys=passkeys)
    clients = [_registered(passkeys, index) for index in range(_USERS)]
    visitor = b64url_encode(secrets.token_bytes(32))
    requests = directory / "requests.jsonl"
    with open(requests, "wb") as file:
        for index in range(count):
            start = actions.start_passkey_sign_in(_ACTION, binding=visitor, timeout_ms=_LONGEST_MS)
            response = clients[index % _USERS].get(start.to_dict())
            file.write(json.dumps({"response": response}, separators=(",", ":")).encode() + b"\n")
    engine.dispose()
    headers = {
        "Content-Type": "application/json",
        "Origin": ORIGIN,
        "Cookie": f"{COOKIE}={visitor}",
        CSRF_HEADER: csrf_token(visitor, TENANT),
    }
    return Prepared(directory / "passkeycore.toml", requests, headers, count)


def record(prepared: Prepared, copy_url: str, directory: Path, count: int) -> Path:
    """What the server does for the first `count` requests, over a copy of the database; for the bare route.

    Raises:
        RuntimeError: The server refuses one.
    """
    settings = write_config(directory, copy_url)
    keys: dict[str, bytes] = {}
    expected = Expected()
    with open(prepared.requests, "rb") as file:
        bodies = [next(file) for _ in range(count)]
    recorded = asyncio.run(_recorded(settings, prepared.headers, bodies, keys))
    for body, statements in zip(bodies, recorded, strict=True):
        response = json.loads(body)["response"]
        inner = {name: b64url_decode(value) for name, value in response["response"].items()}
        message = inner["authenticatorData"] + sha256(inner["clientDataJSON"]).digest()
        challenge = b64url_decode(json.loads(inner["clientDataJSON"])["challenge"])
        expected[challenge] = (statements, keys[response["id"]], inner["signature"], message)
    path = directory / "expected.pickle"
    path.write_bytes(pickle.dumps(expected))
    return path


async def _recorded(
    settings: ServerSettings, headers: Mapping[str, str], bodies: Sequence[bytes], keys: dict[str, bytes]
) -> list[list[tuple[str, Any]]]:
    storage = Storage(settings)
    tenants = LiveTenants(settings, storage, refresh_s=1e9)
    app = server_app(tenants, settings)
    everything: list[list[tuple[str, Any]]] = []
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://auth.example.com") as client:
        tenant = await tenants.by_id(TENANT)
        if tenant is None:
            raise RuntimeError("there is no tenant")
        for index in range(_USERS):
            for passkey in await tenant.passkeys.list_passkeys(_user_id(index)):
                members = cbor2.loads(passkey.credential.public_key)
                keys[b64url_encode(passkey.credential_id)] = b"\4" + members[-2] + members[-3]
        seen: list[tuple[str, Any]] = []
        event.listen(sqlalchemy.Engine, "before_cursor_execute", _noted(seen))
        for body in bodies:
            seen.clear()
            answer = await client.post(PATH, content=body, headers=dict(headers))
            if answer.status_code != 200:
                raise RuntimeError(f"the server refuses a sign-in: {answer.text}")
            everything.append(list(seen))
    await storage.close()
    return everything


def _noted(seen: list[tuple[str, Any]]) -> Callable[..., None]:
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, _plain(parameters)))

    return note


def _plain(parameters: Any) -> Any:
    """The parameters so that they can be written to a file."""
    if isinstance(parameters, Mapping):
        return {name: _plain_value(value) for name, value in cast("Mapping[str, Any]", parameters).items()}
    return tuple(map(_plain_value, parameters))


def _plain_value(value: Any) -> Any:
    return bytes(cast("memoryview[int]", value)) if isinstance(value, memoryview) else value


def _registered(passkeys: PasskeyService, index: int) -> VirtualClient:
    client = VirtualClient(SoftwareAuthenticator(f"load {index}", algorithms=(ES256,)), ORIGIN)
    user_id = _user_id(index)
    start = passkeys.start_registration(user_id=user_id, user_name=f"{user_id}@example.com")
    passkeys.finish_registration(client.create(start.to_dict()), user_id=user_id)
    return client


def _user_id(index: int) -> str:
    return f"user-{index}"


def _without_waiting(connection: sqlite3.Connection, _record: object) -> None:
    # Only while the database is filled; the server opens it anew, with its own settings.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
