"""QR codes over a WebSocket, as browser SDKs have them by default: the server says when the code was scanned.

The address is the SDK's own rewriting of the base URL: ``/ws-v1-challenge`` beside ``/v1``. A socket carries the
challenges of one caller, whom its subprotocol names; the state of a challenge is looked up, so that any process may
have had the device's answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Literal

import msgspec
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocket, WebSocketDisconnect

from ...engine.actions.tracking import ClientInfo
from ...errors import PasskeyError
from ..cors import client_origins
from ..limits import admit
from .auth import Caller, Dialect, client_info, of_tenant, of_token
from .ceremonies import Begun
from .waiting import Polled, begin_qr, poll_begun_qr
from .wire import Members, custom_values, iso

_PROTOCOL: Final = "authsignal-ws"
_TOKEN: Final = "x.authsignal.token."
_TENANT: Final = "x.authsignal.tenant."
_LONGEST: Final = 16_384  # characters of a message
_MOST_CHALLENGES: Final = 64  # of one socket: a page that stays open for a night shows as many codes
_POLL_S: Final = 1.0
_LIFETIME_S: Final = 12 * 3600.0
_POLICY: Final = 1008  # close code: the client does what it may not


class _Data(Members):
    challenge_type: Literal["QR_CODE"]
    action_code: str | None = None
    custom: dict[str, Any] | None = None


class _Create(Members):
    type: Literal["CREATE_CHALLENGE"]
    data: _Data


_CREATE: Final = msgspec.json.Decoder(_Create)


def qr_socket(dialect: Dialect, *, poll_s: float = _POLL_S) -> Callable[[WebSocket], Awaitable[None]]:
    """The endpoint.

    Args:
        dialect: The server.
        poll_s: How often a challenge is looked at, in seconds.
    """

    async def endpoint(socket: WebSocket) -> None:
        caller = await _caller(dialect, socket)
        if caller is None:
            await socket.close(_POLICY)  # before it is accepted, which a browser sees as a refusal
            return
        await socket.accept(subprotocol=_PROTOCOL)
        client = client_info(dialect, socket)
        with suppress(WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(_LIFETIME_S):
                await _serve(socket, dialect, caller, client, poll_s)
                return
        with suppress(RuntimeError):  # the other side has closed it
            await socket.close()

    return endpoint


async def _serve(socket: WebSocket, dialect: Dialect, caller: Caller, client: ClientInfo, poll_s: float) -> None:
    """One challenge after the other, as the client asks for them; the one before is given up."""
    watching: asyncio.Task[None] | None = None
    try:
        for _ in range(_MOST_CHALLENGES):
            message = await _received(socket)
            if watching is not None:
                watching.cancel()
            try:
                if len(message) > _LONGEST:
                    break
                asked = _CREATE.decode(message).data
                custom_values(asked.custom or {})
                start, begun = await begin_qr(caller, asked.action_code or dialect.default_action, client)
            except (msgspec.MsgspecError, ValueError, PasskeyError):
                break  # there is no message for an error in this dialect
            data = {
                "challengeId": start.challenge_id,
                "challengeType": "QR_CODE",
                "expiresAt": iso(start.challenge.expires_at),
                "state": "unclaimed",
            }
            await socket.send_json({"type": "CHALLENGE_CREATED", "data": data})
            watching = asyncio.create_task(_watch(socket, caller, begun, client, poll_s))
        await socket.close(_POLICY)
    finally:
        if watching is not None:
            watching.cancel()


async def _received(socket: WebSocket) -> str:
    """The next message; empty, which is none, for one that is no text.

    Raises:
        WebSocketDisconnect: There is none any more.
    """
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return message.get("text") or ""


async def _watch(socket: WebSocket, caller: Caller, begun: Begun, client: ClientInfo, poll_s: float) -> None:
    """Tells each change of the challenge's state, until it is over."""
    known = "pending"
    while known in ("pending", "claimed"):
        await asyncio.sleep(poll_s)
        try:
            polled = await poll_begun_qr(caller.tenant, begun, client)
        except PasskeyError:
            polled = Polled(state="over")
        if polled.state != known:
            known = polled.state
            # What has expired is over without a word: the client asks for another by itself.
            if known != "over":
                with suppress(WebSocketDisconnect, RuntimeError):  # the other side has closed it
                    await _tell(socket, begun.challenge_id, polled)


async def _tell(socket: WebSocket, challenge_id: str, polled: Polled) -> None:
    data = {"challengeId": challenge_id, "state": polled.state}
    if polled.met is not None:
        data["accessToken"] = polled.met.token
    await socket.send_json({"type": "STATE_CHANGE", "data": data})


async def _caller(dialect: Dialect, socket: WebSocket) -> Caller | None:
    """Who calls, by what the subprotocols name; None: nobody who may, or a page of a foreign origin."""
    offered: list[str] = socket.scope.get("subprotocols", [])
    tokens = [one.removeprefix(_TOKEN) for one in offered if one.startswith(_TOKEN)]
    names = [one.removeprefix(_TENANT) for one in offered if one.startswith(_TENANT)]
    if _PROTOCOL not in offered or len(tokens) + len(names) != 1:
        return None
    origin = socket.headers.get("origin")
    try:
        caller = await (of_token(dialect.tenants, tokens[0]) if tokens else of_tenant(dialect.tenants, names[0]))
        user_id = None if caller.action is None else caller.action.user_id
        await admit(socket, caller.tenant.tenant_id, user_id=user_id)
    except (PasskeyError, HTTPException):
        return None
    return caller if origin is None or origin in client_origins(caller.tenant.settings) else None
