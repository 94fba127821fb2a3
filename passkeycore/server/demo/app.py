"""The page on localhost, and the JSON that its script exchanges with the engine.

What belongs here: the routes, and how each of them uses the engine.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ...engine.passkeys.service import AsyncPasskeyService
from ...engine.records import Passkey
from ...webauthn.encoding import encode_base64url
from ...webauthn.wire import decode_json
from ..edge.http import json_answer
from .http import ERROR_HANDLERS, Shield, read_json_body
from .sessions import Sessions, Visit

Answer: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[AsyncPasskeyService, Visit, bytes], Awaitable[Answer]]

_STATIC: Final = Path(__file__).parent / "static"
_SMALL: Final = 4_096  # bytes: room for the longest credential id with the longest name
_SWEEP_S: Final = 60.0
_LOGGER: Final = logging.getLogger("passkeycore.demo")


def demo_app(passkeys: AsyncPasskeyService, origin: str) -> ASGIApp:
    """The application: the page, its files, and the routes of both tables below.

    Args:
        passkeys: Its Relying Party must know `origin`.
        origin: Where browsers find it, such as ``http://localhost:8000``; requests to other hosts are turned away.
    """
    sessions = Sessions(passkeys.context.now)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        stop = asyncio.Event()
        sweeper = asyncio.create_task(_sweep(passkeys, stop))
        yield
        stop.set()  # rather than to cancel it: what is under way would outlive the connections
        await sweeper

    async def page(request: Request) -> Response:
        return FileResponse(_STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    async def show_account(request: Request) -> Response:
        visit = Visit(sessions, request)
        return _kept(visit, await account(passkeys, visit))

    def changing(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body = await read_json_body(request, origin, passkeys.context.rp.policy.limits.json_bytes)
            visit = Visit(sessions, request)
            return _kept(visit, await handler(passkeys, visit, body))

        return endpoint

    app = Starlette(
        routes=[
            Route("/", page),
            Mount("/static", StaticFiles(directory=_STATIC, packages=[("passkeycore.server.pages", "static")])),
            Route("/api/account", show_account),
            *(
                Route(path, changing(handler), methods=["POST"])
                for table in (WEBAUTHN_ROUTES, ACCOUNT_ROUTES)
                for path, handler in table.items()
            ),
        ],
        exception_handlers=ERROR_HANDLERS,
        lifespan=lifespan,
    )
    return Shield(app, origin)


def _kept(visit: Visit, answer: Answer) -> Response:
    response = json_answer(answer)
    visit.keep(response)
    return response


async def _sweep(passkeys: AsyncPasskeyService, stop: asyncio.Event) -> None:
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SWEEP_S):
                await stop.wait()
        if stop.is_set():
            return
        try:
            await passkeys.remove_expired()
        except Exception:  # whatever the driver raises: it may be gone in a minute
            _LOGGER.warning("expired ceremonies were not removed", exc_info=True)


# --- WebAuthn: what every site with passkeys needs ---


class _SignUp(msgspec.Struct, forbid_unknown_fields=True):
    user_name: str


class _SignIn(msgspec.Struct, forbid_unknown_fields=True):
    autofill: bool = False


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


_SIGN_UP: Final = msgspec.json.Decoder(_SignUp)
_SIGN_IN: Final = msgspec.json.Decoder(_SignIn)
_NOTHING: Final = msgspec.json.Decoder(_Nothing)


async def _start_sign_up(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    user_name = decode_json(_SIGN_UP, body, _SMALL).user_name.strip()
    return (await passkeys.start_registration(user_name=user_name, binding=visit.id)).to_dict()


async def _finish_sign_up(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    done = await passkeys.finish_registration(body, binding=visit.id)
    visit.sign_in(done.user_id)
    return await account(passkeys, visit)


async def _start_sign_in(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    autofill = decode_json(_SIGN_IN, body, _SMALL).autofill
    start = await passkeys.start_authentication(mediation="conditional" if autofill else None, binding=visit.id)
    return start.to_dict()


async def _finish_sign_in(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    done = await passkeys.finish_authentication(body, binding=visit.id)
    visit.sign_in(done.user_id)
    return await account(passkeys, visit)


async def _start_adding(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    decode_json(_NOTHING, body, _SMALL)
    return (await passkeys.start_registration(user_id=visit.owner, binding=visit.id)).to_dict()


async def _finish_adding(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    done = await passkeys.finish_registration(body, user_id=visit.owner, binding=visit.id)
    return await account(passkeys, visit) | {"added": encode_base64url(done.passkey.credential_id)}


WEBAUTHN_ROUTES: Final[Mapping[str, Handler]] = {
    "/webauthn/sign-up/start": _start_sign_up,
    "/webauthn/sign-up/finish": _finish_sign_up,
    "/webauthn/sign-in/start": _start_sign_in,
    "/webauthn/sign-in/finish": _finish_sign_in,
    "/webauthn/passkeys/start": _start_adding,
    "/webauthn/passkeys/finish": _finish_adding,
}


# --- The account: what the page shows, and what its visitor may change ---


class _Rename(msgspec.Struct, forbid_unknown_fields=True):
    credential_id: str
    name: str


class _Remove(msgspec.Struct, forbid_unknown_fields=True):
    credential_id: str


_RENAME: Final = msgspec.json.Decoder(_Rename)
_REMOVE: Final = msgspec.json.Decoder(_Remove)


async def account(passkeys: AsyncPasskeyService, visit: Visit) -> Answer:
    """What the page shows. `signals` has arguments for methods of ``PublicKeyCredential``, by the methods' names."""
    user = None if visit.user_id is None else await passkeys.find_user(visit.user_id)
    if user is None:
        return {"user": None}
    return {
        "user": {"name": user.name},
        "passkeys": [_shown(passkey) for passkey in await passkeys.list_passkeys(user.user_id)],
        "limit": passkeys.context.max_passkeys_per_user,
        "signals": {
            "signalAllAcceptedCredentials": await passkeys.all_accepted_credentials(user.user_id),
            "signalCurrentUserDetails": await passkeys.current_user_details(user.user_id),
        },
    }


