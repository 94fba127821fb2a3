"""Passkeys on hosted pages: meeting a challenge, signing in, and making a new one."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...actions.states import ActionState
from ...engine.actions.challenges import MetChallenge
from ...errors import Code, CredentialNotFound, TokenError, UnsupportedError
from ...webauthn.wire import decode_json
from ..forgetting import may_forget
from ..handles import as_its_owners
from .leaving import Ending
from .opened import Opened
from .views import goes_on
from .visits import Visit

_SMALL: Final = 1_024  # bytes


class _Start(msgspec.Struct, forbid_unknown_fields=True):
    autofill: bool = False


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


_START: Final = msgspec.json.Decoder(_Start)
_NOTHING: Final = msgspec.json.Decoder(_Nothing)


async def start_passkey(visit: Visit, body: bytes) -> Mapping[str, Any]:
    """Options for the browser: to meet the action's challenge, or for whoever has a passkey here."""
    asked = decode_json(_START, body, _SMALL)
    opened, actions = _opened(visit), visit.tenant.actions
    if opened.token is not None:
        start = await actions.start_passkey_challenge(
            opened.token, extra_origin=visit.extra_origin, top_origins=visit.top_origins
        )
        return start.to_dict()
    if not visit.signs_in:
        raise UnsupportedError(Code.METHOD_NOT_ALLOWED, "the tenant's passkeys are a second factor")
    start = await actions.start_passkey_sign_in(
        opened.word,
        binding=opened.binding,
        mediation="conditional" if asked.autofill else None,
        extra_origin=visit.extra_origin,
        top_origins=visit.top_origins,
    )
    return start.to_dict()


async def finish_passkey(visit: Visit, body: bytes) -> Ending:
    """Where the page leads, now that a passkey has proved who is there. `body` is the browser's credential."""
    opened, actions = visit.opened, visit.tenant.actions
    credential = await as_its_owners(visit.tenant.passkeys, body)
    if opened.token is not None:
        return after(visit, await actions.finish_passkey_challenge(opened.token, credential))
    try:
        met = await actions.finish_passkey_sign_in(opened.word, credential, binding=opened.binding, client=visit.client)
    except CredentialNotFound as error:
        server, signal = visit.server, error.signal
        if signal is not None and not await may_forget(
            server.tenants, server.settings, visit.tenant, signal["credentialId"]
        ):
            raise CredentialNotFound("another realm of the server knows it", path=error.path) from None
        raise
    return visit.ending(met.token)


async def start_enrolment(visit: Visit, body: bytes) -> Mapping[str, Any]:
    """Options for a new passkey of the user's."""
    decode_json(_NOTHING, body, _SMALL)
    token = _may_add(visit)
    user_name, display_name = await _names(visit)
    start = await visit.tenant.actions.start_passkey_enrolment(
        token,
        user_name=user_name,
        user_display_name=display_name,
        extra_origin=visit.extra_origin,
        top_origins=visit.top_origins,
    )
    return start.to_dict()


async def finish_enrolment(visit: Visit, body: bytes) -> Mapping[str, Any]:
    """Where the page leads, now that there is a passkey, which meets no challenge by being made."""
    token = _may_add(visit)
    _, _, action = visit.tracked
    await visit.tenant.actions.finish_passkey_enrolment(token, body)
    signals = {"signalAllAcceptedCredentials": await visit.tenant.passkeys.all_accepted_credentials(action.user_id)}
    ending = visit.ending(token)
    if action.state is ActionState.CHALLENGE_REQUIRED:  # of somebody who had nothing to meet it with
        ending = Ending(page=visit.address(token, enrolment=False))
    return {"ending": ending, "signals": signals}


def after(visit: Visit, met: MetChallenge) -> Ending:
    """Where the page leads after a challenge was met: to the next one, or to its end."""
    if goes_on(visit.opened, met.action, visit.enrolled, passkeys=visit.takes_passkeys):
        return Ending(page=visit.page_after(met))
    return visit.ending(met.token)


def _may_add(visit: Visit) -> str:
    """The token that enrols. The page is stricter than the engine: a challenge comes before a further passkey.

    Raises:
        TokenError: `scope_missing`; as `Visit.tracked`. UnsupportedError: As `_opened`.
    """
    token, _, _ = visit.tracked
    _opened(visit)
    if not visit.rights.add:
        raise TokenError(Code.SCOPE_MISSING, "the challenge has to be met first")
    return token


def _opened(visit: Visit) -> Opened:
    """The page, where the tenant's passkeys work.

    Raises:
        UnsupportedError: `method_not_allowed`: no browser would let it use them.
    """
    if not visit.takes_passkeys:
        raise UnsupportedError(Code.METHOD_NOT_ALLOWED, "the pages are not within the tenant's RP ID")
    return visit.opened


async def _names(visit: Visit) -> tuple[str | None, str]:
    """What the passkey is shown with: as the application says, as the engine knows, or else the user's id."""
    _, _, action = visit.tracked
    tenant = visit.tenant
    profile = await tenant.repository.find_profile(tenant.tenant_id, action.user_id)
    said = None if profile is None else profile.username or profile.email or profile.phone_number
    display_name = "" if profile is None or profile.display_name is None else profile.display_name
    if said is None and await tenant.passkeys.find_user(action.user_id) is None:
        said = action.user_id
    return said, display_name
