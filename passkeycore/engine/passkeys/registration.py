"""Registering a passkey, from start to finish: every step in order, with storage.

The finish takes the ceremony first and writes last: the challenge is spent whatever happens, and nothing is stored
unless everything was right. What the client sends is judged at level 1.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from ...errors import (
    CeremonyError,
    Code,
    ConfigurationError,
    ConflictError,
    CredentialExists,
    DecodeError,
    LimitReached,
    PasskeyError,
)
from ...relying_party import RegistrationOutcome
from ...webauthn.client_data import claimed_challenge
from ...webauthn.credential import CredentialRecord
from ...webauthn.encoding import encode_base64url
from ...webauthn.extension_inputs import RegistrationExtensions
from ...webauthn.options import Conveyance, CreationOptions, Preset, RegistrationStart, RegistrationState
from ...webauthn.responses import RegistrationResponse
from ..checks import check_name, check_names, check_opaque, check_user_id, own_or_free
from ..records import Ceremony, EventType, Passkey, User
from ..repository import Addition
from .context import Context
from .steps import Body, ceremony_origins, found_ceremony, record_failure, spend_malformed, unknown_challenge


class StartedRegistration(msgspec.Struct, frozen=True, kw_only=True):
    """A registration that has just begun.

    Attributes:
        options: For the client.
        user_id: Who will own the passkey; for a new user without an id of the application's, the id to be.
        expires_at: When the ceremony ends, UTC.
        sealed_state: With `StatelessCeremonies`, to be handed back at the finish beside the response; else None.
    """

    options: CreationOptions
    user_id: str
    expires_at: datetime
    sealed_state: str | None = None

    def __repr__(self) -> str:
        return f"StartedRegistration(user_id={self.user_id!r}, …)"

    def to_dict(self) -> dict[str, Any]:
        """The options for the client, JSON-ready."""
        return self.options.to_dict()

    def to_json(self) -> str:
        """The options for the client, as JSON text."""
        return self.options.to_json()


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey that was registered and stored.

    Attributes:
        passkey: As stored.
        outcome: What level 1 found: attestation, trust, extensions.
        purpose: What the ceremony was for.
    """

    passkey: Passkey
    outcome: RegistrationOutcome
    purpose: str | None = None

    @property
    def user_id(self) -> str:
        """Who owns it."""
        return self.passkey.user_id

    @property
    def name(self) -> str:
        """What it is called."""
        return self.passkey.name


