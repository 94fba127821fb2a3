"""Passkeys of whoever is signed in with the host: added, listed, renamed, removed; and proof once more, as a step-up.

Ceremonies are bound to the browser; each touches the user whom the host names, and nobody else.
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from ..calls import Call, Row, get, post
from ..shapes import (
    Asked,
    CeremonyFinish,
    CeremonyStart,
    Hints,
    PasskeyMembers,
    PromptAdvice,
    SealedState,
    Signals,
    WebAuthnResponse,
    passkey_of,
    start_of,
)

Purpose: TypeAlias = Annotated[
    str,
    # What is the engine's own, nobody else asks for.
    msgspec.Meta(min_length=1, max_length=512, pattern="^(?!passkeycore/)"),
]


class StartRegistration(Asked, frozen=True, kw_only=True):
    """A new passkey.

    `user_name` is needed for a user whom this server does not know yet. With `automatic` the browser makes it without a
    dialog, right after a sign-in with a password; browsers that cannot do so refuse.
    """

    user_name: str | None = None
    display_name: str = ""
    passkey_name: str | None = None
    automatic: bool = False
    authenticator_attachment: Literal["platform", "cross-platform"] | None = None
    hints: Hints = msgspec.field(default_factory=list[Literal["security-key", "client-device", "hybrid"]])


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """The passkey is stored."""

    passkey: PasskeyMembers


class PasskeyList(msgspec.Struct, frozen=True, kw_only=True):
    """The user's passkeys, the oldest first; how many there may be; and what to tell the browser of them."""

    passkeys: list[PasskeyMembers]
    limit: int
    signals: Signals


class RenamePasskey(Asked, frozen=True, kw_only=True):
    """Another name for a passkey, of 1 to 64 characters that can be seen."""

    credential_id: str
    name: str


class RemovePasskey(Asked, frozen=True, kw_only=True):
    """Which passkey."""

    credential_id: str


class AskPrompt(Asked, frozen=True, kw_only=True):
    """The credential ids that were used on this device, as the client has kept them; whether it can make passkeys."""

    stored_credential_ids: Annotated[list[str], msgspec.Meta(max_length=64)]
    supported: bool = True


class StartStepUp(Asked, frozen=True, kw_only=True):
    """What the user is about to do, in a word of the application's, such as `transfer:42`."""

    purpose: Purpose


class FinishStepUp(Asked, frozen=True, kw_only=True):
    """What the browser made of the options, for the same purpose."""

    purpose: Purpose
    response: WebAuthnResponse
    sealed_state: SealedState = None


class SteppedUp(msgspec.Struct, frozen=True, kw_only=True):
    """`step_up_token` proves for an hour at most that the user was here, for this purpose, in this browser."""

    step_up_token: str | None


async def start_registration(call: Call, asked: StartRegistration) -> CeremonyStart:
    """Begins a new passkey of the user's."""
    return start_of(
        await call.passkeys.start_registration(
            user_id=call.identity.user_id,
            user_name=asked.user_name,
            user_display_name=asked.display_name,
            passkey_name=asked.passkey_name,
            mediation="conditional" if asked.automatic else None,
            authenticator_attachment=asked.authenticator_attachment,
            hints=asked.hints,
            binding=call.identity.visitor_id,
        )
    )


async def finish_registration(call: Call, asked: CeremonyFinish) -> Registered:
    """Stores the new passkey."""
    done = await call.passkeys.finish_registration(
        bytes(asked.response),
        user_id=call.identity.user_id,
        binding=call.identity.visitor_id,
        sealed_state=asked.sealed_state,
    )
    return Registered(passkey=passkey_of(done.passkey))


async def list_passkeys(call: Call, _: None) -> PasskeyList:
    """The user's passkeys."""
    user_id = call.identity.user_id
    return PasskeyList(
        passkeys=[passkey_of(passkey) for passkey in await call.passkeys.list_passkeys(user_id)],
        limit=call.passkeys.context.max_passkeys_per_user,
        signals=await signals_of(call, user_id),
    )


async def rename_passkey(call: Call, asked: RenamePasskey) -> PasskeyList:
    """Gives a passkey of the user's another name."""
    await call.passkeys.rename_passkey(call.identity.user_id, asked.credential_id, asked.name)
    return await list_passkeys(call, None)


async def remove_passkey(call: Call, asked: RemovePasskey) -> PasskeyList:
    """Removes a passkey of the user's."""
    await call.passkeys.remove_passkey(call.identity.user_id, asked.credential_id)
    return await list_passkeys(call, None)


async def should_prompt(call: Call, asked: AskPrompt) -> PromptAdvice:
    """Whether to offer the user a passkey on this device."""
    advice = await call.passkeys.should_prompt_to_create(
        call.identity.user_id, stored_credential_ids=asked.stored_credential_ids, supported=asked.supported
    )
    return PromptAdvice(prompt=advice.prompt, reason=advice.reason)


async def start_step_up(call: Call, asked: StartStepUp) -> CeremonyStart:
    """Asks the user to prove themselves again."""
    return start_of(
        await call.passkeys.start_authentication(
            user_id=call.identity.user_id, binding=call.identity.visitor_id, purpose=asked.purpose
        )
    )


async def finish_step_up(call: Call, asked: FinishStepUp) -> SteppedUp:
    """Proof that they did."""
    done = await call.passkeys.finish_authentication(
        bytes(asked.response),
        user_id=call.identity.user_id,
        binding=call.identity.visitor_id,
        purpose=asked.purpose,
        sealed_state=asked.sealed_state,
    )
    return SteppedUp(step_up_token=done.step_up_token)


async def signals_of(call: Call, user_id: str) -> Signals:
    """What to tell a browser of this user's passkeys and names."""
    user = await call.passkeys.find_user(user_id)
    if user is None:
        return Signals(signal_all_accepted_credentials=None, signal_current_user_details=None)
    return Signals(
        signal_all_accepted_credentials=await call.passkeys.all_accepted_credentials(user_id),
        signal_current_user_details=await call.passkeys.current_user_details(user_id),
    )


ROWS: Final[tuple[Row, ...]] = (
    get("/me/passkeys", "user", list_passkeys, PasskeyList),
    post("/me/passkeys/register/start", "user", start_registration, StartRegistration, CeremonyStart),
    post("/me/passkeys/register/finish", "user", finish_registration, CeremonyFinish, Registered),
    post("/me/passkeys/rename", "user", rename_passkey, RenamePasskey, PasskeyList),
    post("/me/passkeys/remove", "user", remove_passkey, RemovePasskey, PasskeyList),
    post("/me/passkeys/should-prompt", "user", should_prompt, AskPrompt, PromptAdvice),
    post("/me/step-up/start", "user", start_step_up, StartStepUp, CeremonyStart, "tokens"),
    post("/me/step-up/finish", "user", finish_step_up, FinishStepUp, SteppedUp, "tokens"),
)
"""Routes of whoever is signed in."""
