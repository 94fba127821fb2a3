"""Signing in, from start to finish: every step in order, with storage.

The finish takes the ceremony first and writes last: the challenge is spent whatever happens, and nothing is written
unless everything was right. What the client sends is judged at level 1; which record it is judged against, here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, NoReturn

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from ...errors import (
    CeremonyError,
    Code,
    ConfigurationError,
    ConflictError,
    CredentialNotFound,
    DecodeError,
    PasskeyError,
    SignatureError,
)
from ...webauthn.authentication import VerifiedAuthentication, judge_again
from ...webauthn.client_data import claimed_challenge
from ...webauthn.credential import CredentialRecord
from ...webauthn.encoding import encode_base64url
from ...webauthn.extension_inputs import AuthenticationExtensions
from ...webauthn.options import AuthenticationState, CredentialDescriptor, Preset, RequestOptions
from ...webauthn.responses import AuthenticationResponse
from ..checks import OwnPurpose, check_opaque, check_user_id, own_or_free
from ..records import Ceremony, EventType, Passkey, User
from .context import Context
from .decoys import decoys as decoys_of
from .step_up import step_up_token
from .steps import Body, ceremony_origins, found_ceremony, record_failure, spend_malformed, unknown_challenge

_ATTEMPTS: Final = 3  # to write an authentication whose record others change meanwhile
# What only a response with a good signature ends in: then it is known whose passkey it was.
_SIGNED: Final = frozenset(
    {
        Code.USER_VERIFICATION_UNTRUSTED,
        Code.BACKUP_ELIGIBILITY_CHANGED,
        Code.SIGN_COUNT_REGRESSED,
        Code.CHALLENGE_EXPIRED,
        Code.USER_DISABLED,
        Code.CONFLICT,
    }
)


class StartedAuthentication(msgspec.Struct, frozen=True, kw_only=True):
    """An authentication that has just begun. Attributes as of `StartedRegistration`."""

    options: RequestOptions
    expires_at: datetime
    sealed_state: str | None = None

    def __repr__(self) -> str:
        return "StartedAuthentication(…)"

    def to_dict(self) -> dict[str, Any]:
        """The options for the client, JSON-ready."""
        return self.options.to_dict()

    def to_json(self) -> str:
        """The options for the client, as JSON text."""
        return self.options.to_json()


class Authentication(msgspec.Struct, frozen=True, kw_only=True):
    """A user who has just proved that they have their passkey.

    Attributes:
        user: Who it is, from the stored record.
        previous: The passkey as it was before.
        verified: What level 1 found: flags, counter, extensions.
        authenticated_at: UTC.
        purpose: What the ceremony was for.
        step_up_token: Proves to `validate_step_up` that this happened; None without a purpose of the application's, or
            without tokens.
    """

    user: User
    previous: Passkey
    verified: VerifiedAuthentication
    authenticated_at: datetime
    purpose: str | None = None
    step_up_token: str | None = None

    def __repr__(self) -> str:
        return f"Authentication(user_id={self.user.user_id!r}, …)"

    @property
    def user_id(self) -> str:
        """Who it is: the application's own name for the user."""
        return self.user.user_id

    @property
    def passkey(self) -> Passkey:
        """The passkey as it is stored now."""
        return msgspec.structs.replace(
            self.previous, credential=self.verified.credential, last_used_at=self.authenticated_at
        )

    @property
    def user_verified(self) -> bool:
        """UV of this ceremony."""
        return self.verified.user_verified

    @property
    def user_verification_trusted(self) -> bool:
        """UV that counts as a factor; see `VerifiedAuthentication.user_verification_trusted`."""
        return self.verified.user_verification_trusted