async def start_registration(
    context: Context,
    *,
    user_id: str | None = None,
    user_name: str | None = None,
    user_display_name: str = "",
    new_user: bool = False,
    passkey_name: str | None = None,
    preset: Preset | None = None,
    mediation: Literal["conditional"] | None = None,
    binding: bytes | str | None = None,
    purpose: str | None = None,
    account_stamp: str | None = None,
    extra_origin: str | None = None,
    top_origins: Sequence[str] | None = None,
    authenticator_attachment: Literal["platform", "cross-platform"] | None = None,
    hints: Sequence[str] = (),
    attestation: Conveyance | None = None,
    extensions: RegistrationExtensions | Mapping[str, Any] | None = None,
    timeout_ms: int | None = None,
) -> StartedRegistration:
    """Options for the client, for a new passkey of a user who is signed in, or of one who is to be created.

    Args:
        user_id: Who is signed in: the application's own name for the user. The engine's record of them is created
            here where there is none yet. None: a new user, with an id of the engine's making.
        user_name: What the user recognises the account by. None: as stored. Another name than the stored one is shown
            with the passkey; `rename_user` stores it.
        user_display_name: A friendlier name, or empty.
        new_user: The user must not exist yet, and is created at the finish, together with the passkey. Say so
            wherever a visitor may choose `user_id`, or they add their passkey to somebody's account.
        passkey_name: What to call the passkey. None: the name of the authenticator's model, if that is known.
        preset: Instead of the service's.
        mediation: ``conditional`` creates without a dialog, right after signing in with a password. It does not demand
            user verification, whatever the preset.
        binding: A secret of the browser session, or the token of an action, not empty; the finish repeats it. Needed
            for a new user: nothing else tells then that the same visitor finishes.
        purpose: What the ceremony is for; opaque, and repeated at the finish.
        account_stamp: Whatever changes with the account's other secrets, such as a version of the password; repeated
            at the finish, so that a change in between ends the ceremony.
        extra_origin: One more origin that may answer this one ceremony, within the RP ID.
        top_origins: Origins of the pages that may embed this one ceremony. None: those of the Relying Party; empty: it
            comes from no frame.
        authenticator_attachment, hints, attestation, extensions, timeout_ms: As in
            `RelyingParty.registration_options`.

    Raises:
        LimitReached: The user has `max_passkeys_per_user` already.
        DecodeError: `user_id_invalid`; `name_invalid`: a name, or `purpose`, is too long or does not print.
        CeremonyError: `user_not_found`: `user_name` is needed for somebody new. `user_disabled`.
        ConflictError: `user_exists`: with `new_user`.
        ConfigurationError: An argument that no client or authenticator can honour.

    Spec: #sctn-registering-a-new-credential
    """
    now = context.now()
    preset = preset or context.preset
    if mediation == "conditional" and preset.user_verification == "required":
        # Nobody is asked, so that no client could honour it. The verification of such a passkey counts at a sign-in
        # where it is synchronised, and else once it is confirmed.
        preset = msgspec.structs.replace(preset, user_verification="preferred")
    if user_id is not None:
        check_user_id(user_id)
    purpose = own_or_free(purpose)
    check_opaque(purpose, account_stamp)
    new_user = new_user or user_id is None
    if new_user and binding is None:
        raise ConfigurationError("a new user needs a binding: nothing else tells who finishes", path="binding")
    check_names(user_name, user_display_name)
    if passkey_name is not None:
        check_name(passkey_name, "passkey_name")
    account = None if user_id is None else await context.repository.find_account(context.realm, user_id)
    if account is not None:
        if new_user:
            raise ConflictError(Code.USER_EXISTS, "there is a user with this id")
        user = account.user
    else:
        if user_name is None:
            raise CeremonyError(Code.USER_NOT_FOUND, "a user who is new here needs a name", path="user_name")
        user = User(
            user_id=encode_base64url(context.random(16)) if user_id is None else user_id,
            user_handle=context.new_user_handle(),
            name=user_name,
            display_name=user_display_name,
            created_at=now,
            realm=context.realm,
        )
    passkeys = () if account is None else account.passkeys
    if user.disabled_at is not None:
        raise CeremonyError(Code.USER_DISABLED, "the user is disabled")
    if len(passkeys) >= context.max_passkeys_per_user:
        raise LimitReached(
            "the user has as many passkeys as they may", limit=context.max_passkeys_per_user, current=len(passkeys)
        )

    def begin(user: User) -> RegistrationStart:
        return context.rp.registration_options(
            user_handle=user.user_handle,
            user_name=user_name or user.name,
            user_display_name=user_display_name or user.display_name,
            exclude=[passkey.credential for passkey in passkeys if passkey.credential.rp_id == context.rp.id],
            preset=preset,
            authenticator_attachment=authenticator_attachment,
            hints=hints,
            attestation=attestation,
            extensions=extensions,
            mediation=mediation,
            origins=ceremony_origins(context, extra_origin),
            top_origins=top_origins,
            timeout_ms=context.timeout(mediation) if timeout_ms is None else timeout_ms,
            challenge=context.random(32),
            realm=context.realm,
            user_id=user_id,
            binding=binding,
            purpose=purpose,
            account_stamp=account_stamp,
            credential_name=passkey_name,
            now=now,
        )

    start = begin(user)  # which refuses bad arguments; only then may a user be stored
    if account is None and not new_user:
        created = await context.repository.get_or_create_user(user)
        if created.user_handle != user.user_handle:  # somebody else was first
            user, start = created, begin(created)
    ceremony = Ceremony(state=start.state, new_user=user if new_user else None)
    sealed_state = await context.ceremonies.begin(ceremony, now)
    context.tell(context.event(EventType.REGISTRATION_STARTED, user_id=user.user_id, purpose=purpose))
    return StartedRegistration(
        options=start.options, user_id=user.user_id, expires_at=start.state.expires_at, sealed_state=sealed_state
    )


