"""Meeting the challenge of an action, by a passkey or a device: whoever holds the action's token starts and finishes.

A ceremony is started for one action: its purpose names the action, and its binding is the token. What goes wrong counts
as an attempt. Where the process dies after the ceremony and before the action is written, the ceremony is spent and the
action still waits: the user tries again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...actions.states import Method
from ...devices import PROTOCOL, Decision, DeviceMethod, DeviceProtocol
from ...errors import (
    ActionError,
    CeremonyError,
    Code,
    ConfigurationError,
    ConflictError,
    VerificationError,
)
from ...webauthn.encoding import encode_base64url
from ...webauthn.extension_inputs import AuthenticationExtensions
from ..devices import answers
from ..devices import challenges as devices
from ..devices.answers import AnsweredDeviceChallenge, Consequences
from ..devices.challenges import DeviceApproval, StartedDeviceChallenge
from ..devices.context import DeviceContext
from ..devices.records import DeviceChallenge, DeviceChallengeState
from ..devices.steps import is_reserved
from ..passkeys import authentication
from ..passkeys.authentication import Authentication, StartedAuthentication
from ..passkeys.context import Context as PasskeyContext
from ..passkeys.steps import Body
from .context import ActionContext
from .records import Action
from .steps import (
    IN_APP,
    WAITING,
    change,
    count_attempt,
    names_in,
    not_a_token,
    purpose_of,
    reject,
    shown,
    success_token,
    wrong_state,
)


class MetChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge that was met.

    Attributes:
        action: As stored now.
        token: Proves it to `validate_challenge`.
        authentication, approval: What met it: a passkey's ceremony, or a device's approval.
    """

    action: Action
    token: str
    authentication: Authentication | None = None
    approval: DeviceApproval | None = None

    def __repr__(self) -> str:
        return f"MetChallenge(user_id={self.action.user_id!r}, action={self.action.action!r}, …)"

    @property
    def user_id(self) -> str:
        """Who met it: the application's own name for the user."""
        return self.action.user_id


async def start_passkey_challenge(
    context: ActionContext,
    token: str,
    *,
    hints: Sequence[str] = (),
    extensions: AuthenticationExtensions | Mapping[str, Any] | None = None,
    extra_origin: str | None = None,
    top_origins: Sequence[str] | None = None,
    timeout_ms: int | None = None,
) -> StartedAuthentication:
    """Options for the client, to meet the action's challenge with a passkey and user verification that can be trusted.

    Args:
        token: The action's, from `track`.
        hints, extensions, extra_origin, top_origins, timeout_ms: As in `PasskeyService.start_authentication`.

    Raises:
        TokenError: `token_invalid`, `token_expired`.
        ActionError: `action_state`: it waits for no challenge. `method_not_allowed`.
        CredentialNotFound: The user has no passkey that may answer, or does not exist, or is disabled.
        ConfigurationError: The service has no passkeys.
    """
    action = await waiting_action(context, token, "passkey")
    return await authentication.start_authentication(
        passkeys_of(context),
        user_id=action.user_id,
        binding=token,
        purpose=purpose_of(action),
        hints=hints,
        extensions=extensions,
        extra_origin=extra_origin,
        top_origins=top_origins,
        timeout_ms=timeout_ms,
    )


async def finish_passkey_challenge(
    context: ActionContext, token: str, body: Body, *, sealed_state: str | None = None
) -> MetChallenge:
    """The challenge, met by the user's passkey. The ceremony is spent whatever happens.

    Args:
        token: The same as at the start.
        body, sealed_state: As in `PasskeyService.finish_authentication`.

    Raises:
        TokenError, ActionError, ConfigurationError: As `start_passkey_challenge`.
        PasskeyError: As `PasskeyService.finish_authentication`. What does not prove what it should counts as an
            attempt; what cannot be read does not.
    """
    passkeys = passkeys_of(context)
    action = await waiting_action(context, token, "passkey")
    try:
        done = await authentication.finish_authentication(
            passkeys,
            body,
            user_id=action.user_id,
            binding=token,
            purpose=purpose_of(action),
            sealed_state=sealed_state,
        )
    except (VerificationError, CeremonyError) as error:
        if not isinstance(error, ConflictError):
            await count_attempt(context, action)
        raise
    return await met_by_passkey(context, action, done)


