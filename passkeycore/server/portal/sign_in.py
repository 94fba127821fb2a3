"""How the operator gets in and out: by the operator secret, or by a passkey that was registered once signed in.

Every attempt is in the log, those that were good among the events of the operators' realm as well.
"""

import logging
import re
import secrets
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...engine.passkeys.service import AsyncPasskeyService
from ...engine.records import EventFilter, EventType
from ...errors import CeremonyError, PasskeyError, VerificationError
from ...webauthn.encoding import decode_base64url
from ..http import json_answer, request_id
from .serving import OPERATOR, Asked, Row
from .sessions import end_session, new_session

_LOGGER: Final = logging.getLogger("passkeycore.server.portal")
_BINDING: Final = re.compile("[0-9a-f]{64}")
_BINDING_S: Final = 600
_WRONG: Final = "This is not the operator secret."
_SHOWN: Final = 10  # sign-ins
_SHOWN_FOR: Final = timedelta(days=30)


async def _show(asked: Asked) -> Response:
    if asked.session is not None:
        return asked.to("/")
    return _form(asked)


async def _by_secret(asked: Asked) -> Response:
    await _admit(asked)
    # Digests, as a comparison of texts of different lengths tells the length.
    shown, wanted = sha256(asked.form.get("secret", "").encode()).digest(), sha256(asked.portal.secret).digest()
    if not compare_digest(shown, wanted):
        _log(asked, "secret", "refused")
        return _form(asked, status=403, wrong=_WRONG)
    context = None if asked.portal.operators is None else asked.portal.operators.context
    if context is not None:
        await context.record(context.event(EventType.AUTHENTICATION_SUCCEEDED, user_id=OPERATOR, purpose="secret"))
    return _signed_in(asked, asked.to("/"), None)


async def _start(asked: Asked) -> Response:
    await _admit(asked)
    binding = secrets.token_hex(32)
    # Discoverable, so that nothing is told of which passkeys the operator has.
    started = await _operators(asked).start_authentication(user_id=OPERATOR, discoverable=True, binding=binding)
    answer = json_answer(started.to_dict())
    asked.portal.set_cookie(answer, "portal-sign-in", binding, max_age_s=_BINDING_S)
    return answer


async def _finish(asked: Asked) -> Response:
    await _admit(asked)
    binding = asked.request.cookies.get(asked.portal.cookie("portal-sign-in"), "")
    if not _BINDING.fullmatch(binding):
        raise HTTPException(403, "That took too long. Please try again.")
    try:
        done = await _operators(asked).finish_authentication(asked.body, binding=binding)
    except PasskeyError as error:
        _log(asked, "passkey", f"refused ({error.code.value})")
        if isinstance(error, (VerificationError, CeremonyError)):
            raise HTTPException(403, "This passkey does not open the portal. Please try again.") from None
        raise
    answer = json_answer({"next": asked.link("/")})
    asked.portal.set_cookie(answer, "portal-sign-in", "")
    return _signed_in(asked, answer, done.passkey.credential_id)


async def _sign_out(asked: Asked) -> Response:
    if asked.session is not None:
        await end_session(asked.portal.tenants.storage.repository, asked.session, asked.portal.tenants.now())
    answer = asked.to("/sign-in", done="signed-out")
    asked.portal.set_cookie(answer, "portal", "")
    return answer


async def _access(asked: Asked) -> Response:
    operators = asked.portal.operators
    if operators is None:
        return asked.page("access.html", tab="access", passkeys=(), can_add=False, sign_ins=(), done="")
    since = asked.portal.tenants.now() - _SHOWN_FOR
    types = (EventType.AUTHENTICATION_SUCCEEDED, EventType.AUTHENTICATION_FAILED)
    seen = await operators.list_events(EventFilter(types=types, since=since), limit=_SHOWN)
    return asked.page(
        "access.html",
        tab="access",
        passkeys=await operators.list_passkeys(OPERATOR),
        can_add=True,
        sign_ins=seen.events,
        done=asked.query.get("done", ""),
    )


async def _start_adding(asked: Asked) -> Response:
    started = await _operators(asked).start_registration(
        user_id=OPERATOR, user_name="Operator", binding=_own_binding(asked)
    )
    return json_answer(started.to_dict())


async def _finish_adding(asked: Asked) -> Response:
    operators = _operators(asked)
    await operators.finish_registration(asked.body, user_id=OPERATOR, binding=_own_binding(asked))
    _log(asked, "passkey", "registered")
    return json_answer({"next": asked.link("/access", done="added")})


async def _remove(asked: Asked) -> Response:
    await _operators(asked).remove_passkey(OPERATOR, decode_base64url(asked.form.get("id", ""), "id"))
    _log(asked, "passkey", "removed")
    return asked.to("/access", done="removed")


ROWS: Final = (
    Row("GET", "/sign-in", _show, who="anybody"),
    Row("POST", "/sign-in", _by_secret, who="anybody"),
    Row("POST", "/sign-in/passkey/start", _start, who="anybody", sends="json"),
    Row("POST", "/sign-in/passkey/finish", _finish, who="anybody", sends="json"),
    Row("POST", "/sign-out", _sign_out),
    Row("GET", "/access", _access),
    Row("POST", "/access/passkey/start", _start_adding, sends="json"),
    Row("POST", "/access/passkey/finish", _finish_adding, sends="json"),
    Row("POST", "/access/remove", _remove),
)
"""Pages and forms of this module."""


def _form(asked: Asked, *, status: int = 200, wrong: str = "") -> Response:
    has_passkeys = asked.portal.operators is not None
    done = asked.query.get("done", "")
    return asked.page("sign-in.html", status=status, wrong=wrong, has_passkeys=has_passkeys, done=done)


async def _admit(asked: Asked) -> None:
    """Counts an attempt. Before anything is compared."""
    await asked.portal.attempts.check_address(asked.address, count=True)


def _signed_in(asked: Asked, answer: Response, credential_id: bytes | None) -> Response:
    portal = asked.portal
    _log(asked, "secret" if credential_id is None else "passkey", "signed in")
    session = new_session(secrets.token_bytes(32), portal.stamp, credential_id, portal.tenants.now())
    return portal.keep(answer, session)


def _operators(asked: Asked) -> AsyncPasskeyService:
    if asked.portal.operators is None:
        raise HTTPException(404, "There are no passkeys at this address.")
    return asked.portal.operators


def _own_binding(asked: Asked) -> str:
    if asked.session is None:
        raise HTTPException(401, "Your session has ended. Please sign in again.")
    return asked.session.id


def _log(asked: Asked, how: str, what: str) -> None:
    # At the level that every set-up of logs shows: who gets in here can change everything.
    _LOGGER.warning("portal: %s by %s from %s, request %s", what, how, asked.address, request_id(asked.request.scope))
