"""What every request and answer goes through: bodies that are too long or stall, addresses, headers, request ids."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Message, Scope

from passkeycore.server.edge import http
from passkeycore.server.edge.http import HEADERS, Edge, client_address, json_answer, read_body, request_id
from tests.server.kit import Loop, TenantKit, tenant_kit


async def echo(request: Request) -> Response:
    return Response(await read_body(request))


async def bounded(request: Request) -> Response:
    return Response(await read_body(request, limit=10))


async def page(request: Request) -> Response:
    return HTMLResponse(request_id(request.scope), headers={"Content-Security-Policy": "default-src 'self'"})


ROUTES = [Route("/echo", echo, methods=["POST"]), Route("/bounded", bounded, methods=["POST"]), Route("/page", page)]


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def answer_to(loop: Loop, method: str, path: str, app: object = None, **arguments: object) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app or Edge(Starlette(routes=ROUTES)))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="https://auth.example.com") as client:
            return await client.request(method, path, **arguments)  # type: ignore[arg-type]

    return loop.run(ask())


async def chunks(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize(
    ("path", "most"), [("/echo", 65_536), ("/bounded", 10)], ids=["as the server is told", "as the room wants"]
)
def test_a_body_is_read_up_to_its_limit(loop: Loop, path: str, most: int) -> None:
    """Announced or in chunks: one byte more is too much, whatever comes after it."""
    for body in (b"", b"x" * most):
        assert answer_to(loop, "POST", path, content=body).content == body
    assert answer_to(loop, "POST", path, content=chunks(most, 1)).content == b"x" * most
    for body in (b"x" * (most + 1), chunks(most + 1, 1), chunks(1_000, 1_000)):  # type: ignore[assignment]
        answer = answer_to(loop, "POST", path, content=body)
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_what_was_configured_bounds_a_body(loop: Loop) -> None:
    app = Edge(Starlette(routes=ROUTES), body_bytes=1_024)
    assert answer_to(loop, "POST", "/echo", app, content=b"x" * 1_024).status_code == 200
    assert answer_to(loop, "POST", "/echo", app, content=b"x" * 1_025).status_code == 413


@pytest.mark.parametrize("length", ["-1", "x", "+5", "1_0", "\u0661", "9" * 5_000])
def test_a_length_that_is_none_is_refused(loop: Loop, length: str) -> None:
    request = request_of({"content-length": length.encode("utf-8").decode("latin-1")}, [])
    with pytest.raises(HTTPException) as caught:
        loop.run(read_body(request))
    assert caught.value.status_code in (400, 413)


def test_a_body_that_stalls_is_cut_off(loop: Loop) -> None:
    request = request_of({}, [{"type": "http.request", "body": b"x", "more_body": True}])
    with pytest.raises(HTTPException) as caught:
        loop.run(read_body(request, timeout_s=0.01))
    assert caught.value.status_code == 408


def test_a_client_that_goes_away_is_no_error_of_ours(loop: Loop) -> None:
    gone: list[Message] = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    with pytest.raises(HTTPException) as caught:
        loop.run(read_body(request_of({}, gone)))
    assert caught.value.status_code == 400


def request_of(headers: dict[str, str], messages: list[Message], client: tuple[str, int] | None = None) -> Request:
    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    scope: Scope = {"type": "http", "method": "POST", "headers": Headers(headers).raw, "client": client}
    return Request(scope, receive)


def test_a_stalled_body_is_answered_in_the_dialects_form_over_a_network(tmp_path: Path) -> None:
    """Headers and half of a body, then nothing: the server answers 408 and hangs up."""
    from passkeycore.server.app import server_app
    from tests.server.kit import API_KEYS

    with tenant_kit(tmp_path, more="body_timeout_s = 1") as kit, kit.live(server_app(kit.tenants, kit.settings)) as url:
        key = httpx.BasicAuth(API_KEYS["shop"], "")
        sent = next(key.auth_flow(httpx.Request("POST", url)))
        with socket.create_connection((str(urlsplit(url).hostname), urlsplit(url).port or 0)) as client:
            client.sendall(
                b"POST /v1/validate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                + f"Authorization: {sent.headers['authorization']}\r\n\r\n".encode()
                + b'{"token":'
            )
            answer = b""
            while part := client.recv(4_096):
                answer += part
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"errorCode"' in answer


@pytest.mark.parametrize(
    ("client", "forwarded", "trusted", "address"),
    [
        ("192.0.2.1", "", (), "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", (), "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", ("10.0.0.0/8",), "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", ("10.0.0.0/8",), "10.0.0.3"),
        ("10.0.0.1", "evil", ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, evil, 10.0.0.2", ("10.0.0.0/8",), "10.0.0.2"),
        ("10.0.0.1", "", ("10.0.0.0/8",), "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:DB8::1", ("10.0.0.0/8",), "2001:db8::1"),
        ("fe80::1%eth0", "", (), "fe80::1"),
        ("::1", "::ffff:192.0.2.7", ("::1",), "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1:4711", ("10.0.0.0/8",), "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711, 10.0.0.2:80", ("10.0.0.0/8",), "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", ("10.0.0.0/8",), "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1", ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", "[2001:db8::1]x", ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:x", ("10.0.0.0/8",), "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:123456", ("10.0.0.0/8",), "10.0.0.1"),
        ("testclient", "198.51.100.1", ("10.0.0.0/8",), ""),
        (None, "198.51.100.1", ("10.0.0.0/8",), ""),
        ("10.0.0.1", ", ".join(["198.51.100.1"] + ["10.0.0.2"] * 30), ("10.0.0.0/8",), "10.0.0.2"),
    ],
)
def test_the_address_is_the_last_that_no_trusted_proxy_has(
    client: str | None, forwarded: str, trusted: tuple[str, ...], address: str
) -> None:
    """Whatever a client writes into the header itself does not count."""
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    request = request_of(headers, [], None if client is None else (client, 1))
    assert client_address(request, trusted) == address


def test_every_answer_has_the_security_headers(loop: Loop) -> None:
    """Found or not, right or wrong; a page brings a policy of its own."""
    for method, path in (("GET", "/page"), ("GET", "/nothing"), ("GET", "/echo"), ("POST", "/echo")):
        answer = answer_to(loop, method, path)
        for name, value in HEADERS.items():
            own = "default-src 'self'" if (name, path) == ("Content-Security-Policy", "/page") else value
            assert answer.headers[name] == own


def test_every_answer_has_the_id_of_its_request(loop: Loop) -> None:
    """One that a trusted proxy gives is taken when it looks like one; all others are replaced."""
    answers = [answer_to(loop, "GET", "/page") for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert ids == [answer.text for answer in answers]
    assert ids[0] != ids[1]
    behind = Edge(Starlette(routes=ROUTES), trusted_proxies=["127.0.0.0/8"])
    elsewhere = Edge(Starlette(routes=ROUTES), trusted_proxies=["10.0.0.0/8", "::1"])
    for given in ("0123456789abcdef", "a.b-c_d.e"):
        assert answer_to(loop, "GET", "/page", behind, headers={"X-Request-Id": given}).text == given
        for app in (None, elsewhere):  # a client that could choose it could hide among others' lines
            made = answer_to(loop, "GET", "/page", app, headers={"X-Request-Id": given}).text
            assert re.fullmatch("[0-9a-f]{32}", made)
    for wrong in ("short", "x" * 65, "a b c d e f", "<script>alert", "{'json': 1}"):
        made = answer_to(loop, "GET", "/page", behind, headers={"X-Request-Id": wrong}).text
        assert re.fullmatch("[0-9a-f]{32}", made)


def test_an_answer_that_does_not_need_the_body_waits_for_it_for_a_moment(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is hung up on while they still send may not see the answer; what does not come, ends the connection."""
    monkeypatch.setattr(http, "_MOMENT_S", 0.05)
    for path, content in (("/echo", b"x"), ("/echo", b""), ("/page", b"x"), ("/page", b"")):
        for body in (content, chunks(len(content), 1)):
            assert "connection" not in answer_to(loop, "POST", path, content=body).headers
    assert "connection" not in answer_to(loop, "GET", "/page").headers
    for body in (stalling(), chunks(70, 1_000)):
        assert answer_to(loop, "POST", "/page", content=body).headers["connection"] == "close"


async def stalling() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.sleep(30)
    yield b"x"


def test_tls_is_demanded_where_the_server_is_told_so(loop: Loop) -> None:
    told = answer_to(loop, "GET", "/page", Edge(Starlette(routes=ROUTES), tls_only=True))
    assert told.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in answer_to(loop, "GET", "/page").headers


def test_json_is_stored_by_nobody() -> None:
    answer = json_answer({"a": [1, None, "\u00e9"]}, 201)
    assert (answer.status_code, answer.body) == (201, '{"a":[1,null,"é"]}'.encode())
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-store")


def test_the_kit_passes_addresses_on(tmp_path: Path) -> None:
    async def address(request: Request) -> Response:
        return Response(client_address(request))

    with tenant_kit(tmp_path) as kit:
        assert isinstance(kit, TenantKit)
        assert (
            kit.client(Starlette(routes=[Route("/", address)]), address="198.51.100.9").get("/").text == "198.51.100.9"
        )
