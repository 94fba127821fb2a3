"""A server for the command's tests that fetch something: https on localhost, and answers of every kind."""

import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from passkeycore.testing import AttestationAuthority, der
from passkeycore.testing.certificates import extension

Answer = Callable[[BaseHTTPRequestHandler], None]


def body(content: bytes, *, announced: int | None = None, status: int = 200) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if announced is None else announced))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def unannounced(content: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def redirect(to: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"I am not HTTP\r\n\r\n")


class HttpsServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that does not trust the server hangs up


class Server:
    """Answers https requests on localhost, and notes which came."""

    def __init__(self, directory: Path) -> None:
        authority = AttestationAuthority("https")
        names = extension("2.5.29.17", der.sequence(der.implicit(2, b"localhost")))
        issued = authority.issue(extensions=[names])
        self.root = directory / "https-root.pem"
        self.root.write_text(ssl.DER_cert_to_PEM_cert(authority.root))
        chain, key = directory / "chain.pem", directory / "key.pem"
        chain.write_text("".join(map(ssl.DER_cert_to_PEM_cert, issued.x5c)))
        private = issued.key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key.write_bytes(private)
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                with suppress(OSError):  # the client may have seen enough
                    server.answers[self.path](self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = HttpsServer(("localhost", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"https://localhost:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