async def start_authentication(
    context: Context,
    *,
    user_id: str | None = None,
    discoverable: bool = False,
    decoys: bool = True,
    preset: Preset | None = None,
    mediation: Literal["conditional"] | None = None,
    binding: bytes | str | None = None,
    purpose: str | None = None,
    account_stamp: str | None = None,
    extra_origin: str | None = None,
    top_origins: Sequence[str] | None = None,
    hints: Sequence[str] = (),
    extensions: AuthenticationExtensions | Mapping[str, Any] | None = None,
    timeout_ms: int | None = None,
) -> StartedAuthentication:
    """Options for the client, for signing in, or for a user who is signed in to prove themselves again.

    Args:
        user_id: Who is to answer. None: whoever has a passkey here; the client then lets the user choose. A second
            factor is never asked for like this: nobody has given a first.
        discoverable: Do not name the user's passkeys: any discoverable one of theirs may answer, nothing is read
            here, and nothing is told of who exists.
        decoys: Show those of the service's `decoy_secret` for a user who has none. False: for a caller who may learn
            who has passkeys, such as the application's own server.
        preset: Instead of the service's.
        mediation: ``conditional`` for autofill.
        purpose: What the ceremony is for, as in a step-up (``transfer:42``); opaque, and repeated at the finish. It
            demands user verification that can be trusted, whatever the preset.
        binding, account_stamp, extra_origin, top_origins: As in `start_registration`.
        hints, extensions, timeout_ms: As in `RelyingParty.authentication_options`.

    Raises:
        CredentialNotFound: The user has no passkey that may answer, or does not exist, or is disabled, and the
            service has no `decoy_secret`. With one, such a start looks like that of a user who has some.
        DecodeError: `user_id_invalid`; `name_invalid`: of `purpose` or `account_stamp`.
        ConfigurationError: An argument that no client or authenticator can honour.

    Spec: #sctn-verifying-assertion
    """
    now = context.now()
    preset = preset or context.preset
    if user_id is not None:
        check_user_id(user_id)
    if preset.usage == "second_factor" and (user_id is None or discoverable):
        raise ConfigurationError(
            "a second factor comes after a first: name the user who gave it, and their passkeys",
            path="user_id" if user_id is None else "discoverable",
        )
    purpose = own_or_free(purpose)
    check_opaque(purpose, account_stamp)
    if purpose is not None and preset.user_verification != "required":
        preset = msgspec.structs.replace(preset, user_verification="required")
    user_handle: bytes | None = None
    allow: Sequence[CredentialDescriptor | CredentialRecord] = ()
    if user_id is not None and not discoverable:
        user_handle, allow = await _allowed(context, user_id, preset, decoys)
    start = context.rp.authentication_options(
        user_handle=user_handle,
        allow=allow,
        preset=preset,
        require_trusted_user_verification=purpose is not None,
        hints=hints,
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
        now=now,
    )
    sealed_state = await context.ceremonies.begin(Ceremony(state=start.state), now)
    context.tell(context.event(EventType.AUTHENTICATION_STARTED, user_id=user_id, purpose=purpose))
    return StartedAuthentication(options=start.options, expires_at=start.state.expires_at, sealed_state=sealed_state)


