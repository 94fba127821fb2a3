"""What the application's servers ask about actions and device challenges, with their API key.

Users' ids are in bodies, never in addresses, which proxies write into their logs.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from ....actions.facts import CustomValue
from ....actions.states import ActionState, Method
from ....devices import DeviceMethod
from ....engine.actions.records import ActionFilter
from ....engine.actions.tracking import ClientInfo
from ....engine.devices.challenges import StartedDeviceChallenge
from ....errors import Code, DecodeError
from ..calls import Call, Row, post
from ..shapes import (
    ActionMembers,
    Asked,
    AwareTime,
    DeviceMembers,
    Done,
    action_of,
    device_of,
    in_utc,
)
from .passkeys import Purpose


class ClientFacts(Asked, frozen=True, kw_only=True):
    """What the application knows of who asks; rules look at it."""

    ip_address: str | None = None
    user_agent: str | None = None
    device_id: str | None = None
    custom: Annotated[dict[str, CustomValue], msgspec.Meta(max_length=64)] = msgspec.field(
        default_factory=dict[str, CustomValue]
    )


class TrackAction(Asked, frozen=True, kw_only=True):
    """What a user is about to do.

    The same `idempotency_key` gives the same answer; choose one for each thing that is about to be done. `scope` is
    what the token lets its holder do besides: `add:authenticators`, `read:authenticators`, `remove:authenticators`,
    only for a user who is signed in.
    """

    user_id: str
    action: str
    idempotency_key: str | None = None
    client: ClientFacts = msgspec.field(default_factory=ClientFacts)
    scope: Annotated[list[str], msgspec.Meta(max_length=16)] = msgspec.field(default_factory=list[str])
    redirect_url: str | None = None


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """The action, and `token` for the client, which names the action and proves nothing.

    `url` is a hosted page that meets the challenge, and then sends the user to `redirect_url`; null: there is none.
    """

    action: ActionMembers
    token: str
    url: str | None
    enrolled_methods: tuple[Method, ...]


class ValidateToken(Asked, frozen=True, kw_only=True):
    """The token that the client got when it met the challenge.

    `user_id` and `action` say whose and what it has to be; of a sign-in, whose is not known before. Unless `consume` is
    false, the token is good this once.
    """

    token: str
    action: str
    user_id: str | None = None
    consume: bool = True


class ActionNamed(Asked, frozen=True, kw_only=True):
    """Which action."""

    user_id: str
    action: str
    idempotency_key: str


class ReviewAction(ActionNamed, frozen=True, kw_only=True):
    """What somebody who reviews actions has decided."""

    state: Literal["REVIEW_SUCCEEDED", "REVIEW_FAILED"]


class ListActions(Asked, frozen=True, kw_only=True):
    """Which actions; null: any. From `since` until before `until`."""

    user_id: str | None = None
    actions: Annotated[list[str], msgspec.Meta(max_length=100)] | None = None
    states: Annotated[list[ActionState], msgspec.Meta(max_length=100)] | None = None
    since: AwareTime | None = None
    until: AwareTime | None = None
    cursor: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100


class ActionList(msgspec.Struct, frozen=True, kw_only=True):
    """Actions, the newest first; `next_cursor` gives the next page with the same filter, and is null at the end."""

    actions: list[ActionMembers]
    next_cursor: str | None


class StartActionDevice(Asked, frozen=True, kw_only=True):
    """A challenge of an action for one of its user's devices, and what the device shows: its user signs that.

    The client that has the token then polls it by `/action/device/poll`.
    """

    token: str
    method: DeviceMethod
    authenticator_id: str | None = None
    content: Annotated[str, msgspec.Meta(max_length=4_096)] = ""
    number_matching: bool = False


class StartDeviceQuestion(Asked, frozen=True, kw_only=True):
    """A question to a user's device, or by `qr-code` and `in-app` to whoever's. Polling repeats `binding`.

    `binding` is a secret of whoever waits, such as their session's id.
    """

    method: DeviceMethod
    user_id: str | None = None
    binding: Annotated[str, msgspec.Meta(min_length=16, max_length=512)]
    authenticator_id: str | None = None
    purpose: Purpose | None = None
    content: Annotated[str, msgspec.Meta(max_length=4_096)] = ""
    number_matching: bool = False


class PushTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A device that may answer, and where a push message for it goes."""

    device: DeviceMembers
    push_token: str | None


class DeviceQuestionForServer(msgspec.Struct, frozen=True, kw_only=True):
    """The question has begun. `devices` may answer it; the push messages are the application's to send."""

    challenge_id: str
    expires_at: datetime
    verification_code: str | None
    devices: list[PushTarget]


class PollDeviceQuestion(Asked, frozen=True, kw_only=True):
    """The question, and what it was started with."""

    challenge_id: str
    binding: Annotated[str, msgspec.Meta(min_length=16, max_length=512)]
    user_id: str | None = None
    purpose: Purpose | None = None


class DeviceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`approved` is given out once. Until then, the user and the device are null."""

    state: Literal["pending", "claimed", "approved"]
    user_id: str | None = None
    device: DeviceMembers | None = None


async def track(call: Call, asked: TrackAction) -> Tracked:
    """Tracks what a user is about to do, as rules decide."""
    if asked.redirect_url is not None and not call.site.may_redirect(asked.redirect_url):
        raise DecodeError(Code.ACTION_INVALID, "not registered for this tenant", path="redirect_url")
    client = {name: getattr(asked.client, name) for name in ClientFacts.__struct_fields__}
    tracked = await call.actions.track(
        asked.user_id,
        asked.action,
        idempotency_key=asked.idempotency_key,
        client=ClientInfo(**client),
        scope=asked.scope,
        redirect_url=asked.redirect_url,
    )
    page = call.site.page_url
    return Tracked(
        action=action_of(tracked.action),
        token=tracked.token,
        url=None if page is None else f"{page}?token={tracked.token}",
        enrolled_methods=tuple(tracked.enrolled_methods),
    )


async def validate(call: Call, asked: ValidateToken) -> ActionMembers:
    """The action whose challenge was met, as the token proves."""
    return action_of(
        await call.actions.validate_challenge(
            asked.token, user_id=asked.user_id, action=asked.action, consume=asked.consume
        )
    )


async def get_action(call: Call, asked: ActionNamed) -> ActionMembers:
    """The action as it is now."""
    return action_of(await call.actions.get_action(asked.user_id, asked.action, asked.idempotency_key))


async def review(call: Call, asked: ReviewAction) -> ActionMembers:
    """The action after its review."""
    return action_of(
        await call.actions.update_action(asked.user_id, asked.action, asked.idempotency_key, state=asked.state)
    )


async def list_actions(call: Call, asked: ListActions) -> ActionList:
    """Actions, a page at a time."""
    page = await call.actions.list_actions(
        ActionFilter(
            user_id=asked.user_id,
            actions=None if asked.actions is None else tuple(asked.actions),
            states=None if asked.states is None else tuple(asked.states),
            since=None if asked.since is None else in_utc(asked.since, "since"),
            until=None if asked.until is None else in_utc(asked.until, "until"),
        ),
        cursor=asked.cursor,
        limit=asked.limit,
    )
    return ActionList(actions=list(map(action_of, page.actions)), next_cursor=page.next_cursor)


async def start_action_device(call: Call, asked: StartActionDevice) -> DeviceQuestionForServer:
    """Asks one of the user's devices, with what it is to show."""
    return _question(
        await call.actions.start_device_challenge(
            asked.token,
            method=asked.method,
            authenticator_id=asked.authenticator_id,
            content=asked.content,
            number_matching=asked.number_matching or call.site.number_matching,
        )
    )


async def start_question(call: Call, asked: StartDeviceQuestion) -> DeviceQuestionForServer:
    """Asks a device, for no action."""
    if asked.method == "push" and asked.user_id is None:
        raise DecodeError(Code.USER_ID_INVALID, "a push message goes to somebody", path="user_id")
    return _question(
        await call.devices.start_challenge(
            method=asked.method,
            user_id=asked.user_id,
            binding=asked.binding,
            authenticator_id=asked.authenticator_id,
            purpose=asked.purpose,
            content=asked.content,
            number_matching=asked.number_matching,
        )
    )


async def poll_question(call: Call, asked: PollDeviceQuestion) -> DeviceAnswer:
    """The device's approval, once."""
    named: Any = {"user_id": asked.user_id, "binding": asked.binding, "purpose": asked.purpose}
    approval = await call.devices.poll_challenge(asked.challenge_id, **named)
    if approval is not None:
        return DeviceAnswer(state="approved", user_id=approval.user_id, device=device_of(approval.device))
    state = await call.devices.challenge_state(asked.challenge_id, **named)
    return DeviceAnswer(state="claimed" if state == "claimed" else "pending")


async def cancel_question(call: Call, asked: PollDeviceQuestion) -> Done:
    """Gives up a question that was not answered."""
    await call.devices.cancel_challenge(
        asked.challenge_id, user_id=asked.user_id, binding=asked.binding, purpose=asked.purpose
    )
    return Done()


def _question(start: StartedDeviceChallenge) -> DeviceQuestionForServer:
    return DeviceQuestionForServer(
        challenge_id=start.challenge_id,
        expires_at=start.challenge.expires_at,
        verification_code=start.challenge.verification_code,
        devices=[PushTarget(device=device_of(each), push_token=each.push_token) for each in start.devices],
    )


_ASK: Final = "/server/device-challenges"
ROWS: Final[tuple[Row, ...]] = (
    post("/server/actions/track", "server", track, TrackAction, Tracked, "actions"),
    post("/server/actions/validate", "server", validate, ValidateToken, ActionMembers, "actions"),
    post("/server/actions/get", "server", get_action, ActionNamed, ActionMembers, "actions"),
    post("/server/actions/review", "server", review, ReviewAction, ActionMembers, "actions"),
    post("/server/actions/list", "server", list_actions, ListActions, ActionList, "actions"),
    post(
        "/server/actions/device/start",
        "server",
        start_action_device,
        StartActionDevice,
        DeviceQuestionForServer,
        "actions",
        "devices",
    ),
    post(f"{_ASK}/start", "server", start_question, StartDeviceQuestion, DeviceQuestionForServer, "devices"),
    post(f"{_ASK}/poll", "server", poll_question, PollDeviceQuestion, DeviceAnswer, "devices"),
    post(f"{_ASK}/cancel", "server", cancel_question, PollDeviceQuestion, Done, "devices"),
)
"""Routes of the application's servers about actions and devices' answers."""
