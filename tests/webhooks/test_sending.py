"""Over a real network: what arrives, whom is trusted, and endpoints that hang, drip, redirect or talk too much."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from passkeycore import ConfigurationError
from passkeycore.engine.records import EventType
from passkeycore.engine.webhooks import (
    AsyncHTTPSender,
    AsyncWebhookWorker,
    HTTPSender,
    WebhookEndpoint,
    WebhookResponse,
    WebhookWorker,
)
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.webhooks import sign_webhook, verify_webhook

from .kit import BEGUN, SECRETS
from .receiver import Handler, Receiver, certified, receiving, silent_port

httpx = pytest.importorskip("httpx", reason="the extra server is not installed: nothing is sent")

Post: TypeAlias = Callable[..., list[WebhookResponse | Exception]]
BODY = b'{"type":"user.removed"}'
SHORT_S = 1.0
"""A timeout that ends before anything that drips here does, and after anything that does not."""


def _threads(url: str, times: int = 1, body: bytes = BODY, **settings: Any) -> list[WebhookResponse | Exception]:
    with closing(HTTPSender(**settings)) as sender:
        return [_caught(lambda: sender(url, _headers(body), body)) for _ in range(times)]


def _asyncio(url: str, times: int = 1, body: bytes = BODY, **settings: Any) -> list[WebhookResponse | Exception]:
    async def main() -> list[WebhookResponse | Exception]:
        sender = AsyncHTTPSender(**settings)
        answers: list[WebhookResponse | Exception] = []
        for _ in range(times):
            try:
                answers.append(await sender(url, _headers(body), body))
            except Exception as error:  # noqa: BLE001 - whatever there is
                answers.append(error)
        await sender.aclose()
        return answers

    return asyncio.run(main())


def _headers(body: bytes) -> Mapping[str, str]:
    return {"content-type": "application/json", **sign_webhook(SECRETS, "5f0c", body, now=BEGUN)}


def _caught(call: Callable[[], WebhookResponse]) -> WebhookResponse | Exception:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever there is
        return error


@pytest.fixture(params=[_threads, _asyncio], ids=["threads", "asyncio"])
def post(request: pytest.FixtureRequest) -> Post:
    """Sends one body so many times, in either colour: what came of each."""
    function: Post = request.param
    return function


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_what_is_sent_arrives_as_it_was_signed(post: Post, receiver: Receiver) -> None:
    assert post(receiver.url + "?a=%2F&b") == [WebhookResponse(status=200)]
    (arrived,) = receiver.arrived
    assert arrived.path == "/events?a=%2F&b"
    assert verify_webhook(SECRETS, arrived.headers, arrived.body, now=BEGUN).body == BODY
    assert arrived.headers["content-type"] == "application/json"
    assert arrived.headers["user-agent"] == "passkeycore"
    assert arrived.headers["content-length"] == str(len(BODY))
    assert "transfer-encoding" not in arrived.headers


def test_one_connection_is_used_again(post: Post, receiver: Receiver) -> None:
    receiver.answer = lambda handler: handler.status(200, b"thanks")
    assert post(receiver.url, 3) == [WebhookResponse(status=200)] * 3
    assert len({arrived.connection for arrived in receiver.arrived}) == 1


@pytest.mark.parametrize("status", [201, 204, 404, 410, 500])
def test_the_status_is_told(post: Post, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda handler: handler.status(status)
    assert post(receiver.url) == [WebhookResponse(status=status)]


def test_retry_after_is_told_as_it_came(post: Post, receiver: Receiver) -> None:
    receiver.answer = lambda handler: handler.status(429, Retry_After="120")
    assert post(receiver.url) == [WebhookResponse(status=429, retry_after="120")]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(post: Post, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda handler: handler.status(status, Location="/elsewhere")
    assert post(receiver.url) == [WebhookResponse(status=status)]
    assert [arrived.path for arrived in receiver.arrived] == ["/events"]


def test_cookies_are_not_kept(post: Post, receiver: Receiver) -> None:
    receiver.answer = lambda handler: handler.status(200, Set_Cookie="session=1; Path=/")
    post(receiver.url, 2)
    assert ["cookie" in arrived.headers for arrived in receiver.arrived] == [False, False]


def test_proxies_of_the_environment_are_not_used_and_those_of_yours_are(
    post: Post, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        address = proxy.url.removesuffix("/events")
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert post(receiver.url) == [WebhookResponse(status=200)]
        assert (len(receiver.arrived), proxy.arrived) == (1, [])
        assert post(receiver.url, proxy=address) == [WebhookResponse(status=200)]
        assert (len(receiver.arrived), [arrived.path for arrived in proxy.arrived]) == (1, [receiver.url])


# --- Bad manners ---


def _headers_drip(handler: Handler) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-slow: " + b"x" * 200 + b"\r\n\r\n")


def _interim_answers_drip(handler: Handler) -> None:
    handler.close_connection = True
    for _ in range(200):
        handler.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        if handler.receiver.over.wait(0.02):
            return
    handler.status(200)


def _says_nothing(handler: Handler) -> None:
    handler.receiver.over.wait(5)
    handler.status(200)


@pytest.mark.parametrize("manner", [_headers_drip, _interim_answers_drip, _says_nothing])
def test_the_timeout_is_a_total_one(post: Post, receiver: Receiver, manner: Callable[[Handler], None]) -> None:
    """Each of them would answer 200 some seconds later, and never lets a silence be as long as the timeout."""
    receiver.answer = manner
    (answer,) = post(receiver.url, timeout_s=SHORT_S)
    assert isinstance(answer, TimeoutError)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_speaks_is_left_also_in_the_tls_handshake(post: Post, scheme: str) -> None:
    with silent_port() as address:
        (answer,) = post(f"{scheme}://{address}/", timeout_s=SHORT_S)
        assert isinstance(answer, TimeoutError if scheme == "http" else httpx.ConnectTimeout)


def _body_drips(handler: Handler) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b"x" * 1000)


def _body_never_ends(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not handler.receiver.over.is_set():
        handler.wfile.write(b"x" * 65_536)


def _body_is_cut(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx")


def _body_is_no_gzip(handler: Handler) -> None:
    handler.status(200, b"not compressed at all", Content_Encoding="gzip")


@pytest.mark.parametrize("manner", [_body_drips, _body_never_ends, _body_is_cut, _body_is_no_gzip])
def test_the_status_counts_whatever_the_body_does(
    post: Post, receiver: Receiver, manner: Callable[[Handler], None]
) -> None:
    receiver.answer = manner
    assert post(receiver.url) == [WebhookResponse(status=200)]


def test_a_long_body_is_not_read(post: Post, receiver: Receiver) -> None:
    """The server can send what fits in the buffers of a connection, and then it sees that nobody listens."""
    written: list[int] = []

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 268435456\r\n\r\n")
        try:
            for _ in range(4096):
                handler.wfile.write(b"x" * 65_536)
                written.append(65_536)
        finally:
            handler.receiver.over.set()

    receiver.answer = answer
    assert post(receiver.url) == [WebhookResponse(status=200)]
    assert receiver.over.wait(60)
    assert sum(written) < 64 << 20


def _speaks_something_else(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")


def _hangs_up(handler: Handler) -> None:
    handler.close_connection = True


def _has_endless_headers(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.receiver.over.is_set():
        handler.wfile.write(b"x-more: " + b"x" * 8_000 + b"\r\n")


@pytest.mark.parametrize("manner", [_speaks_something_else, _hangs_up, _has_endless_headers])
def test_what_is_no_answer_is_a_failure(post: Post, receiver: Receiver, manner: Callable[[Handler], None]) -> None:
    receiver.answer = manner
    (answer,) = post(receiver.url)
    assert isinstance(answer, httpx.HTTPError)


def test_after_a_failure_the_sender_goes_on(post: Post, receiver: Receiver) -> None:
    def answer(handler: Handler) -> None:
        manner = [_hangs_up, _body_is_cut, Handler.status][min(len(handler.receiver.arrived), 3) - 1]
        if manner is Handler.status:
            handler.status(200)
        else:
            manner(handler)  # type: ignore[operator]

    receiver.answer = answer
    first, *rest = post(receiver.url, 3)
    assert isinstance(first, httpx.HTTPError)
    assert rest == [WebhookResponse(status=200)] * 2


def test_a_server_that_is_down_is_a_failure(post: Post) -> None:
    with receiving() as receiver:
        url = receiver.url
    (answer,) = post(url)
    assert isinstance(answer, httpx.ConnectError)


def test_addresses_are_not_logged(post: Post, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        post(receiver.url + "/secret-path")
    assert "secret-path" not in caplog.text


# --- Certificates ---


def test_https_with_a_certificate_of_somebody_trusted(post: Post, tmp_path: Path) -> None:
    server, client = certified(tmp_path, b"localhost")
    with receiving(server) as receiver:
        assert post(receiver.url, ssl_context=client) == [WebhookResponse(status=200)]


@pytest.mark.parametrize("name", [b"localhost", b"other.example"])
def test_certificates_are_verified(post: Post, tmp_path: Path, name: bytes) -> None:
    """Of an issuer whom nobody knows; of a known one, but for another name."""
    server, client = certified(tmp_path, name)
    with receiving(server) as receiver:
        (answer,) = post(receiver.url, **({} if name == b"localhost" else {"ssl_context": client}))
        assert isinstance(answer, httpx.ConnectError)
        assert "certificate" in str(answer).lower()
        assert receiver.arrived == []


# --- Closing ---


def test_closing_cuts_off_what_is_under_way_and_the_sender_can_be_used_again(receiver: Receiver) -> None:
    receiver.answer = _says_nothing
    with closing(HTTPSender()) as sender, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(_caught, lambda: sender(receiver.url, _headers(BODY), BODY))
        receiver.wait_for(1)
        sender.close()
        assert isinstance(sending.result(60), CancelledError)
        receiver.answer = lambda handler: handler.status(200)
        assert sender(receiver.url, _headers(BODY), BODY) == WebhookResponse(status=200)
        sender.close()
        sender.close()


def test_one_sender_serves_one_event_loop_after_the_other(receiver: Receiver) -> None:
    sender = AsyncHTTPSender()

    async def main() -> WebhookResponse:
        try:
            return await sender(receiver.url, _headers(BODY), BODY)
        finally:
            await sender.aclose()

    assert [asyncio.run(main()) for _ in range(2)] == [WebhookResponse(status=200)] * 2


# --- Settings ---


@pytest.mark.parametrize("timeout_s", [0, -1, 301, float("nan"), "10"])
@pytest.mark.parametrize("sender", [HTTPSender, AsyncHTTPSender])
def test_timeouts_out_of_range(sender: Any, timeout_s: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout_s"):
        sender(timeout_s=timeout_s)


@pytest.mark.parametrize("worker", [WebhookWorker, AsyncWebhookWorker])
def test_without_the_extra_the_error_names_it(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    repository: Any = (MemoryRepository if worker is WebhookWorker else AsyncMemoryRepository)(outbox=True)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigurationError, match=r"passkeycore\[server\]"):
        worker(repository, {})
    send: Any = print
    worker(repository, {}, send=send)  # whoever brings their own does not need it


ADDRESSES = {
    "https://example.org": True,
    "https://example.org/": True,
    "https://example.org:8443/a/b?c=d%20e": True,
    "https://xn--bcher-kva.example/": True,
    "https://[2001:db8::1]/": True,
    "https://10.0.0.1/": True,
    "http://localhost:8000/": True,
    "http://127.0.0.1/": True,
    "http://127.8.9.10/": True,
    "http://[::1]:80/": True,
    "http://example.org/": False,
    "http://localhost.example.org/": False,
    "http://127.0.0.1.example.org/": False,
    "http://10.0.0.1/": False,
    "http://0.0.0.0/": False,
    "http://[2001:db8::1]/": False,
    "HTTPS://example.org/": True,
    "ftp://example.org/": False,
    "file:///etc/passwd": False,
    "//example.org/": False,
    "example.org": False,
    "": False,
    "https://": False,
    "https:///path": False,
    "https://:443/": False,
    "https://user@example.org/": False,
    "https://user:secret@example.org/": False,
    "https://example.org/#part": False,
    "https://example.org:port/": False,
    "https://example.org:70000/": False,
    "https://example.org:0/": False,
    "https://[::1/": False,
    "https://example.org\\@evil.example/": False,
    "https://example.org/a b": False,
    "https://example.org/a\r\nb": False,
    "https://example.org/\t": False,
    " https://example.org/": False,
    "https://bücher.example/": False,
    "https://example.org/" + "x" * 2_048: False,
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_addresses_of_endpoints(url: str) -> None:
    if ADDRESSES[url]:
        WebhookEndpoint(url=url, secrets=SECRETS)
        return
    with pytest.raises(ConfigurationError) as caught:
        WebhookEndpoint(url=url, secrets=SECRETS)
    assert caught.value.path == "url"
    assert "secret" not in str(caught.value)


def test_plain_http_needs_the_dangerous_switch_which_allows_nothing_else() -> None:
    WebhookEndpoint(url="http://example.org/", secrets=SECRETS, danger_allow_http=True)
    for url in ("ftp://example.org/", "http://user@example.org/"):
        with pytest.raises(ConfigurationError):
            WebhookEndpoint(url=url, secrets=SECRETS, danger_allow_http=True)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("url", None),
        ("url", b"https://example.org"),
        ("secrets", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]),
        ("types", "user.removed"),
        ("types", ""),
        ("types", EventType.USER_REMOVED),
        ("types", ["user.removed"]),
        ("types", 5),
    ],
)
def test_endpoints_of_something_else(member: str, value: object) -> None:
    members: dict[str, Any] = {"url": "https://example.org", "secrets": SECRETS, member: value}
    with pytest.raises(ConfigurationError) as caught:
        WebhookEndpoint(**members)
    assert caught.value.path == member
    assert "MfKQ9r8" not in str(caught.value)


def test_what_is_shown_of_an_endpoint_is_its_host() -> None:
    shown = repr(WebhookEndpoint(url="https://example.org/secret?token=secret", secrets=SECRETS))
    assert shown == "WebhookEndpoint(host='example.org')"
