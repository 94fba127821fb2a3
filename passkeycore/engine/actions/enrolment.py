"""Enrolling passkeys and devices with the token of an action: it binds them to that action's user, and nobody else.

A user's first authenticator takes any token of theirs. Every further one takes more: an action that was tracked with
the scope ``add:authenticators``, for a user who is signed in, or one whose challenge has just been met.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from ...actions.states import ActionState, Method
from ...devices import DEVICE_METHODS, DeviceMethod
from ...errors import Code, LimitReached, TokenError
from ...webauthn.options import Conveyance
from ..checks import OwnPurpose
from ..devices.app_attest import AppAttestation
from ..devices.credentials import remove_device
from ..devices.enrolment import derived_id, found_or_new_user, judged_device, store_device
from ..devices.records import DeviceCredential
from ..passkeys import management, registration
from ..passkeys.context import Context as PasskeyContext
from ..passkeys.registration import Registration, StartedRegistration
from ..passkeys.steps import Body
from .challenges import devices_of, passkeys_of
from .context import ActionContext
from .records import Action
from .steps import purpose_of, shown, wrong_state
from .tracking import ADD_AUTHENTICATORS, check_authenticator, methods_of, owned_authenticators

_REFUSED: Final = frozenset(
    {
        ActionState.BLOCK,
        ActionState.CHALLENGE_FAILED,
        ActionState.REVIEW_REQUIRED,
        ActionState.REVIEW_FAILED,
    }
)
_PURPOSE: Final = "passkeycore/enrolment "


class _Holder(NamedTuple):
    """Whoever holds a token.

    Attributes:
        action: Whose token it is.
        has_succeeded: The token is of the action's success.
        has_first_only: They may enrol what is the user's first authenticator.
    """

    action: Action
    has_succeeded: bool = False
    has_first_only: bool = False


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
    top_origins: Sequence[str] | None = None,
    timeout_ms: int | None = None,
) -> StartedRegistration:
    """Options for the client, for a new passkey of the user whose action it is.

    Args:
        token: Of the action, from `track` with the scope ``add:authenticators``, or of its success.
        user_name, user_display_name, passkey_name, mediation, authenticator_attachment, hints, attestation,
            extra_origin, top_origins, timeout_ms: As in `PasskeyService.start_registration`.

    Raises:
        TokenError: `token_invalid`: as `validate_challenge` has it, too; `token_expired`; `scope_missing`: the user has
            an authenticator already, and the token does not let its holder add one.
        ActionError: `action_state`: the action was blocked, has failed, or waits for a review.
        PasskeyError: As `PasskeyService.start_registration`.
    """
    holder = await _authorised(context, token)
    action = holder.action
    return await registration.start_registration(
        _passkeys(context, holder),
        user_id=action.user_id,
        user_name=user_name,
        user_display_name=user_display_name,
        passkey_name=passkey_name,
        mediation=mediation,
        authenticator_attachment=authenticator_attachment,
        hints=hints,
        attestation=attestation,
        extra_origin=extra_origin,
        top_origins=top_origins,
        timeout_ms=timeout_ms,
        binding=token,
        purpose=OwnPurpose(_PURPOSE + purpose_of(action)),
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
    holder = await _authorised(context, token)
    action, passkeys = holder.action, _passkeys(context, holder)
    try:
        done = await registration.finish_registration(
            passkeys,
            body,
            user_id=action.user_id,
            binding=token,
            purpose=OwnPurpose(_PURPOSE + purpose_of(action)),
            sealed_state=sealed_state,
        )
    except LimitReached:
        if holder.has_first_only and passkeys_of(context).max_passkeys_per_user > 1:
            raise _no_scope() from None
        raise
    try:
        await _look_again(context, holder, *DEVICE_METHODS)
    except TokenError:
        await management.remove_passkey(passkeys, action.user_id, done.passkey.credential_id)
        raise
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
    holder = await _authorised(context, token)
    action, devices = holder.action, devices_of(context)
    device = judged_device(
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
    user, is_new = await found_or_new_user(devices, action.user_id, user_name, user_display_name)
    try:
        await store_device(
            devices,
            device,
            1 if holder.has_first_only else devices.max_devices_per_user,
            enrolment_id=derived_id(token, method),
            spent_until=device.created_at + context.lifetime,
            new_user=user if is_new else None,
        )
    except LimitReached:
        if holder.has_first_only and devices.max_devices_per_user > 1:
            raise _no_scope() from None
        raise
    try:
        await _look_again(context, holder, "passkey")
    except TokenError:
        await remove_device(devices, action.user_id, device.authenticator_id)
        raise
    return device


async def _authorised(context: ActionContext, token: str) -> _Holder:
    """What the token lets its holder do.

    Raises:
        TokenError, ActionError: They may enrol nothing.
    """
    kind, action = await shown(context, token)
    if action.state in _REFUSED:
        raise wrong_state(action, "nothing is enrolled with it")
    if kind == "success":
        await check_authenticator(context, action)  # or who stole a passkey adds another after it was removed
        return _Holder(action, has_succeeded=True)
    if ADD_AUTHENTICATORS in action.scope:
        return _Holder(action)
    if await _enrolled(context, action):
        raise _no_scope()
    return _Holder(action, has_first_only=True)


async def _look_again(context: ActionContext, holder: _Holder, *others: Method) -> None:
    """Returns only when what let the holder enrol something holds after that was stored, too.

    Args:
        context, holder: Whose.
        others: What a first authenticator of this kind cannot have beside it.

    Raises:
        TokenError: What met the challenge was removed meanwhile; or another kind was enrolled in the same moment, and
            neither was the first, for all that anybody can tell.
    """
    if holder.has_succeeded:
        await check_authenticator(context, holder.action)
    if holder.has_first_only and not set(others).isdisjoint(await _enrolled(context, holder.action)):
        raise _no_scope()


async def _enrolled(context: ActionContext, action: Action) -> tuple[Method, ...]:
    account = await context.users.find_account(context.realm, action.user_id)
    return methods_of(await owned_authenticators(context, action.user_id, account))


def _passkeys(context: ActionContext, holder: _Holder) -> PasskeyContext:
    """As the passkeys' service has it; for a first authenticator, storage itself sees to it that it is the first."""
    passkeys = passkeys_of(context)
    return msgspec.structs.replace(passkeys, max_passkeys_per_user=1) if holder.has_first_only else passkeys


def _no_scope() -> TokenError:
    return TokenError(Code.SCOPE_MISSING, "the user has an authenticator already: the token has to allow another")
