"""Signing in: a browser by a passkey, with autofill as well, or by a QR code; an app by the key of its device.

Where there is an action service, every sign-in is the action ``sign-in``, so that rules may block it, and its token is
what the application's server validates. Otherwise the host is told, and nobody else is.
"""

import inspect
from collections.abc import Mapping
from typing import Annotated, Final, Literal, cast

import msgspec
from starlette.responses import Response

from ....engine.actions.challenges import MetChallenge
from ....errors import CredentialNotFound
from ....webauthn.encoding import decode_base64url, encode_base64url
from ...edge.http import json_answer
from ..calls import Call, Row, SignIn, get, not_available, post
from ..shapes import (
    Asked,
    Binary,
    CeremonyFinish,
    CeremonyStart,
    ChallengeNamed,
    DeviceQuestion,
    Hints,
    Nothing,
    question_of,
    start_of,
)
from ..visitors import ID_BYTES, csrf_token, keep_visitor

ACTION: Final = "sign-in"
"""The word of the action that a sign-in is. Rules decide by it, and servers validate its token."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """`csrf_token` goes into the header X-CSRF-Token of whatever this page posts. It lasts as long as the cookie."""

    csrf_token: str
    signed_in: bool


class StartSignIn(Asked, frozen=True, kw_only=True):
    """With `autofill` the browser offers passkeys in a form's field, and the ceremony may take half an hour."""

    autofill: bool = False
    hints: Hints = msgspec.field(default_factory=list[Literal["security-key", "client-device", "hybrid"]])


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who has just signed in.

    `token` proves it: the application's server validates it for the action `sign-in`, and only then believes it. Null:
    the application was told already. Its own answer may stand here instead.
    """

    user_id: str
    token: str | None


class QrSignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Null: no device has answered yet. Ask again in a second or two."""

    signed_in: SignedIn | None


class AnswerInApp(Asked, frozen=True, kw_only=True):
    """The approval of the app that asked, signed by its device."""

    challenge_id: str
    public_key: Binary
    signature: Binary
    app_attest_assertion: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]*$", max_length=8_192)] | None = None


async def session(call: Call, _: None) -> Session | Response:
    """The token against forged requests, and the cookie that it goes with."""
    site = call.site
    visitor_id = call.identity.visitor_id or encode_base64url(call.passkeys.context.random(ID_BYTES))
    user = None if site.current_user is None else site.current_user(call.request)
    user_id = await user if inspect.isawaitable(user) else user
    members = Session(csrf_token=csrf_token(visitor_id, site.tenant_id), signed_in=bool(user_id))
    answer = json_answer(msgspec.to_builtins(members))
    if not call.identity.visitor_id:
        keep_visitor(answer, visitor_id, site.origins)
    return answer


async def start_passkey(call: Call, asked: StartSignIn) -> CeremonyStart:
    """Begins a sign-in with a passkey, of whoever has one here."""
    mediation: Literal["conditional"] | None = "conditional" if asked.autofill else None
    binding = call.identity.visitor_id
    if call.site.actions is None:
        start = await call.passkeys.start_authentication(mediation=mediation, binding=binding, hints=asked.hints)
    else:
        start = await call.actions.start_passkey_sign_in(
            ACTION, binding=binding, mediation=mediation, hints=asked.hints
        )
    return start_of(start)


async def finish_passkey(call: Call, asked: CeremonyFinish) -> SignedIn | Response:
    """Signs in whoever's passkey it is. The client is told to forget it only if nobody knows it."""
    try:
        return await _finished(call, asked)
    except CredentialNotFound as error:
        may_forget = call.site.may_forget
        if error.signal is None or may_forget is None or await may_forget(error.signal["credentialId"]):
            raise
        raise CredentialNotFound("another realm of the server may know it", path=error.path) from None


async def _finished(call: Call, asked: CeremonyFinish) -> SignedIn | Response:
    body, binding = bytes(asked.response), call.identity.visitor_id
    if call.site.actions is None:
        done = await call.passkeys.finish_authentication(body, binding=binding, sealed_state=asked.sealed_state)
        return await _told(call, done, None)
    met = await call.actions.finish_passkey_sign_in(
        ACTION, body, binding=binding, client=call.client, sealed_state=asked.sealed_state
    )
    return await _met(call, met)


async def start_qr(call: Call, asked: Nothing) -> DeviceQuestion:
    """Begins a sign-in with a device that scans a QR code of `challenge_id`."""
    return question_of(
        await call.actions.start_device_sign_in(ACTION, method="qr-code", binding=call.identity.visitor_id)
    )


async def poll_qr(call: Call, asked: ChallengeNamed) -> QrSignIn | Response:
    """Signs in whoever's device has approved, once."""
    met = await call.actions.finish_device_sign_in(
        ACTION, asked.challenge_id, binding=call.identity.visitor_id, client=call.client
    )
    if met is None:
        return QrSignIn(signed_in=None)
    answer = await _met(call, met)
    return answer if isinstance(answer, Response) else QrSignIn(signed_in=answer)


async def start_in_app(call: Call, asked: Nothing) -> DeviceQuestion:
    """Begins a sign-in within the app that holds the device's key."""
    return question_of(await call.actions.start_in_app_challenge(ACTION))


async def finish_in_app(call: Call, asked: AnswerInApp) -> SignedIn | Response:
    """Signs in whoever's device has approved."""
    return await _met(
        call,
        await call.actions.finish_in_app_challenge(
            asked.challenge_id,
            public_key=decode_base64url(asked.public_key, "public_key"),
            signature=decode_base64url(asked.signature, "signature"),
            client=call.client,
            app_attest_assertion=assertion_of(asked.app_attest_assertion),
        ),
    )


def assertion_of(text: str | None) -> bytes | None:
    """App Attest's assertion, where there is one.

    Raises:
        DecodeError: `base64url_invalid`.
    """
    return None if text is None else decode_base64url(text, "app_attest_assertion")


async def _met(call: Call, met: MetChallenge) -> SignedIn | Response:
    done = met.authentication or met.approval
    if done is None:
        raise not_available()
    return await _told(call, done, met.token)


async def _told(call: Call, done: SignIn, token: str | None) -> SignedIn | Response:
    """The host's own answer, or the usual one. Where the host is told, no token goes out that would prove it again."""
    if call.site.on_sign_in is None:
        return SignedIn(user_id=done.user_id, token=token)
    answer = call.site.on_sign_in(call.request, done)
    if inspect.isawaitable(answer):
        answer = await answer
    if isinstance(answer, Response):
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer
    if isinstance(answer, Mapping):
        return json_answer(cast("Mapping[str, object]", answer))
    return SignedIn(user_id=done.user_id, token=None)


ROWS: Final[tuple[Row, ...]] = (
    get("/session", "visitor", session, Session),
    post("/sign-in/passkey/start", "visitor", start_passkey, StartSignIn, CeremonyStart, "sign_in", "sole_factor"),
    post("/sign-in/passkey/finish", "visitor", finish_passkey, CeremonyFinish, SignedIn, "sign_in", "sole_factor"),
    post("/sign-in/qr/start", "visitor", start_qr, Nothing, DeviceQuestion, "actions", "devices"),
    post("/sign-in/qr/poll", "visitor", poll_qr, ChallengeNamed, QrSignIn, "actions", "devices"),
    post("/sign-in/in-app/start", "anyone", start_in_app, Nothing, DeviceQuestion, "actions", "devices"),
    post("/sign-in/in-app/finish", "device", finish_in_app, AnswerInApp, SignedIn, "actions", "devices"),
)
"""Routes of whoever is not signed in yet."""
