"""The commands: what each takes, does and answers, and by which names its errors are known.

What belongs here: one shape, one function and one line of the table for each command.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from ...errors import ChallengeError, Code, PasskeyError
from ...relying_party import RelyingParty
from ...webauthn.encoding import encode_base64url
from ..tenancy.tenants import Tenant
from .origins import check_extra_origin, is_named
from .wire import Members, named, origin_not_allowed, read

_M = TypeVar("_M", bound=Members)

# Ties a ceremony to this dialect: none of another room's is finished here, and none of here in another. It is no
# `purpose`, which would demand user verification of passkeys that are only a second factor.
_BINDING: Final = "propelauth"
_NOT_NAMED: Final = "propelauth, but its origin was not named again"  # of no ceremony: to spend one, and nothing else


class Call(NamedTuple):
    """A command that may be run: whose users it is about, and the ``User-Agent`` of the client, or empty."""

    tenant: Tenant
    user_agent: str

    @property
    def rp(self) -> RelyingParty:
        """The tenant's."""
        return self.tenant.passkeys.context.rp


class StartRegistration(Members, frozen=True):
    """`user_id` and `email_or_username` are the application's; `passkey_display_name` is what lists show."""

    user_id: str
    email_or_username: str
    user_display_name: str | None = None
    passkey_display_name: str | None = None
    additional_allowed_origin: str | None = None


class StartAuthentication(Members, frozen=True):
    """Whose passkeys may answer."""

    user_id: str
    additional_allowed_origin: str | None = None


class Finish(Members, frozen=True):
    """`public_key` is the whole response of the browser, as JSON in UTF-8."""

    user_id: str
    public_key: msgspec.Raw
    additional_allowed_origin: str | None = None


class OfUser(Members, frozen=True):
    """Whose passkeys."""

    user_id: str


class OfPasskey(Members, frozen=True):
    """Which passkey of whom; `credential_id` in base64url."""

    user_id: str
    credential_id: str


async def _start_registration(call: Call, data: StartRegistration) -> dict[str, Any]:
    check_extra_origin(data.additional_allowed_origin, call.rp)
    start = await call.tenant.passkeys.start_registration(
        user_id=data.user_id,
        user_name=data.email_or_username,
        user_display_name=data.user_display_name or "",
        passkey_name=data.passkey_display_name or None,
        binding=_BINDING,
        extra_origin=data.additional_allowed_origin,
    )
    return {"registrationOptions": start.to_dict()}


async def _finish_registration(call: Call, data: Finish) -> dict[str, Any]:
    return await _finish(call, data, call.tenant.passkeys.finish_registration)


async def _start_authentication(call: Call, data: StartAuthentication) -> dict[str, Any]:
    check_extra_origin(data.additional_allowed_origin, call.rp)
    # Without decoys: whoever has shown a key may learn who has no passkeys, and has an error for it.
    start = await call.tenant.passkeys.start_authentication(
        user_id=data.user_id, decoys=False, binding=_BINDING, extra_origin=data.additional_allowed_origin
    )
    return {"authenticationOptions": start.to_dict()}


async def _finish_authentication(call: Call, data: Finish) -> dict[str, Any]:
    return await _finish(call, data, call.tenant.passkeys.finish_authentication)


async def _finish(call: Call, data: Finish, finish: Callable[..., Awaitable[object]]) -> dict[str, Any]:
    check_extra_origin(data.additional_allowed_origin, call.rp)
    body = bytes(data.public_key)
    if is_named(body, data.additional_allowed_origin, call.rp):
        await finish(body, user_id=data.user_id, binding=_BINDING)
        return {}
    with suppress(ChallengeError):
        await finish(body, user_id=data.user_id, binding=_NOT_NAMED)
    raise origin_not_allowed()


async def _fetch_all(call: Call, data: OfUser) -> dict[str, Any]:
    passkeys = await call.tenant.passkeys.list_passkeys(data.user_id)
    return {
        "passkeys": [
            {"credentialId": encode_base64url(passkey.credential_id), "displayName": passkey.name}
            for passkey in passkeys
        ]
    }


async def _deregister(call: Call, data: OfPasskey) -> dict[str, Any]:
    await call.tenant.passkeys.remove_passkey(data.user_id, data.credential_id)
    return {}


async def _deregister_all(call: Call, data: OfUser) -> dict[str, Any]:
    await call.tenant.passkeys.remove_all_passkeys(data.user_id)
    return {}


async def _ping(call: Call, data: Members) -> dict[str, Any]:
    return {"timestamp": int(call.tenant.passkeys.context.now().timestamp())}


Answer = Callable[[Call, bytes], Awaitable[Mapping[str, Any]]]
"""Runs a command with its data, JSON in UTF-8."""


def _command(
    shape: type[_M], run: Callable[[Call, _M], Awaitable[Mapping[str, Any]]], kinds: Mapping[Code, str] | None = None
) -> Answer:
    decoder = msgspec.json.Decoder(shape)

    async def answer(call: Call, data: bytes) -> Mapping[str, Any]:
        try:
            return await run(call, read(decoder, b"{}" if data == b"null" else data))
        except PasskeyError as error:
            refusal = named(error, kinds or {}, call.user_agent)
            if refusal is None:
                raise
            raise refusal from None

    return answer


def _no_challenge(kind: str) -> dict[Code, str]:
    return {
        Code.CHALLENGE_UNKNOWN: kind,
        Code.CHALLENGE_EXPIRED: kind,
        Code.ORIGIN_NOT_ALLOWED: "OriginNotAllowed",
    }


COMMANDS: Final[Mapping[str, Answer]] = MappingProxyType(
    {
        "StartPasskeyRegistration": _command(
            StartRegistration, _start_registration, {Code.LIMIT_REACHED: "TooManyPasskeys"}
        ),
        "FinishPasskeyRegistration": _command(
            Finish,
            _finish_registration,
            {
                **_no_challenge("NoRegistrationChallengeFound"),
                Code.CREDENTIAL_EXISTS: "PasskeyForUserAlreadyExists",
            },
        ),
        "StartPasskeyAuthentication": _command(
            StartAuthentication, _start_authentication, {Code.NO_CREDENTIAL: "NoPasskeysRegisteredForUser"}
        ),
        "FinishPasskeyAuthentication": _command(
            Finish, _finish_authentication, _no_challenge("NoAuthenticationChallengeFound")
        ),
        "FetchAllPasskeysForUser": _command(OfUser, _fetch_all),
        # What is no credential id at all is none of the user's either.
        "DeregisterPasskey": _command(
            OfPasskey,
            _deregister,
            {Code.NO_CREDENTIAL: "PasskeyNotFound", Code.BASE64URL_INVALID: "PasskeyNotFound"},
        ),
        "DeregisterAllPasskeysForUser": _command(OfUser, _deregister_all),
        "Ping": _command(Members, _ping),
    }
)
"""What is served."""

NOT_SERVED: Final = frozenset(
    {
        "CreateDeviceChallenge",
        "CreateSession",
        "CreateStatelessToken",
        "FetchAllSessions",
        "FetchAllSessionsForUser",
        "FetchSessionById",
        "GetJwks",
        "InvalidateAllSessionsForUser",
        "InvalidateAllSessionsForUserExceptOne",
        "InvalidateSessionById",
        "InvalidateSessionByToken",
        "RegisterDevice",
        "RotateStatelessTokenKey",
        "UpdateSession",
        "UpdateSessions",
        "ValidateAndRefreshSession",
        "ValidateSession",
    }
)
"""What is known, but no key may run: sessions and devices."""
