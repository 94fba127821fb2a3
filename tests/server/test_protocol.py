"""Bounds of connections: slow and long heads, clients that do not read, too many of them, and what is no HTTP at all.

Times are made short, and only what has to come in the end is waited for.
"""

import asyncio
import json
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from passkeycore.server.edge.http import Edge, read_body
from passkeycore.server.running import protocol as module
from passkeycore.server.running.protocol import HEAD_BYTES, below
from tests.server.kit import Loop

PATIENCE_S = 60.0
LONG = "x" * 20_000_000
"""More than the kernel takes of an answer that nobody reads."""


async def ok(request: Request) -> Response:
    return PlainTextResponse("ok")


async def echo(request: Request) -> Response:
    return PlainTextResponse(await read_body(request))


async def long(request: Request) -> Response:
    return PlainTextResponse(LONG)


async def waiting(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()


ROUTES = [
    Route("/", ok, methods=["GET", "POST"]),
    Route("/echo", echo, methods=["POST"]),
    Route("/long", long),
    WebSocketRoute("/socket", waiting),
]


@contextmanager
def serving(base_path: str = "") -> Generator[tuple[int, uvicorn.Server]]:
    """A server that speaks the bounded protocol, and its port."""
    loop = Loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            Edge(Starlette(routes=ROUTES)),
            http=below(base_path),
            ws="websockets-sansio",
            log_level="error",
            lifespan="off",
            h11_max_incomplete_event_size=HEAD_BYTES,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        done = asyncio.run_coroutine_threadsafe(server._serve([listener]), loop._loop)
        try:
            loop.run(_started(server))
            yield listener.getsockname()[1], server
        finally:
            server.should_exit = True
            done.result()
            loop.close()


async def _started(server: uvicorn.Server) -> None:
    while not server.started:
        await asyncio.sleep(0.005)


@pytest.fixture
def served() -> Generator[tuple[int, uvicorn.Server]]:
    with serving() as served:
        yield served


@pytest.fixture
def port(served: tuple[int, uvicorn.Server]) -> int:
    return served[0]


def sent(port: int, *parts: bytes) -> bytes:
    """All that the server says until it hangs up."""
    with connected(port) as client:
        for part in parts:
            client.sendall(part)
        return until_closed(client)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def until_closed(client: socket.socket) -> bytes:
    answer = b""
    while part := client.recv(65_536):
        answer += part
    return answer


def until(client: socket.socket, end: bytes) -> bytes:
    """What the server says, which has to end so."""
    answer = b""
    while not answer.endswith(end):
        part = client.recv(65_536)
        assert part, answer
        answer += part
    return answer


def refusal(answer: bytes) -> tuple[int, str]:
    """Status and code of an error in the form of our own API, with the headers of every answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert {"content-type: application/json", "connection: close", "referrer-policy: no-referrer"} <= {*lines}
    assert f"content-length: {len(body)}" in lines
    code: str = json.loads(body)["error"]["code"]
    return int(lines[0].split(" ")[1]), code


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half of a head"])
def test_a_head_that_does_not_come_is_not_waited_for(port: int, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_S", 0.05)
    assert refusal(sent(port, begun)) == (408, "request_timeout")


def test_a_second_request_has_the_same_time_for_its_head(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its first byte on, however slowly the others come."""
    monkeypatch.setattr(module, "HEAD_S", 0.2)
    with connected(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        until(client, b"ok")
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert refusal(until_closed(client)) == (408, "request_timeout")


@pytest.mark.parametrize("size", [1, 1_000, 100_000], ids=lambda size: f"{size} bytes at a time")
def test_a_head_that_is_too_long_is_refused(port: int, size: int) -> None:
    """Whether it ends or not, in one header or in many; one that just fits is taken."""
    for name in (b"X-Long: " + b"x" * HEAD_BYTES, b"X: x\r\n" * (HEAD_BYTES // 6)):
        head = b"GET / HTTP/1.1\r\nHost: x\r\n" + name + b"\r\n\r\n"
        with connected(port) as client:
            try:
                for begin in range(0, len(head), size):
                    client.sendall(head[begin : begin + size])
            except OSError:
                pass  # it has hung up
            answer = received(client)
        assert not answer or refusal(answer)[0] == 431
    fits = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: "
    fits += b"x" * (HEAD_BYTES - len(fits) - 100) + b"\r\n\r\n"
    assert sent(port, *(fits[begin : begin + size] for begin in range(0, len(fits), size))).endswith(b"ok")


def received(client: socket.socket) -> bytes:
    """What is there; the rest may be lost with what the other side did not read."""
    answer = b""
    try:
        while part := client.recv(65_536):
            answer += part
    except ConnectionError:
        pass
    return answer


def test_a_body_is_not_taken_for_a_head(port: int) -> None:
    """However its parts come."""
    body = b"x" * 60_000
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n"
    whole = head + body
    for cut in (len(head) - 2, len(head), len(head) + 1):
        assert sent(port, whole[:cut], whole[cut:]).endswith(body)


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET / HTTP/one\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTwo words: x\r\n\r\n",
    ],
    ids=["TLS", "words", "version", "length", "header"],
)
def test_what_is_no_http_is_refused_in_json(port: int, text: bytes) -> None:
    assert refusal(sent(port, text)) == (400, "request_incomplete")


def test_a_body_that_is_no_http_is_not_answered_twice(port: int) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refusal(sent(port, head, b"not a length\r\n")) == (400, "request_incomplete")


@pytest.mark.parametrize("base_path", ["", "/auth"])
@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("/v1/client/challenge", b'{"error":"invalid_request","errorCode":"invalid_request","errorDescription":'),
        ("/run-command", b'{"type":"UnexpectedError","details":'),
        ("/challenge/api/start", b'{"error":{"code":"'),
        ("/challenge", b"<!doctype html>"),
        ("/api/shop/action", b'{"error":{"code":"request_incomplete","message":'),
        ("/nowhere", b'{"error":{"code":"request_incomplete","message":'),
    ],
)
def test_a_body_that_is_no_http_is_refused_in_the_form_of_what_was_asked_for(
    base_path: str, path: str, begins: bytes
) -> None:
    """Once the head of a request is known, so is the language of its client."""
    head = f"POST {base_path}{path}?a=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with serving(base_path) as (port, _):
        answer = sent(port, head + b"not a length\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "http/1.1 400 bad request"
    assert {"connection: close", "referrer-policy: no-referrer", f"content-length: {len(body)}"} <= {*lines}
    assert len([line for line in lines if line.startswith("content-security-policy:")]) == 1
    assert body.lower().startswith(begins.lower()), body
    assert b'href="/' not in body or f'href="{base_path}/challenge/'.encode() in body


def test_what_comes_after_an_answer_is_no_part_of_its_request(port: int) -> None:
    """Its head is not known: the form is our own, and not that of the request before."""
    with connected(port) as client:
        client.sendall(b"POST /v1/validate HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        until(client, b"Not Found")
        client.sendall(b"hello\r\n\r\n")
        assert refusal(until_closed(client)) == (400, "request_incomplete")


def test_an_answer_that_does_not_wait_for_the_body_ends_the_connection(port: int) -> None:
    """Nobody reads the rest, however long it takes to come."""
    answer = sent(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close\r\n" in answer.lower()


def test_a_connection_whose_body_was_read_is_kept(port: int) -> None:
    with connected(port) as client:
        for _ in range(3):
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
            assert b"connection: close" not in until(client, b"hi").lower()


def test_requests_that_come_together_are_answered_one_after_the_other(port: int) -> None:
    one = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n%02d"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = sent(port, b"".join(one % number for number in range(20)), last)
    assert [part[:2] for part in answer.split(b"\r\n\r\n")[1:-1]] == [b"%02d" % number for number in range(20)]
    assert answer.endswith(b"ok")


def test_who_does_not_read_is_not_waited_for(
    served: tuple[int, uvicorn.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the connection was to be closed after the answer."""
    monkeypatch.setattr(module, "READING_S", 0.05)
    port, server = served
    with connected(port) as client:
        client.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(1)
        deadline = time.monotonic() + PATIENCE_S
        while server.server_state.connections:
            assert time.monotonic() < deadline
            time.sleep(0.005)


def test_too_many_connections_are_refused_and_the_others_served(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """WebSockets count as well."""
    monkeypatch.setattr(module, "CONNECTIONS", 2)
    upgrade = (
        b"GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with connected(port) as first, connected(port) as second:
        first.sendall(upgrade)
        assert first.recv(65_536).startswith(b"HTTP/1.1 101 ")
        second.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        until(second, b"ok")
        with connected(port) as third:
            assert refusal(until_closed(third)) == (503, "server_error")
        second.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        until(second, b"ok")


def test_a_socket_is_not_cut_off_as_a_head_would_be(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_S", 0.1)
    with connected(port) as client:
        client.sendall(
            b"GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert client.recv(65_536).startswith(b"HTTP/1.1 101 ")
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_client_that_offers_http_2_is_answered_over_http_1(port: int) -> None:
    """As Java's does where there is no TLS, also with a body."""
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
    more = b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nContent-Length: 5\r\n\r\n"
    answer = sent(port, head + more + b"hello")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello")


def test_who_is_refused_while_they_still_send_sees_the_answer_and_goes_on(port: int) -> None:
    """Hung up on, they might only see that the connection was reset."""
    with connected(port) as client:
        for _ in range(2):
            client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
            time.sleep(0.05)
            client.sendall(b"hello")
            answer = until(client, b"ok")
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" not in answer.lower()


def test_who_asks_first_is_only_answered(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    answer = sent(port, head)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer.lower()
