"""The access log: a line of JSON for each request, with nothing in it that a client wrote."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from passkeycore.server.app import server_app
from passkeycore.server.edge.access_log import LOGGER, AccessLog
from passkeycore.server.edge.http import Edge, json_answer, note_tenant
from tests.server.kit import API_KEYS, Client, TenantKit, tenant_kit

TOKEN = "eyJhbGciOiJIUzI1NiJ9.a-token-that-opens-something"


async def found(request: Request) -> Response:
    note_tenant(request, "shop")
    return json_answer({"token": TOKEN}, 201)


async def failing(request: Request) -> Response:
    raise RuntimeError(TOKEN)


async def listening(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


ROUTES = [
    Route("/", found),
    Route("/users/{user_id}", found, methods=["GET", "POST"]),
    Route("/users/{user_id}/actions/{action}", found),
    Mount("/v1", app=Starlette(routes=[Mount("/inner", routes=[Route("/{token:path}", found)])])),
    Route("/failing", failing),
    WebSocketRoute("/socket/{token}", listening),
]


class Log:
    """What was written."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(record.getMessage()) for record in self.caplog.records if record.name == LOGGER.name]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.INFO, LOGGER.name)
    return Log(caplog)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[TenantKit]:
    with tenant_kit(tmp_path) as kit:
        yield kit


@pytest.fixture
def client(kit: TenantKit) -> Client:
    return kit.client(Edge(AccessLog(Starlette(routes=ROUTES), ROUTES)))


def test_a_line_says_what_was_asked_for_and_what_came_of_it(client: Client, log: Log) -> None:
    answer = client.get("/users/ada")
    (line,) = log.lines
    assert list(line) == ["at", "method", "route", "status", "ms", "tenant", "request_id"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/users/{user_id}", 201)
    assert (line["tenant"], line["request_id"]) == ("shop", answer.headers["x-request-id"])
    assert line["ms"] >= 0
    assert datetime.fromisoformat(line["at"]).utcoffset() is not None


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/", "/", 201),
        (f"/users/{TOKEN}/actions/{TOKEN}", "/users/{user_id}/actions/{action}", 201),
        (f"/v1/inner/{TOKEN}/{TOKEN}?token={TOKEN}", "/v1/inner/{token:path}", 201),
        (f"/{TOKEN}", None, 404),
        (f"/users/{TOKEN}/{TOKEN}", None, 404),
        (f"/v1/{TOKEN}", "/v1", 404),
        ("/failing", "/failing", 500),
    ],
)
def test_nothing_that_a_client_wrote_is_in_the_log(
    client: Client, log: Log, path: str, route: str | None, status: int
) -> None:
    """The route is the one that we declared; without one there is none in the line."""
    client.get(path, headers={"Authorization": f"Bearer {TOKEN}", "User-Agent": TOKEN, "Cookie": TOKEN})
    (line,) = log.lines
    assert (line["route"], line["status"]) == (route, status)
    assert "token-that" not in json.dumps(line)


def test_a_body_and_a_method_of_the_clients_own_are_not_in_it(client: Client, log: Log) -> None:
    client.post("/users/ada", content=TOKEN)
    client.request(TOKEN.replace(".", ""), "/users/ada")
    assert [line["method"] for line in log.lines] == ["POST", "other"]
    assert "token-that" not in json.dumps(log.lines)


def test_a_socket_is_a_line_too(kit: TenantKit, log: Log) -> None:
    app = AccessLog(Starlette(routes=ROUTES), ROUTES)

    async def opened(path: str) -> None:
        messages: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]

        async def receive() -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None: ...

        await app(
            {"type": "websocket", "path": path, "headers": [], "query_string": b"", "subprotocols": []}, receive, send
        )

    kit.run(opened(f"/socket/{TOKEN}"))
    kit.run(opened("/nothing"))
    assert [(line["method"], line["route"], line["status"]) for line in log.lines] == [
        ("WEBSOCKET", "/socket/{token}", 101),
        ("WEBSOCKET", None, 403),
    ]


def test_the_whole_server_keeps_its_secrets(kit: TenantKit, log: Log, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is asked for, with keys, tokens and ids in every place, and whatever fails: none of it is logged."""
    client = kit.client(server_app(kit.tenants, kit.settings))
    key = API_KEYS["shop"]
    client.post("/v1/users/secret-user/actions/sign-in?secret-query=1", json={"secret-member": 1}, auth=(key, ""))
    client.get(f"/v1/users/secret-user/authenticators?key={key.replace(' ', '')}", auth=(key, ""))
    client.post("/v1/validate", json={"token": TOKEN}, auth=(key, ""))
    client.get("/v1/client/user-authenticators", headers={"Authorization": f"Bearer {TOKEN}"})
    client.get(f"/{TOKEN}")
    written = caplog.text
    assert len(log.lines) == 5
    assert [line["tenant"] for line in log.lines[:3]] == ["shop"] * 3
    for secret in (key, key.replace(" ", ""), "token-that", "secret-user", "secret-query", "secret-member"):
        assert secret not in written