def _shown(passkey: Passkey) -> Answer:
    return {
        "id": encode_base64url(passkey.credential_id),
        "name": passkey.name,
        "created_at": passkey.created_at,
        "last_used_at": passkey.last_used_at,
        "backup_eligible": passkey.credential.backup_eligible,
        "backup_state": passkey.credential.backup_state,
        "transports": passkey.credential.transports,
    }


async def _rename(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    asked = decode_json(_RENAME, body, _SMALL)
    await passkeys.rename_passkey(visit.owner, asked.credential_id, asked.name.strip())
    return await account(passkeys, visit)


async def _remove(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    asked = decode_json(_REMOVE, body, _SMALL)
    await passkeys.remove_passkey(visit.owner, asked.credential_id)
    return await account(passkeys, visit)


async def _sign_out(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    decode_json(_NOTHING, body, _SMALL)
    visit.sign_out()
    return {"user": None}


async def _delete_account(passkeys: AsyncPasskeyService, visit: Visit, body: bytes) -> Answer:
    decode_json(_NOTHING, body, _SMALL)
    accepted = await passkeys.all_accepted_credentials(visit.owner)
    await passkeys.remove_user(visit.owner)
    visit.sign_out_everywhere()
    return {"user": None, "signals": {"signalAllAcceptedCredentials": accepted | {"allAcceptedCredentialIds": []}}}


ACCOUNT_ROUTES: Final[Mapping[str, Handler]] = {
    "/api/passkeys/rename": _rename,
    "/api/passkeys/remove": _remove,
    "/api/sign-out": _sign_out,
    "/api/account/delete": _delete_account,
}
