"""How the operator gets in and out: by the operator secret, or by a passkey that was registered once signed in.

Every attempt is in the log, and those that were judged are events of the operators' realm as well, as is every passkey
that is added or removed there, and every session that its operator ends. Events name the address, and the session that
was opened or used. Who adds one shows the operator secret again: a browser that was left alone must not be
worth more than what is left of its session.
"""

import logging
import re
import secrets
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...engine.passkeys.service import AsyncPasskeyService
from ...engine.records import Event, EventFilter, EventType
from ...errors import CeremonyError, PasskeyError, VerificationError
from ...webauthn.encoding import decode_base64url
from ..edge.http import json_answer, request_id
from .auditing import from_where, passkeys_of_operator, passkeys_of_visitor
from .serving import Asked, Row
from .sessions import REALM, Session, end_session, new_session

_LOGGER: Final = logging.getLogger("passkeycore.server.portal")
_BINDING: Final = re.compile("[0-9a-f]{64}")
_BINDING_S: Final = 600
_WRONG: Final = "This is not the operator secret."
_SHOWN: Final = 20  # events of each list
_DONE_WORDS: Final[Mapping[EventType, str]] = {
    EventType.AUTHENTICATION_SUCCEEDED: "signed in",
    EventType.PASSKEY_REGISTERED: "passkey added",
    EventType.PASSKEY_REMOVED: "passkey removed",
    EventType.SESSION_ENDED: "signed out",
}
_REFUSED_WORDS: Final[Mapping[EventType, str]] = {
    EventType.AUTHENTICATION_FAILED: "refused",
    EventType.REGISTRATION_FAILED: "passkey not added",
}
# Two lists, as anybody can fill the second: no number of refusals takes the room of what an operator did.
_LISTS: Final[Mapping[str, Mapping[EventType, str]]] = {"done": _DONE_WORDS, "refused": _REFUSED_WORDS}


async def _show(asked: Asked) -> Response:
    if asked.session is not None:
        return asked.to("/")
    return _form(asked)


async def _by_secret(asked: Asked) -> Response:
    if not await _knows_secret(asked, asked.field("secret")):
        return _form(asked, status=403, wrong=_WRONG)
    session = _new_session(asked)
    await _record(asked, EventType.AUTHENTICATION_SUCCEEDED, session)
    return _signed_in(asked, asked.to("/"), session)


async def _start(asked: Asked) -> Response:
    await asked.portal.wrong_passkeys.check_address(asked.address, count=False)
    binding = secrets.token_hex(32)
    # Discoverable, so that nothing is told of which passkeys the operator has.
    started = await _operators(asked).start_authentication(
        user_id=asked.portal.operator, discoverable=True, binding=binding
    )
    answer = json_answer(started.to_dict())
    asked.portal.set_cookie(answer, "portal-sign-in", binding, max_age_s=_BINDING_S)
    return answer


async def _finish(asked: Asked) -> Response:
    await asked.portal.wrong_passkeys.check_address(asked.address, count=False)
    binding = asked.request.cookies.get(asked.portal.cookie("portal-sign-in"), "")
    if not _BINDING.fullmatch(binding):
        raise HTTPException(403, "That took too long. Please try again.")
    session = _new_session(asked)
    operators = passkeys_of_visitor(_operators(asked), session, asked.address)
    try:
        # By name: under a former operator secret it was another operator for whom the ceremony was begun.
        done = await operators.finish_authentication(asked.body, user_id=asked.portal.operator, binding=binding)
    except PasskeyError as error:
        _log(asked, "passkey", f"refused ({error.code.value})")
        await asked.portal.wrong_passkeys.check_address(asked.address, count=True)
        if isinstance(error, (VerificationError, CeremonyError)):
            raise HTTPException(403, "This passkey does not open the portal. Please try again.") from None
        raise
    answer = json_answer({"next": asked.link("/")})
    asked.portal.set_cookie(answer, "portal-sign-in", "")
    return _signed_in(asked, answer, msgspec.structs.replace(session, credential_id=done.passkey.credential_id))


async def _sign_out(asked: Asked) -> Response:
    portal, session = asked.portal, _session(asked)
    event = _event(asked, EventType.SESSION_ENDED, session)
    await end_session(portal.tenants.storage.repository, session, portal.tenants.now(), portal.context.stored(event))
    _log(asked, "the operator", "signed out")
    answer = asked.to("/sign-in", done="signed-out")
    portal.set_cookie(answer, "portal", "")
    return answer


