"""Enrolling passkeys and devices with the token of an action: it binds them to that action's user, and nobody else.

A user's first authenticator takes any token of theirs. Every further one takes more: an action that was tracked with
the scope ``add:authenticators``, for a user who is signed in, or one whose challenge has just been met.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from ...actions.states import ActionState
from ...devices import DeviceMethod
from ...errors import Code, LimitReached, TokenError
from ...webauthn.options import Conveyance
from ..devices import credentials
from ..devices.credentials import AppAttestation, derived_id, ensure_user
from ..devices.records import DeviceCredential
from ..passkeys import management, registration
from ..passkeys.context import Context as PasskeyContext
from ..passkeys.registration import Registration, StartedRegistration
from ..passkeys.steps import Body
from .challenges import devices_of, passkeys_of
from .context import ActionContext
from .records import Action
from .steps import purpose_of, shown, wrong_state
from .tracking import ADD_AUTHENTICATORS, check_authenticator

_REFUSED: Final = frozenset(
    {
        ActionState.BLOCK,
        ActionState.CHALLENGE_FAILED,
        ActionState.REVIEW_REQUIRED,
        ActionState.REVIEW_FAILED,
    }
)
_PURPOSE: Final = "passkeycore/enrolment "


async def start_passkey_enrolment(
    context: ActionContext,
    token: str,
    *,
    user_name: str | None = None,
    user_display_name: str = "",
    passkey_name: str | None = None,
    mediation: Literal["conditional"] | None = None,
    authenticator_attachment: Literal["platform", "cross-platform"] | None = None,
    hints: Sequence[str] = (),
    attestation: Conveyance | None = None,
    extra_origin: str | None = None,
    timeout_ms: int | None = None,
) -> StartedRegistration:
    """Options for the client, for a new passkey of the user whose action it is.

    Args:
        token: Of the action, from `track` with the scope ``add:authenticators``, or of its success.
        user_name, user_display_name, passkey_name, mediation, authenticator_attachment, hints, attestation,
            extra_origin, timeout_ms: As in `PasskeyService.start_registration`.

    Raises:
        TokenError: `token_invalid`: as `validate_challenge` has it, too; `token_expired`; `scope_missing`: the user has
            an authenticator already, and the token does not let its holder add one.
        ActionError: `action_state`: the action was blocked, has failed, or waits for a review.
        PasskeyError: As `PasskeyService.start_registration`.
    """
    action, is_first = await _authorised(context, token)
    return await registration.start_registration(
        _passkeys(context, is_first),
        user_id=action.user_id,
        user_name=user_name,
        user_display_name=user_display_name,
        passkey_name=passkey_name,
        mediation=mediation,
        authenticator_attachment=authenticator_attachment,
        hints=hints,
        attestation=attestation,
        extra_origin=extra_origin,
        timeout_ms=timeout_ms,
        binding=token,
        purpose=_PURPOSE + purpose_of(action),
    )


async def finish_passkey_enrolment(
    context: ActionContext, token: str, body: Body, *, sealed_state: str | None = None
) -> Registration:
    """The passkey, stored for the user whose action it is. The ceremony is spent whatever happens, but for a bad token.

    Args:
        token: The same as at the start.
        body, sealed_state: As in `PasskeyService.finish_registration`.

    Raises:
        TokenError, ActionError: As `start_passkey_enrolment`: what the user has enrolled meanwhile counts.
        PasskeyError: As `PasskeyService.finish_registration`.
    """
    action, is_first = await _authorised(context, token)
    passkeys = _passkeys(context, is_first)
    try:
        done = await registration.finish_registration(
            passkeys,
            body,
            user_id=action.user_id,
            binding=token,
            purpose=_PURPOSE + purpose_of(action),
            sealed_state=sealed_state,
        )
    except LimitReached:
        if is_first and passkeys_of(context).max_passkeys_per_user > 1:
            raise _no_scope() from None
        raise
    if is_first and await _has_devices(context, action.user_id):
        # Another kind was enrolled in the same moment. Neither was the first, for all that anybody can tell.
        await management.remove_passkey(passkeys, action.user_id, done.passkey.credential_id)
        raise _no_scope()
    return done


async def enrol_device(
    context: ActionContext,
    token: str,
    *,
    method: DeviceMethod,
    public_key: bytes,
    signature: bytes | None,
    name: str,
    platform: str,
    user_name: str | None = None,
    user_display_name: str = "",
    push_token: str | None = None,
    user_authentication_required: bool = False,
    expires_at: datetime | None = None,
    app_attestation: AppAttestation | None = None,
) -> DeviceCredential:
    """The device, enrolled for the user whose action it is. A token enrols one device for each method.

    Args:
        token: As in `start_passkey_enrolment`. The device signs it.
        user_name, user_display_name: As in `PasskeyService.start_registration`.
        method, public_key, signature, name, platform, push_token, user_authentication_required, expires_at,
            app_attestation: As in `DeviceService.enrol_device`.

    Raises:
        TokenError, ActionError: As `start_passkey_enrolment`.
        PasskeyError: As `DeviceService.enrol_device`.
    """
    action, is_first = await _authorised(context, token)
    devices = devices_of(context)
    device = credentials.judged_device(
        devices,
        user_id=action.user_id,
        authenticator_id=derived_id(token, method),
        token=token,
        method=method,
        public_key=public_key,
        signature=signature,
        name=name,
        platform=platform,
        push_token=push_token,
        user_authentication_required=user_authentication_required,
        expires_at=expires_at,
        app_attestation=app_attestation,
    )
    await ensure_user(devices, action.user_id, user_name, user_display_name)
    try:
        limit = 1 if is_first else devices.max_devices_per_user
        spent_until = device.created_at + context.lifetime
        await credentials.store_device(devices, device, limit, derived_id(token, method), spent_until)
    except LimitReached:
        if is_first and devices.max_devices_per_user > 1:
            raise _no_scope() from None
        raise
    if is_first and await _has_passkeys(context, action.user_id):
        await credentials.remove_device(devices, action.user_id, device.authenticator_id)  # see above
        raise _no_scope()
    return device


async def _authorised(context: ActionContext, token: str) -> tuple[Action, bool]:
    """The token's action, and whether its holder may enrol a first authenticator only.

    Raises:
        TokenError, ActionError: It may enrol none.
    """
    kind, action = await shown(context, token)
    if action.state in _REFUSED:
        raise wrong_state(action, "nothing is enrolled with it")
    if kind == "success":
        await check_authenticator(context, action)  # or who stole a passkey adds another after it was removed
        return action, False
    if ADD_AUTHENTICATORS in action.scope:
        return action, False
    if await _has_passkeys(context, action.user_id) or await _has_devices(context, action.user_id):
        raise _no_scope()
    return action, True


async def _has_passkeys(context: ActionContext, user_id: str) -> bool:
    account = await context.users.find_account(context.realm, user_id)
    return account is not None and bool(account.passkeys)


async def _has_devices(context: ActionContext, user_id: str) -> bool:
    devices = context.devices
    return devices is not None and bool(await devices.repository.list_devices(context.realm, user_id))


def _passkeys(context: ActionContext, is_first: bool) -> PasskeyContext:
    """As the passkeys' service has it; for a first authenticator, storage itself sees to it that it is the first."""
    passkeys = passkeys_of(context)
    return msgspec.structs.replace(passkeys, max_passkeys_per_user=1) if is_first else passkeys


def _no_scope() -> TokenError:
    return TokenError(Code.SCOPE_MISSING, "the user has an authenticator already: the token has to allow another")
