"""HTTP/1 of ``passkeycore serve``: uvicorn's protocol with the bounds that it does not have.

How long a request's head may take and how large it may be, how long a client may take to read its answer, how many
connections there are, and what is told to a client that does not speak HTTP: once the head of its request is known, in
the form of the room that it asks for; before, in JSON as our own API tells errors, as nobody knows yet which dialect
the client would have spoken.

It is built on h11, the stricter of the two parsers that uvicorn knows. The other one, httptools, loses the body of a
request that offers HTTP/2 beside it (``Upgrade: h2c``), as Java's client does where there is no TLS.

What it does not do: to share connections out among addresses is for a proxy in front. And once the head of a request
was good, the room that it asks for answers it, except where the body then turns out to be no HTTP: that is told here,
in that room's words but without what the application around it adds, and a body that breaks off after the answer has
begun just ends the connection.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar, Final, cast

from starlette.exceptions import HTTPException
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ..edge.http import HEADERS
from ..rooms import refused

HEAD_S: Final = 10.0
"""How long the head of a request may take, in seconds: from the connection on, later from its first byte on."""

HEAD_BYTES: Final = 16_384
"""The longest head of a request, in bytes: more than browsers send with all the cookies that they keep for a host."""

READING_S: Final = 30.0
"""For how long a client may read nothing of what it is sent, in seconds."""

CONNECTIONS: Final = 900
"""How many there are of each process; the usual limit of open files is 1024, and the database needs some."""

_END: Final = b"\r\n\r\n"
_MESSAGES: Final[Mapping[int, str]] = {
    400: "This is no HTTP request.",
    408: "The request did not come in time.",
    431: "The head of the request is too long.",
    503: "There are too many connections. Please try again later.",
}


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol over h11, with bounds."""

    base_path: ClassVar[str] = ""
    """Below which the rooms are; empty: at the root of the host."""

    _head_timer: asyncio.TimerHandle | None = None
    _reading_timer: asyncio.TimerHandle | None = None
    _head_bytes: int = 0
    _tail: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait for a request, where there are not too many connections."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.transport.set_write_buffer_limits(high=0)  # so that whatever waits is known to wait
        if len(self.connections) > CONNECTIONS:
            self._refuse(503)
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops waiting."""
        self._stop(head=True, reading=True)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hands on what came, as far as it is not too much."""
        if self.transport.is_closing():
            return
        under_way = self._is_under_way()
        if not under_way and self._is_head_too_long(data):
            self._refuse(431)
            return
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # it has become a WebSocket
            self._stop(head=True, reading=True)
        elif self._is_under_way():
            self._head_bytes, self._tail = 0, b""
            self._stop(head=True)
            if under_way and (cycle := self._request) is not None and not cycle.more_body:
                self.flow.pause_reading()  # the next request waits where it is, rather than in our memory
        elif self._head_timer is None:
            self._await_head()

    def pause_writing(self) -> None:
        """The client does not read; it has some time to begin."""
        super().pause_writing()
        if self._reading_timer is None:
            self._reading_timer = self.loop.call_later(READING_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read all of it."""
        self._stop(reading=True)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._refuse(400)

    @property
    def _request(self) -> RequestResponseCycle | None:
        """What uvicorn keeps of the request; None: there was none yet, whatever its annotation says."""
        return cast("RequestResponseCycle | None", self.cycle)

    def _is_under_way(self) -> bool:
        return (cycle := self._request) is not None and not cycle.response_complete

    def _is_head_too_long(self, data: bytes) -> bool:
        known = self._tail + data
        end = known.find(_END)
        self._head_bytes += len(data) if end < 0 else max(end - len(self._tail), 0)
        self._tail = known[-(len(_END) - 1) :]
        return self._head_bytes > HEAD_BYTES

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_S, self._refuse, 408)

    def _stop(self, *, head: bool = False, reading: bool = False) -> None:
        if head and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if reading and self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def _refuse(self, status: int) -> None:
        """Tells it where nothing else was told yet, and hangs up."""
        self._stop(head=True)
        if self.transport.is_closing():
            return
        cycle = self._request
        error = HTTPException(status, _MESSAGES[status])
        if cycle is None or cycle.response_complete:
            self.transport.write(_written(refused("", error)))
        elif not cycle.response_started:
            path, base = cycle.scope["path"], self.base_path
            within = path.removeprefix(base) if path.startswith(f"{base}/") else ""
            self.transport.write(_written(refused(within, error, base)))
        self.transport.close()


def below(base_path: str) -> type[BoundedProtocol]:
    """The protocol of a server whose rooms are below this path, as in ``base_url``; empty: at the root of its host."""
    return type(BoundedProtocol.__name__, (BoundedProtocol,), {"base_path": base_path})


def _written(told: Response) -> bytes:
    for name, value in HEADERS.items():
        told.headers.setdefault(name, value)  # pages bring some of their own
    told.headers["Connection"] = "close"
    status = HTTPStatus(told.status_code)
    head = b"".join(b"%b: %b\r\n" % header for header in told.raw_headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, status.phrase.encode(), head, bytes(told.body))