async def _access(asked: Asked) -> Response:
    portal = asked.portal
    given = {f"{name}_from": asked.query.get(f"{name}_from", "") for name in _LISTS}
    shown = {name: await _shown(asked, name, given) for name in _LISTS}
    return asked.page(
        "access.html",
        tab="access",
        passkeys=() if portal.operators is None else await portal.operators.list_passkeys(portal.operator),
        can_add=portal.operators is not None,
        shown=shown,
        done=asked.query.get("done", ""),
    )


async def _shown(asked: Asked, name: str, given: Mapping[str, str]) -> tuple[list[tuple[Event, str]], str | None]:
    """The events of a list in words, and where older ones are; None: there are none. `given` is where each begins."""
    words, place = _LISTS[name], f"{name}_from"
    page = await asked.portal.tenants.storage.repository.list_events(
        REALM, EventFilter(types=tuple(words)), given[place] or None, _SHOWN
    )
    older = None
    if page.next_cursor is not None:
        kept = {each: cursor for each, cursor in given.items() if cursor}
        older = asked.link("/access", **{**kept, place: page.next_cursor})
    return [(event, words[event.type]) for event in page.events], older


async def _start_adding(asked: Asked) -> Response:
    operators = _operators(asked)
    if not await _knows_secret(asked, _secret_in(asked.body)):
        raise HTTPException(403, _WRONG)
    started = await operators.start_registration(
        user_id=asked.portal.operator, user_name="Operator", binding=_session(asked).id
    )
    return json_answer(started.to_dict())


async def _finish_adding(asked: Asked) -> Response:
    operators, session = _operators(asked), _session(asked)
    await passkeys_of_operator(operators, session, asked.address).finish_registration(
        asked.body, user_id=asked.portal.operator, binding=session.id
    )
    _log(asked, "passkey", "registered")
    return json_answer({"next": asked.link("/access", done="added")})


async def _remove(asked: Asked) -> Response:
    operators = passkeys_of_operator(_operators(asked), _session(asked), asked.address)
    await operators.remove_passkey(asked.portal.operator, decode_base64url(asked.field("id"), "id"))
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


async def _knows_secret(asked: Asked, shown: str) -> bool:
    """Whether this is the operator secret. What is not, is counted, logged and an event.

    Raises:
        HTTPException: 429: too many were not, from this address.
    """
    portal = asked.portal
    await portal.wrong_secrets.check_address(asked.address, count=False)
    # Digests, as a comparison of texts of different lengths tells the length.
    digest, wanted = sha256(shown.encode("utf-8", "surrogatepass")).digest(), sha256(portal.secret).digest()
    if compare_digest(digest, wanted):
        return True
    _log(asked, "secret", "refused")
    await portal.wrong_secrets.check_address(asked.address, count=True)
    await _record(asked, EventType.AUTHENTICATION_FAILED, asked.session)
    return False


def _secret_in(body: bytes) -> str:
    """What a script shows as the secret.

    Raises:
        HTTPException: 400: nothing.
    """
    try:
        return msgspec.json.decode(body, type=_Shown).secret
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise HTTPException(400, "The operator secret is needed.") from None


class _Shown(msgspec.Struct, frozen=True):
    secret: str


async def _record(asked: Asked, kind: EventType, session: Session | None) -> None:
    await asked.portal.context.record(_event(asked, kind, session, purpose="secret"))


def _event(asked: Asked, kind: EventType, session: Session | None, **details: str) -> Event | None:
    audit = {} if session is None else session.audit
    known = {**details, **from_where(asked.address), **audit}
    return asked.portal.context.event(kind, user_id=asked.portal.operator, credential_id=None, code=None, **known)


def _new_session(asked: Asked) -> Session:
    """A session that nobody has yet; its events are made before its cookie is."""
    return new_session(secrets.token_bytes(32), asked.portal.stamp, None, asked.portal.tenants.now())


def _signed_in(asked: Asked, answer: Response, session: Session) -> Response:
    _log(asked, "secret" if session.credential_id is None else "passkey", "signed in")
    return asked.portal.keep(answer, session)


def _operators(asked: Asked) -> AsyncPasskeyService:
    if asked.portal.operators is None:
        raise HTTPException(404, "There are no passkeys at this address.")
    return asked.portal.operators


def _session(asked: Asked) -> Session:
    if asked.session is None:
        raise HTTPException(401, "Your session has ended. Please sign in again.")
    return asked.session


def _log(asked: Asked, how: str, what: str) -> None:
    # At the level that every set-up of logs shows: who gets in here can change everything.
    _LOGGER.warning("portal: %s by %s from %s, request %s", what, how, asked.address, request_id(asked.request.scope))
