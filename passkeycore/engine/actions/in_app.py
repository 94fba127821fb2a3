"""Meeting an action's challenge within the app that holds the device's key: whoever waits is also who answers.

So there is nothing to poll, and one request judges the answer and proves the action. Where the action is there before,
`start_device_challenge` begins this, and the device signs which action it is. Here it begins for whoever's device it
is: an action follows from the answer.
"""

from hmac import compare_digest

from ...devices import CHALLENGE_ID_PROTOCOL, PROTOCOL, DeviceProtocol
from ...errors import ConfigurationError
from ..checks import OwnPurpose
from ..devices import challenges as devices
from ..devices.answers import Consequences, take_answer
from ..devices.challenges import DeviceApproval, StartedDeviceChallenge
from ..devices.records import DeviceChallenge
from ..devices.steps import found_challenge, unknown_challenge
from .challenges import MetChallenge, devices_of, met_by_device, waiting_action
from .context import ActionContext
from .records import Action
from .sign_in import begun
from .steps import IN_APP, count_attempt, purpose_of
from .tracking import ClientInfo, check_word, checked_client


async def start_in_app_challenge(
    context: ActionContext, action: str | None, *, content: str = "", protocol: DeviceProtocol = PROTOCOL
) -> StartedDeviceChallenge:
    """A question to the app that asks for it, whoever's device it is on.

    Args:
        action: The word under which it is kept when it is met, such as ``sign-in``. None, only for the protocol
            ``challenge-id``: an app of another service's, which shows the token of an action later.
        content, protocol: As in `DeviceService.start_challenge`.

    Raises:
        DecodeError: `action_invalid`, `name_invalid`.
        ConfigurationError: The service has no devices, or an argument that does not go with it.
    """
    if action is not None:
        check_word(action)
    elif protocol != CHALLENGE_ID_PROTOCOL:
        raise ConfigurationError("the device signs what it is for: name it", path="action")
    return await devices.start_challenge(
        devices_of(context),
        method="in-app",
        purpose=OwnPurpose(IN_APP + (action or "")),
        content=content,
        binding=context.random(32),  # nobody knows it: there is nothing to poll
        protocol=protocol,
    )


async def finish_in_app_challenge(
    context: ActionContext,
    challenge_id: str,
    *,
    public_key: bytes,
    signature: bytes,
    token: str | None = None,
    action: str | None = None,
    client: ClientInfo | None = None,
    app_attest_assertion: bytes | None = None,
) -> MetChallenge:
    """The action that the device's user has approved. The challenge is answered once.

    Args:
        challenge_id: As `start_in_app_challenge` gave it, or `start_device_challenge` for the method ``in-app``.
        public_key, signature, app_attest_assertion: As in `DeviceService.answer_challenge`, of an approval.
        token: Of the action to be met, from `track`: the device has to be its user's. Where the start did not name
            that action, only for the protocol ``challenge-id``, which signs none. None: an action begins here, under
            the word that the start was given, for whoever's device it is.
        action: The word under which the action begins here, where the start was given none.
        client: What is known of who asks; rules look at it, where the action begins here.

    Raises:
        SignatureError: As `DeviceService.answer_challenge`; also for the device of another user than the token's. With
            a token, what counts as an attempt there counts for the action, too.
        ChallengeError: As `DeviceService.answer_challenge`; also where it was started for something else.
        TokenError, ActionError: As `start_passkey_challenge`, with a token; as `finish_passkey_sign_in` without one.
        VerificationError, UntrustedError, DecodeError, CeremonyError: As `DeviceService.answer_challenge`.
    """
    client = checked_client(client)  # before the challenge is spent
    if action is not None:
        check_word(action)
    tracked = None if token is None else await waiting_action(context, token, "in-app")
    challenge = await found_challenge(devices_of(context), challenge_id)
    started = "" if challenge.purpose is None else challenge.purpose.removeprefix(IN_APP)
    word = started or action or ""

    def accepts(purpose: str | None) -> bool:
        return purpose == challenge.purpose and action in (None, word) and _is_for(tracked, challenge, word)

    async def attempt(_: DeviceChallenge) -> None:
        if tracked is not None:
            await count_attempt(context, tracked)

    answered = await take_answer(
        devices_of(context),
        challenge_id,
        public_key=public_key,
        signature=signature,
        decision="approve",
        verification_code=None,
        app_attest_assertion=app_attest_assertion,
        accepts=accepts,
        consequences=Consequences(attempt, attempt),
        of_user=None if tracked is None else tracked.user_id,
        is_taken=True,
    )
    approval = DeviceApproval(user=answered.user, device=answered.device, challenge=answered.challenge)
    met = tracked or await begun(context, answered.user_id, word, client)
    return await met_by_device(context, met, approval)


async def in_app_challenge_action(context: ActionContext, challenge_id: str) -> str | None:
    """The word that `start_in_app_challenge` was given, for an app that meets it by a passkey instead; None: none.

    Raises:
        ChallengeError: There is no such challenge that waits for an answer.
        ConfigurationError: The service has no devices.
    """
    challenge = await found_challenge(devices_of(context), challenge_id)
    purpose = challenge.purpose or ""
    if not purpose.startswith(IN_APP) or challenge.answered_at is not None or context.now() >= challenge.expires_at:
        raise unknown_challenge()
    return purpose.removeprefix(IN_APP) or None


def _is_for(action: Action | None, challenge: DeviceChallenge, word: str) -> bool:
    """Whether the challenge was started for this action, or, without one, for a word."""
    purpose = challenge.purpose or ""
    begins_here = purpose.startswith(IN_APP)
    if action is None:
        return begins_here and word != ""
    if begins_here:
        return challenge.protocol == CHALLENGE_ID_PROTOCOL and word in ("", action.action)
    return challenge.method == "in-app" and compare_digest(purpose.encode(), purpose_of(action).encode())
