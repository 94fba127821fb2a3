"""Signing in as an action: nobody knows yet who it is, so there is no token; who proves themselves has the action done.

Rules decide at the end, once it is known for whom: a sign-in that they block, or want reviewed, is none.
"""

from collections.abc import Sequence
from typing import Literal

from ...actions.states import ActionState
from ...devices import PROTOCOL, DeviceMethod, DeviceProtocol
from ...errors import ConfigurationError
from ..checks import OwnPurpose
from ..devices import challenges as devices
from ..devices.challenges import StartedDeviceChallenge
from ..passkeys import authentication
from ..passkeys.authentication import StartedAuthentication
from ..passkeys.steps import Body
from .challenges import MetChallenge, devices_of, met_by_device, met_by_passkey, passkeys_of
from .context import ActionContext
from .records import Action
from .steps import wrong_state
from .tracking import ClientInfo, check_word, checked_client, tracked

_PURPOSE = "passkeycore/sign-in "
_OPEN = frozenset({ActionState.ALLOW, ActionState.CHALLENGE_REQUIRED})


async def start_passkey_sign_in(
    context: ActionContext,
    action: str,
    *,
    binding: bytes | str,
    mediation: Literal["conditional"] | None = None,
    hints: Sequence[str] = (),
    extra_origin: str | None = None,
    top_origins: Sequence[str] | None = None,
    timeout_ms: int | None = None,
) -> StartedAuthentication:
    """Options for the client, for whoever has a passkey here.

    Args:
        action: The word under which the sign-in is kept, such as ``sign-in``.
        binding: A secret of the browser session, not empty; the finish repeats it.
        mediation, hints, extra_origin, top_origins, timeout_ms: As in `PasskeyService.start_authentication`.

    Raises:
        DecodeError: `action_invalid`. ConfigurationError: The service has no passkeys, or there is no binding.
    """
    check_word(action)
    if not binding:
        raise ConfigurationError("nothing else tells who finishes", path="binding")
    return await authentication.start_authentication(
        passkeys_of(context),
        binding=binding,
        purpose=OwnPurpose(_PURPOSE + action),
        mediation=mediation,
        hints=hints,
        extra_origin=extra_origin,
        top_origins=top_origins,
        timeout_ms=timeout_ms,
    )


async def finish_passkey_sign_in(
    context: ActionContext,
    action: str,
    body: Body,
    *,
    binding: bytes | str,
    client: ClientInfo | None = None,
    sealed_state: str | None = None,
) -> MetChallenge:
    """Who signed in, and the action that says so. The ceremony is spent whatever happens.

    Args:
        action, binding: What the start was given.
        body, sealed_state: As in `PasskeyService.finish_authentication`.
        client: What is known of who asks; rules look at it.

    Raises:
        ActionError: `action_state`: rules block it, or want it reviewed. `method_not_allowed`.
        PasskeyError: As `PasskeyService.finish_authentication`. DecodeError: `action_invalid`.
    """
    check_word(action)
    client = checked_client(client)  # before the ceremony is spent
    done = await authentication.finish_authentication(
        passkeys_of(context), body, binding=binding, purpose=OwnPurpose(_PURPOSE + action), sealed_state=sealed_state
    )
    return await met_by_passkey(context, await begun(context, done.user_id, action, client), done)


async def start_device_sign_in(
    context: ActionContext,
    action: str,
    *,
    method: DeviceMethod,
    binding: bytes | str,
    content: str = "",
    number_matching: bool = False,
    protocol: DeviceProtocol = PROTOCOL,
) -> StartedDeviceChallenge:
    """A question to whoever's device: by ``qr-code``, or ``in-app``.

    Args:
        action, binding: As in `start_passkey_sign_in`.
        method, content, number_matching, protocol: As in `DeviceService.start_challenge`.

    Raises:
        DecodeError: `action_invalid`, `name_invalid`.
        ConfigurationError: The service has no devices, or an argument that does not go with it.
    """
    check_word(action)
    return await devices.start_challenge(
        devices_of(context),
        method=method,
        purpose=OwnPurpose(_PURPOSE + action),
        content=content,
        number_matching=number_matching,
        binding=binding,
        protocol=protocol,
    )


async def finish_device_sign_in(
    context: ActionContext, action: str, challenge_id: str, *, binding: bytes | str, client: ClientInfo | None = None
) -> MetChallenge | None:
    """Who signed in, and the action that says so, once; None while no device has answered.

    Args:
        action, binding: What the start was given.
        challenge_id: As the start gave it.
        client: What is known of who asks; rules look at it.

    Raises:
        ActionError: As `finish_passkey_sign_in`.
        CeremonyError, ChallengeError, ConflictError: As `DeviceService.poll_challenge`. DecodeError: `action_invalid`.
    """
    check_word(action)
    client = checked_client(client)  # before the answer is given out
    approval = await devices.poll_challenge(
        devices_of(context), challenge_id, binding=binding, purpose=OwnPurpose(_PURPOSE + action)
    )
    if approval is None:
        return None
    return await met_by_device(context, await begun(context, approval.user_id, action, client), approval)


async def begun(context: ActionContext, user_id: str, word: str, client: ClientInfo | None) -> Action:
    """The action of whoever has just proved themselves, unless rules say no."""
    action, _ = await tracked(context, user_id, word, client=client)
    if action.state not in _OPEN:
        raise wrong_state(action, "rules do not let the user sign in")
    return action