async def finish_authentication(
    context: Context,
    body: Body,
    *,
    user_id: str | None = None,
    binding: bytes | str | None = None,
    purpose: str | None = None,
    account_stamp: str | None = None,
    sealed_state: str | None = None,
) -> Authentication:
    """Who signed in, after every check, and with the passkey's record updated. The challenge is spent whatever happens.

    Only a body above the size limit is not looked at, and spends nothing.

    Args:
        body: What the page got from ``credential.toJSON()``: JSON text or its members.
        user_id: Who is signed in already. Repeated wherever the start named it, except when a user whom the start
            named signs in with a passkey alone (`sole_factor`, no purpose): then None will do, as nobody is yet.
        binding, purpose, account_stamp: What the ceremony was started with.
        sealed_state: With `StatelessCeremonies`, what the start gave.

    Raises:
        ChallengeError: No such ceremony is under way here, or it is over, or it was started with something else.
        CredentialNotFound: The passkey is unknown, in a ceremony that named nobody; `.signal` is for the client.
        DecodeError, UnsupportedError, VerificationError: As `RelyingParty.verify_authentication`; an unknown passkey
            fails like a bad signature where the start named a user.
        CeremonyError: `user_disabled`. ConflictError: The record changes faster than it can be written.

    Spec: #sctn-verifying-assertion
    """
    now = context.now()
    is_ours = purpose is None or isinstance(purpose, OwnPurpose)  # whoever asked proves it by other means, or not
    try:
        response = context.rp.parse_authentication(body)
        challenge = claimed_challenge(response.client_data_json, context.rp.policy)
    except DecodeError:
        await spend_malformed(context, body, sealed_state, now)
        raise
    ceremony = found_ceremony(await context.ceremonies.take(context.realm, challenge, sealed_state, now))
    state = ceremony.state
    found: tuple[Passkey, User] | None = None
    try:
        if (
            not isinstance(state, AuthenticationState)
            or state.purpose != purpose
            or state.account_stamp != account_stamp
        ):
            raise unknown_challenge()
        if user_id is None and state.usage == "sole_factor" and purpose is None:
            user_id = state.user_id  # nobody is signed in yet who could be repeated

        repository, realm, rp = context.repository, context.realm, context.rp
        found = await repository.find_passkey(realm, response.raw_id)
        if found is None or state.user_id not in (None, found[0].user_id):
            _refuse(context, response, state, user_id, binding, now)
        passkey, user = found
        verified = rp.verify_authentication(
            response, state, passkey.credential, user_id=user_id, binding=binding, now=now
        )
        event = context.event(
            EventType.AUTHENTICATION_SUCCEEDED,
            user_id=user.user_id,
            credential_id=passkey.credential_id,
            purpose=state.purpose,
        )
        for _ in range(_ATTEMPTS):
            if user.disabled_at is not None:
                raise CeremonyError(Code.USER_DISABLED, "the user is disabled")
            token = None if is_ours else step_up_token(context, state, passkey, user, now)
            if await repository.advance_passkey(realm, verified.update, now, context.stored(event)):
                break
            found = await repository.find_passkey(realm, response.raw_id)
            if found is None or found[0].user_id != passkey.user_id:
                raise CredentialNotFound("the passkey was removed meanwhile", path="rawId")
            passkey, user = found
            verified = judge_again(verified, state, passkey.credential, policy=rp.policy)
        else:
            raise ConflictError(Code.CONFLICT, "the passkey's record changes faster than it can be written")
        context.tell(event)
        return Authentication(
            user=user,
            previous=passkey,
            verified=verified,
            authenticated_at=now,
            purpose=state.purpose,
            step_up_token=token,
        )
    except PasskeyError as error:
        owner = found[0].user_id if found is not None and error.code in _SIGNED else state.user_id
        await record_failure(context, EventType.AUTHENTICATION_FAILED, state, owner, response.raw_id, error)
        raise


async def _allowed(
    context: Context, user_id: str, preset: Preset, with_decoys: bool
) -> tuple[bytes, Sequence[CredentialDescriptor | CredentialRecord]]:
    """The user's handle and the passkeys that may answer; those of a decoy for somebody who has none."""
    # Made for everybody: the time that they take would tell for whom they were needed.
    instead = None
    if with_decoys and context.decoy_secret is not None:
        instead = decoys_of(context.decoy_secret, context.realm, user_id)
    account = await context.repository.find_account(context.realm, user_id)
    if account is not None and account.user.disabled_at is None:
        allowed = [
            passkey.credential
            for passkey in account.passkeys
            if passkey.credential.rp_id == context.rp.id
            and (preset.usage != "sole_factor" or passkey.credential.usage != "second_factor")
        ]
        if allowed:
            return account.user.user_handle, allowed
    if instead is None:
        raise CredentialNotFound("the user has no passkey that may answer", path="user_id")
    return instead


def _refuse(
    context: Context,
    response: AuthenticationResponse,
    state: AuthenticationState,
    user_id: str | None,
    binding: bytes | str | None,
    now: datetime,
) -> NoReturn:
    """Refuses a passkey that the user does not have, after the same work and with the same error as a bad signature."""
    nobodys = CredentialRecord(
        credential_id=response.raw_id,
        public_key=_nobodys_key(),
        rp_id=context.rp.id,
        user_handle=state.user_handle or response.user_handle,
        uv_initialized=True,
    )
    try:
        context.rp.verify_authentication(response, state, nobodys, user_id=user_id, binding=binding, now=now)
    except SignatureError:
        if state.user_id is not None:
            raise
    # Only a client that chose the passkey by itself may learn that there is none: it can then forget it.
    signal = {"rpId": context.rp.id, "credentialId": encode_base64url(response.raw_id)}
    raise CredentialNotFound("no such passkey", path="rawId", signal=signal if state.user_id is None else None)


@lru_cache(maxsize=1)
def _nobodys_key() -> bytes:
    """A COSE key for ES256 whose private part was forgotten before anybody saw it."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
    return b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + b"\x22\x58\x20" + y
