"""QR codes over a WebSocket, as browser SDKs have them by default: the server says when the code was scanned.

The address is the SDK's own rewriting of the base URL: ``/ws-v1-challenge`` beside ``/v1``. A socket carries the
challenges of one caller, whom its subprotocol names. Who that is, and what they may, is looked up again for each
challenge and each look at one: a socket must not outlive a token, a tenant or an origin that is not good any more. The
state of a challenge is looked up as well, so that any process may have had the device's answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Literal

import msgspec
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocket, WebSocketDisconnect

from ...errors import PasskeyError
from ..edge.cors import client_origins
from ..edge.http import describe, refuse, request_id
from ..edge.limits import admit
from .auth import Caller, Dialect, client_info, of_tenant, of_token
from .ceremonies import Begun
from .sockets import OpenSockets, TooManyError
from .waiting import Polled, begin_qr, poll_begun_qr
from .wire import Members, Refused, custom_values, iso, refused

_LOGGER: Final = logging.getLogger("passkeycore.server")
_PROTOCOL: Final = "authsignal-ws"
_TOKEN: Final = "x.authsignal.token."
_TENANT: Final = "x.authsignal.tenant."
_LONGEST: Final = 16_384  # characters of a message
_POLL_S: Final = 1.0
_IDLE_S: Final = 900.0  # without a new challenge: SDKs ask for one every nine minutes
_LIFETIME_S: Final = 3_600.0
_POLICY: Final = 1008  # close code: the client does what it may not
_BUSY: Final = 1013  # close code: try again later
# What is over without a word: the client asks for another by itself. What rules do not take, is refused for its user.
_TOLD: Final = {"claimed": "claimed", "approved": "approved", "rejected": "rejected", "blocked": "rejected"}


class _Data(Members):
    challenge_type: Literal["QR_CODE"]
    action_code: str | None = None
    custom: dict[str, Any] | None = None


class _Create(Members):
    type: Literal["CREATE_CHALLENGE"]
    data: _Data


_CREATE: Final = msgspec.json.Decoder(_Create)


def qr_socket(
    dialect: Dialect,
    *,
    poll_s: float = _POLL_S,
    idle_s: float = _IDLE_S,
    lifetime_s: float = _LIFETIME_S,
    sockets: OpenSockets | None = None,
) -> Callable[[WebSocket], Awaitable[None]]:
    """The endpoint.

    Args:
        dialect: The server.
        poll_s: How often a challenge is looked at, in seconds.
        idle_s, lifetime_s: How long a socket may ask for nothing, and how long it lasts, in seconds.
        sockets: Counts those that are open; None: with the bounds that it has by itself.
    """
    opened = sockets or OpenSockets()

    async def endpoint(socket: WebSocket) -> None:
        caller = await _caller(dialect, socket)
        if caller is None:
            await _refuse(socket, _POLICY, Refused(403, "unauthorized", "Nobody here may open this."))
            return
        address = client_info(dialect, socket).ip_address or ""
        try:
            with opened.one(caller.tenant.tenant_id, address):
                await socket.accept(subprotocol=_PROTOCOL)
                await _Session(socket, dialect, poll_s, idle_s).serve(lifetime_s)
        except TooManyError:
            await _refuse(socket, _BUSY, Refused(429, "too_many_requests", "As many are open as may be."))

    return endpoint


class _Session:
    """An open socket."""

    def __init__(self, socket: WebSocket, dialect: Dialect, poll_s: float, idle_s: float) -> None:
        self._socket = socket
        self._dialect = dialect
        self._client = client_info(dialect, socket)
        self._poll_s = poll_s
        self._idle_s = idle_s
        self._watching: asyncio.Task[None] | None = None

    async def serve(self, lifetime_s: float) -> None:
        """Returns when the socket is closed, by whomever."""
        code = _POLICY
        try:
            async with asyncio.timeout(lifetime_s):
                while await self._create():
                    pass
        except TimeoutError:
            code = 1000
        except WebSocketDisconnect:
            return
        finally:
            self._give_up()
        with suppress(WebSocketDisconnect, RuntimeError):  # the other side was first
            await self._socket.close(code)

    async def _create(self) -> bool:
        """One challenge, as the client asks for it, and the one before is given up; False: it asks for none."""
        async with asyncio.timeout(self._idle_s):
            message = await self._received()
        self._give_up()
        # There is no message for an error in this dialect.
        caller = await _caller(self._dialect, self._socket) if len(message) <= _LONGEST else None
        if caller is None:
            return False
        try:
            asked = _CREATE.decode(message).data
            custom = custom_values(asked.custom or {})
            start, begun = await begin_qr(caller, asked.action_code, custom, self._client)
        except (msgspec.MsgspecError, ValueError, PasskeyError, HTTPException):
            return False
        data = {
            "challengeId": start.challenge_id,
            "challengeType": "QR_CODE",
            "expiresAt": iso(start.challenge.expires_at),
            "state": "unclaimed",
        }
        await self._socket.send_json({"type": "CHALLENGE_CREATED", "data": data})
        self._watching = asyncio.create_task(self._watch(begun))
        self._watching.add_done_callback(self._watched)
        return True

    async def _received(self) -> str:
        """The next message; empty, which is none, for one that is no text.

        Raises:
            WebSocketDisconnect: The other side is gone.
        """
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        return message.get("text") or ""

    async def _watch(self, begun: Begun) -> None:
        """Tells each change of the challenge's state, until it is over."""
        known, has_failed = "pending", False
        while known in ("pending", "claimed"):
            await asyncio.sleep(self._poll_s)
            try:
                polled = await self._look(begun)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises: it may be gone at the next look
                if not has_failed:  # once for each time that it fails, not each second
                    self._log(error)
                has_failed = True
                continue
            has_failed = False
            try:
                if polled is None:
                    await self._socket.close(_POLICY)
                    return
                if polled.state != known:
                    known = polled.state
                    await self._tell(begun.challenge_id, polled)
            except (WebSocketDisconnect, RuntimeError):  # the other side has closed it
                return

    async def _look(self, begun: Begun) -> Polled | None:
        """How far the challenge has come; None: whoever has asked for it may not any more."""
        caller = await _caller(self._dialect, self._socket, counted=False)
        if caller is None:
            return None
        try:
            return await poll_begun_qr(caller.tenant, begun, self._client)
        except PasskeyError:
            return Polled(state="over")

    def _watched(self, watching: asyncio.Task[None]) -> None:
        error = None if watching.cancelled() else watching.exception()
        if error is not None:
            self._log(error)

    def _log(self, error: BaseException) -> None:
        _LOGGER.error("request %s: a QR code was not looked at: %s", request_id(self._socket.scope), describe(error))

    async def _tell(self, challenge_id: str, polled: Polled) -> None:
        if polled.state not in _TOLD:
            return
        data = {"challengeId": challenge_id, "state": _TOLD[polled.state]}
        if polled.met is not None:
            data["accessToken"] = polled.met.token
        await self._socket.send_json({"type": "STATE_CHANGE", "data": data})

    def _give_up(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None


async def _refuse(socket: WebSocket, code: int, error: Refused) -> None:
    """Refuses the handshake, before it is accepted."""
    await refuse(refused(error), socket.scope, socket.receive, socket.send, code=code)


async def _caller(dialect: Dialect, socket: WebSocket, *, counted: bool = True) -> Caller | None:
    """Who calls now, by what the subprotocols name; None: nobody who may, or a page of a foreign origin.

    Args:
        dialect: The server.
        socket: What was offered when it was opened.
        counted: It counts as a request, of which there may be too many.
    """
    offered: list[str] = socket.scope.get("subprotocols", [])
    tokens = [one.removeprefix(_TOKEN) for one in offered if one.startswith(_TOKEN)]
    names = [one.removeprefix(_TENANT) for one in offered if one.startswith(_TENANT)]
    if _PROTOCOL not in offered or len(tokens) + len(names) != 1:
        return None
    origin = socket.headers.get("origin")
    try:
        caller = await (of_token(dialect.tenants, tokens[0]) if tokens else of_tenant(dialect.tenants, names[0]))
        user_id = None if caller.action is None else caller.action.user_id
        if counted:
            await admit(socket, caller.tenant.tenant_id, user_id=user_id)
    except (PasskeyError, HTTPException):
        return None
    return caller if origin is None or origin in client_origins(caller.tenant.settings) else None