async def start_device_challenge(
    context: ActionContext,
    token: str,
    *,
    method: DeviceMethod,
    authenticator_id: str | None = None,
    content: str = "",
    number_matching: bool = False,
    protocol: DeviceProtocol = PROTOCOL,
    challenge_id: str | None = None,
) -> StartedDeviceChallenge:
    """A question to the user's device, whose approval meets the action's challenge.

    Args:
        token: The action's, from `track`.
        method, authenticator_id, content, number_matching, protocol, challenge_id: As in
            `DeviceService.start_challenge`.

    Raises:
        TokenError, ActionError: As `start_passkey_challenge`.
        LimitReached, ConflictError: As `DeviceService.start_challenge`.
        ConfigurationError: The service has no devices, or an argument that does not go with it.
    """
    action = await waiting_action(context, token, method)
    return await devices.start_challenge(
        devices_of(context),
        method=method,
        user_id=action.user_id,
        authenticator_id=authenticator_id,
        purpose=purpose_of(action),
        content=content,
        number_matching=number_matching,
        binding=token,
        protocol=protocol,
        challenge_id=challenge_id,
    )


async def answer_device_challenge(
    context: ActionContext,
    challenge_id: str,
    *,
    public_key: bytes,
    signature: bytes,
    decision: Decision,
    verification_code: str | None = None,
    app_attest_assertion: bytes | None = None,
) -> AnsweredDeviceChallenge:
    """What the device's user decided, as `DeviceService.answer_challenge`, of an action or of none.

    What was started by `start_in_app_challenge` is unknown here: `finish_in_app_challenge` answers it.

    A rejection ends the action at once, and what counts as an attempt there counts for the action, too.

    An approval does nothing more yet: it is whoever waits that gets the proof, by `finish_device_challenge`.
    """

    async def attempt(challenge: DeviceChallenge) -> None:
        action = await _named(context, challenge)
        if action is not None:
            await count_attempt(context, action)

    async def rejection(challenge: DeviceChallenge) -> None:
        action = await _named(context, challenge)
        if action is not None:
            await reject(context, action)

    return await answers.take_answer(
        devices_of(context),
        challenge_id,
        public_key=public_key,
        signature=signature,
        decision=decision,
        verification_code=verification_code,
        app_attest_assertion=app_attest_assertion,
        accepts=_is_answered_here,
        consequences=Consequences(attempt, rejection),
    )


async def finish_device_challenge(context: ActionContext, token: str, challenge_id: str) -> MetChallenge | None:
    """The challenge, met by the user's device, once; None while the device has not answered. To be asked again then.

    Args:
        token: The same as at the start.
        challenge_id: As the start gave it.

    Raises:
        TokenError, ActionError, ConfigurationError: As `start_passkey_challenge`.
        CeremonyError: `challenge_rejected`, which ends the action; `attempts_exceeded`: the device's attempts, which
            were counted as they happened, are used up, or the challenge was given up.
        ChallengeError, ConflictError: As `DeviceService.poll_challenge`.
    """
    action = await _tracked(context, token)
    try:
        approval = await devices.poll_challenge(
            devices_of(context),
            challenge_id,
            user_id=action.user_id,
            binding=token,
            purpose=purpose_of(action),
        )
    except CeremonyError as error:
        if error.code is Code.CHALLENGE_REJECTED:
            await reject(context, action)
        raise
    if approval is None:
        return None
    return await met_by_device(context, action, approval)