async def finish_registration(
    context: Context,
    body: Body,
    *,
    user_id: str | None = None,
    binding: bytes | str | None = None,
    purpose: str | None = None,
    account_stamp: str | None = None,
    sealed_state: str | None = None,
) -> Registration:
    """The passkey, stored, after every check. The challenge is spent whatever happens.

    Only a body above the size limit is not looked at, and spends nothing.

    Args:
        body: What the page got from ``credential.toJSON()``: JSON text or its members.
        user_id, binding, purpose, account_stamp: What the ceremony was started with.
        sealed_state: With `StatelessCeremonies`, what the start gave.

    Raises:
        ChallengeError: No such ceremony is under way here, or it is over, or it was started with something else.
        DecodeError, UnsupportedError, VerificationError: As `RelyingParty.verify_registration`.
        CredentialExists: The passkey is registered already, for whichever user.
        LimitReached: Others of the user's were registered meanwhile.
        CeremonyError: `user_not_found`, `user_disabled`: meanwhile. ConflictError: `user_exists`: likewise.

    Spec: #sctn-registering-a-new-credential
    """
    now = context.now()
    try:
        response = context.rp.parse_registration(body)
        challenge = claimed_challenge(response.client_data_json, context.rp.policy)
    except DecodeError:
        await spend_malformed(context, body, sealed_state, now)
        raise
    ceremony = found_ceremony(await context.ceremonies.take(context.realm, challenge, sealed_state, now))
    try:
        return await _registered(context, response, ceremony, user_id, binding, purpose, account_stamp, now)
    except PasskeyError as error:
        owner = ceremony.state.user_id if ceremony.new_user is None else ceremony.new_user.user_id
        await record_failure(context, EventType.REGISTRATION_FAILED, ceremony.state, owner, response.raw_id, error)
        raise


async def _registered(
    context: Context,
    response: RegistrationResponse,
    ceremony: Ceremony,
    user_id: str | None,
    binding: bytes | str | None,
    purpose: str | None,
    account_stamp: str | None,
    now: datetime,
) -> Registration:
    state = ceremony.state
    if not isinstance(state, RegistrationState) or state.purpose != purpose or state.account_stamp != account_stamp:
        raise unknown_challenge()
    outcome = context.rp.verify_registration(response, state, user_id=user_id, binding=binding, now=now)
    owner = ceremony.new_user.user_id if ceremony.new_user is not None else state.user_id
    if owner is None:  # only a state that was not made here has neither
        raise unknown_challenge()
    passkey = Passkey(
        credential=outcome.credential,
        user_id=owner,
        name=state.credential_name or _usual_name(context, outcome.credential),
        created_at=now,
        realm=context.realm,
    )
    event = context.event(
        EventType.PASSKEY_REGISTERED, user_id=owner, credential_id=passkey.credential_id, purpose=state.purpose
    )
    limit = context.max_passkeys_per_user
    check_added(await context.repository.add_passkey(passkey, limit, ceremony.new_user, context.stored(event)), limit)
    context.tell(event)
    return Registration(passkey=passkey, outcome=outcome, purpose=state.purpose)


def check_added(answer: Addition, limit: int) -> None:
    """Returns only when the passkey was ``added``.

    Raises:
        CredentialExists, LimitReached, CeremonyError, ConflictError: As the answer says.
    """
    if answer == "added":
        return
    if answer == "credential_exists":
        raise CredentialExists(Code.CREDENTIAL_EXISTS, "the credential is registered already", path="rawId")
    if answer == "limit_reached":
        raise LimitReached("the user has as many passkeys as they may", limit=limit, current=limit)
    if answer == "user_exists":
        raise ConflictError(Code.USER_EXISTS, "there is a user with this id")
    code = Code.USER_DISABLED if answer == "user_disabled" else Code.USER_NOT_FOUND
    raise CeremonyError(code, "the user is disabled, or not there any more")


def _usual_name(context: Context, credential: CredentialRecord) -> str:
    from ...trust import authenticator_name  # a list of names that only registrations need

    return authenticator_name(credential.aaguid, context.rp.trust.metadata) or "Passkey"
