"""The bare route: what the server does for a sign-in, without anything that makes it one.

One Starlette route that reads the body, sends the recorded statements through the bare driver, checks the signature
with a key that is ready, and answers. uvicorn runs `application`, which reads `EXPECTED` and `DATABASE` from the
environment.
"""

import asyncio
import os
import pickle
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from passkeycore.testing import b64url_decode

from .prepared import PATH, Expected

EXPECTED: Final = "PASSKEYCORE_BENCHMARK_EXPECTED"
DATABASE: Final = "PASSKEYCORE_BENCHMARK_DATABASE"
_CONNECTIONS: Final = {"sqlite": 1, "postgresql": 10}  # more on SQLite only wait for each other
_PRAGMAS: Final = ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
_ECDSA: Final = ec.ECDSA(hashes.SHA256())


class _Response(msgspec.Struct):
    clientDataJSON: str  # noqa: N815


class _Credential(msgspec.Struct):
    response: _Response


class _Body(msgspec.Struct):
    response: _Credential


class _ClientData(msgspec.Struct):
    challenge: str


_BODY: Final = msgspec.json.Decoder(_Body)
_CLIENT_DATA: Final = msgspec.json.Decoder(_ClientData)


def application() -> Starlette:
    """The application of this process."""
    expected: Expected = pickle.loads(Path(os.environ[EXPECTED]).read_bytes())  # noqa: S301 - our own file
    prepared = {
        challenge: (statements, ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key), signature, message)
        for challenge, (statements, key, signature, message) in expected.items()
    }
    free: asyncio.Queue[Callable[..., Any]] = asyncio.Queue()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        url = os.environ[DATABASE]
        kind = url.partition(":")[0]
        connections = [await _CONNECT[kind](url) for _ in range(_CONNECTIONS[kind])]
        for execute, _close in connections:
            free.put_nowait(execute)
        yield
        for _execute, close in connections:
            await close()

    async def finish(request: Request) -> JSONResponse:
        client_data = b64url_decode(_BODY.decode(await request.body()).response.response.clientDataJSON)
        statements, key, signature, message = prepared[b64url_decode(_CLIENT_DATA.decode(client_data).challenge)]
        execute = await free.get()
        try:
            for statement, parameters in statements:
                await execute(statement, parameters)
        finally:
            free.put_nowait(execute)
        key.verify(signature, message, _ECDSA)
        return JSONResponse({"user_id": "somebody", "token": "none"})

    return Starlette(routes=[Route(PATH, finish, methods=["POST"])], lifespan=lifespan)


async def _sqlite(url: str) -> tuple[Callable[..., Any], Callable[[], Any]]:
    import aiosqlite

    connection = await aiosqlite.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    for pragma in _PRAGMAS:
        await connection.execute(f"PRAGMA {pragma}")
    return connection.execute_fetchall, connection.close


async def _postgres(url: str) -> tuple[Callable[..., Any], Callable[[], Any]]:
    import psycopg

    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)

    async def execute(statement: str, parameters: Any) -> Any:
        cursor = await connection.execute(statement.encode(), parameters)
        return None if cursor.description is None else await cursor.fetchall()

    return execute, connection.close


_CONNECT: Final = {"sqlite": _sqlite, "postgresql": _postgres}
