"""The web sites whose pages the browser opens: one on localhost, and two https domains that exist only for it.

What belongs here: serving the pages and making them reachable. Every page is empty; `chromium` runs the ceremonies.
"""

import base64
import hashlib
import http.server
import json
import ssl
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

COM = "https://example.com"
NET = "https://example.net"  # a related origin of example.com


class Sites(NamedTuple):
    """Sites that are being served.

    Attributes:
        localhost: The origin of the http site.
        embedder: Another origin of the same site, cross-site to the first one.
        switches: What Chromium needs on its command line to reach `COM` and `NET` here.
    """

    localhost: str
    embedder: str
    switches: tuple[str, ...]


@contextmanager
def serve() -> Generator[Sites]:
    """The sites, on ports of this machine that were free, until the context ends."""
    with tempfile.TemporaryDirectory() as directory:
        tls, key_hash = _tls(Path(directory, "tls.pem"))
    with _server() as port, _server(tls) as tls_port:
        yield Sites(
            localhost=f"http://localhost:{port}",
            embedder=f"http://embedder.localhost:{port}",
            switches=(
                f"--host-resolver-rules=MAP *:443 127.0.0.1:{tls_port}",
                f"--ignore-certificate-errors-spki-list={key_hash}",
            ),
        )


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body, content_type = b"<!doctype html><title>passkeycore</title>", "text/html"
        if self.path == "/.well-known/webauthn":
            body, content_type = json.dumps({"origins": [NET]}).encode(), "application/json"
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the output is the test runner's."""


@contextmanager
def _server(tls: ssl.SSLContext | None = None) -> Generator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        if tls is not None:
            # The handshake belongs to the connection's own thread, or one idle connection would stop all others.
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _tls(path: Path) -> tuple[ssl.SSLContext, str]:
    """A context with a new certificate for both domains, and the hash by which Chromium is told to accept it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "passkeycore browser tests")])
    domains = [x509.DNSName(origin.removeprefix("https://")) for origin in (COM, NET)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2044, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName(domains), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return context, base64.b64encode(hashlib.sha256(public).digest()).decode()