async def device_challenge_state(context: ActionContext, token: str, challenge_id: str) -> DeviceChallengeState:
    """How far a device challenge of the action has come, for what a page shows. It proves nothing.

    Args:
        token, challenge_id: As for `finish_device_challenge`.

    Raises:
        TokenError, ActionError, ConfigurationError: As `start_passkey_challenge`.
        ChallengeError: As `DeviceService.challenge_state`.
    """
    action = await _tracked(context, token)
    return await devices.challenge_state(
        devices_of(context), challenge_id, user_id=action.user_id, binding=token, purpose=purpose_of(action)
    )


async def cancel_challenge(context: ActionContext, token: str, challenge_id: str | None = None) -> None:
    """Notes that the user gave up for now, which counts as an attempt; the action still waits, unless it was the last.

    A ceremony with a passkey that was started before can still be finished: its client may have been slower.

    Args:
        token: The action's, from `track`.
        challenge_id: Of the device challenge that nobody is to answer any more; None: it was a passkey's.

    Raises:
        TokenError: `token_invalid`, `token_expired`. ActionError: `action_state`: it waits for no challenge.
        ChallengeError: There is no such challenge that waits for an answer.
    """
    action = await _tracked(context, token)
    if action.state not in WAITING:
        raise wrong_state(action, "it waits for no challenge")
    if challenge_id is not None:
        purpose = purpose_of(action)
        await devices.cancel_challenge(
            devices_of(context), challenge_id, user_id=action.user_id, binding=token, purpose=purpose
        )
    await count_attempt(context, action)


async def met_by_passkey(context: ActionContext, action: Action, done: Authentication) -> MetChallenge:
    """The action, whose challenge this ceremony has met."""
    _check_method(action, "passkey")
    met = await change(
        context,
        action,
        "proof",
        method="passkey",
        authenticator_id=encode_base64url(done.passkey.credential_id),
        user_verified=done.user_verification_trusted,
    )
    return MetChallenge(action=met, token=success_token(context, met), authentication=done)


async def met_by_device(context: ActionContext, action: Action, approval: DeviceApproval) -> MetChallenge:
    """The action, whose challenge this approval has met. Nothing tells that the device verified its user."""
    _check_method(action, approval.challenge.method)
    met = await change(
        context,
        action,
        "proof",
        method=approval.challenge.method,
        authenticator_id=approval.device.authenticator_id,
    )
    return MetChallenge(action=met, token=success_token(context, met), approval=approval)


def passkeys_of(context: ActionContext) -> PasskeyContext:
    """The passkeys' context. Raises ConfigurationError where there is none."""
    if context.passkeys is None:
        raise ConfigurationError("the service was built without passkeys", path="passkeys")
    return context.passkeys


def devices_of(context: ActionContext) -> DeviceContext:
    """The devices' context. Raises ConfigurationError where there is none."""
    if context.devices is None:
        raise ConfigurationError("the service was built without devices", path="devices")
    return context.devices


async def _tracked(context: ActionContext, token: str) -> Action:
    """The action of a token from `track`: a success is shown to whoever asked for it, and begins nothing."""
    kind, action = await shown(context, token)
    if kind != "track":
        raise not_a_token()
    return action


async def waiting_action(context: ActionContext, token: str, method: Method) -> Action:
    """The action of the token, which waits for a challenge that may be met like this.

    Raises:
        TokenError, ActionError.
    """
    action = await _tracked(context, token)
    if action.state not in WAITING:
        raise wrong_state(action, "it waits for no challenge")
    _check_method(action, method)
    return action


def _check_method(action: Action, method: Method) -> None:
    if method not in action.allowed_methods:
        raise ActionError(Code.METHOD_NOT_ALLOWED, f"{method} does not meet this action", state=action.state.value)


def _is_answered_here(purpose: str | None) -> bool:
    return not is_reserved(purpose) or (purpose is not None and not purpose.startswith(IN_APP))


async def _named(context: ActionContext, challenge: DeviceChallenge) -> Action | None:
    """The action that the challenge is for; None: it is for none."""
    names = names_in(challenge.purpose)
    if names is None or names[0] != challenge.user_id:
        return None
    return await context.repository.find_action(context.realm, *names)
