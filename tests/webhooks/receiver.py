"""An HTTP server on this machine that webhooks arrive at, with every bad manner that an endpoint can have."""

import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from passkeycore.testing import AttestationAuthority, der
from passkeycore.testing.certificates import extension

Answer: TypeAlias = Callable[["Handler"], None]
"""Answers one request, whose body is read already."""

PATIENCE_S = 60.0
"""How long to wait for what has to come, on a busy machine; only a failure takes that long."""
STEP_S = 0.02


class Arrived:
    """A request: `path`, `headers` with names in lower case, `body`, and the connection that it came by."""

    def __init__(self, handler: "Handler") -> None:
        self.path = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = handler.rfile.read(int(self.headers.get("content-length", 0)))
        self.connection = handler.client_address


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: "Receiver"

    def do_POST(self) -> None:
        arrived = Arrived(self)
        with self.receiver.changed:
            self.receiver.arrived.append(arrived)
            self.receiver.changed.notify_all()
        with suppress(OSError):  # the sender may have seen enough
            self.receiver.answer(self)

    def do_GET(self) -> None:
        self.do_POST()

    def status(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drip(self, text: bytes) -> None:
        """Sends `text` byte by byte, until the other side hangs up."""
        self.close_connection = True
        for byte in text:
            self.wfile.write(bytes([byte]))
            if self.receiver.over.wait(STEP_S):
                break

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # senders hang up


class Receiver:
    """What arrived, and what is answered.

    Attributes:
        arrived: Every request, in the order of arrival.
        answer: Answers each of them; replace it at will.
        changed: Is notified when one arrives.
        over: Set at the end, so that what drips and hangs ends.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.arrived: list[Arrived] = []
        self.changed = threading.Condition()
        self.over = threading.Event()
        self.answer: Answer = lambda handler: handler.status(200)
        handler = type("BoundHandler", (Handler,), {"receiver": self})
        self._server = Server(("127.0.0.1", 0), handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
        self.url = f"{scheme}://{host}:{self._server.server_port}/events"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": STEP_S})
        self._thread.start()

    def wait_for(self, count: int) -> list[Arrived]:
        """The requests, when there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.arrived) >= count, PATIENCE_S), self.ids
            return list(self.arrived)

    @property
    def ids(self) -> list[str]:
        return [arrived.headers.get("webhook-id", "") for arrived in self.arrived]

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Generator[Receiver]:
    receiver = Receiver(context)
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def silent_port() -> Generator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def certified(directory: Path, name: bytes) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The side of a server with a certificate for `name`, and the side of a client that trusts its issuer."""
    authority = AttestationAuthority("webhooks")
    issued = authority.issue(extensions=[extension("2.5.29.17", der.sequence(der.implicit(2, name)))])
    chain, key = directory / "chain.pem", directory / "key.pem"
    chain.write_text("".join(map(ssl.DER_cert_to_PEM_cert, issued.x5c)))
    key.write_bytes(issued.key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    client = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(authority.root))
    return server, client
