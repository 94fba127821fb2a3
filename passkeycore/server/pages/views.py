"""Which page an action wants, and what its holder may do there: decided from values, without storage."""

from collections.abc import Collection, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from ...actions.states import ActionState, Method
from ...devices import DeviceMethod
from ...engine.actions.records import Action
from ...engine.actions.steps import TokenKind
from ...engine.actions.tracking import ADD_AUTHENTICATORS
from .opened import Opened

Note: TypeAlias = Literal["blocked", "review", "refused", "failed", "confirmed", "no-method", "address", "nothing"]
View: TypeAlias = Literal["challenge", "enrolment", "settings"] | Note
Way: TypeAlias = Literal["passkey", "push", "qr-code"]
"""How a page has a challenge met: by a passkey, or by the user's app after a push message or a scan."""

_STATES: Final[Mapping[ActionState, Note]] = {
    ActionState.BLOCK: "blocked",
    ActionState.REVIEW_REQUIRED: "review",
    ActionState.REVIEW_FAILED: "refused",
    ActionState.CHALLENGE_FAILED: "failed",
}
# A device that is asked in its app is asked by whoever waits here: that it looks by itself is its own business.
_DEVICES: Final[tuple[tuple[Way, DeviceMethod], ...]] = (
    ("push", "push"),
    ("push", "in-app"),
    ("qr-code", "qr-code"),
)


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What the holder of a token may do with the user's passkeys and devices, besides meeting the challenge."""

    read: bool
    add: bool
    rename: bool
    remove: bool


def rights_of(opened: Opened, kind: TokenKind, action: Action, enrolled: Collection[Method]) -> Rights:
    """What whoever opened a page may do: all, once they met the challenge on our own page before; else what is asked.

    A token in an address comes from the application, and any browser may bring it: it gives what the action's scope
    says, and that of a success lets its holder enrol as well.

    Args:
        opened: The page.
        kind, action: Of the token.
        enrolled: What the user has. The first of all takes no scope, as nothing else can meet a challenge.
    """
    met_here, scope = opened.proof is not None, action.scope
    is_open = _is_open(kind, action)
    if opened.proof is not None and opened.proof.removed_here:  # nothing proves any more who it is
        return Rights(read=is_open, add=False, rename=False, remove=False)
    return Rights(
        read=is_open and (met_here or bool(scope)),
        add=not enrolled or (is_open and (kind == "success" or ADD_AUTHENTICATORS in scope)),
        rename=is_open and (met_here or "update:authenticators" in scope),
        remove=is_open and (met_here or "remove:authenticators" in scope),
    )


def view_of(
    opened: Opened,
    kind: TokenKind,
    action: Action,
    enrolled: Collection[Method],
    ways: Collection[Way],
    *,
    passkeys: bool,
) -> View:
    """The page for an action as it is now.

    Args:
        opened: What the user came for.
        kind, action: Of the token.
        enrolled: What the user has.
        ways: How a challenge can be met here.
        passkeys: The page's address is one that the tenant's passkeys work at.
    """
    if action.state in _STATES:
        return _STATES[action.state]
    if kind == "track" and action.state is ActionState.CHALLENGE_SUCCEEDED:
        return "confirmed"
    if action.state is ActionState.CHALLENGE_REQUIRED:
        if ways:
            return "challenge"
        if not passkeys and (not enrolled or _may(action, enrolled, "passkey")):
            return "address"
        return "no-method" if enrolled else "enrolment"
    rights = rights_of(opened, kind, action, enrolled)
    if opened.settings and rights.read:
        return "settings"
    return "enrolment" if passkeys and rights.add and _wants_enrolment(opened, kind, action, enrolled) else "nothing"


def goes_on(opened: Opened, action: Action, enrolled: Collection[Method], *, passkeys: bool) -> bool:
    """Whether there is another page for a user who has just met the action's challenge."""
    return opened.settings or (passkeys and _wants_enrolment(opened, "success", action, enrolled))


def ways_of(action: Action, usable: Collection[Method], *, passkeys: bool) -> tuple[Way, ...]:
    """How the challenge can be met here, the simplest first.

    Args:
        action: Whose challenge.
        usable: What the user has that has not expired.
        passkeys: The page's address is one that the tenant's passkeys work at.
    """
    by_device: list[Way] = [way for way, method in _DEVICES if _may(action, usable, method)]
    by_passkey: tuple[Way, ...] = ("passkey",) if passkeys and _may(action, usable, "passkey") else ()
    return (*by_passkey, *dict.fromkeys(by_device))


def device_method(way: Way, action: Action, usable: Collection[Method]) -> DeviceMethod | None:
    """What the user's device is to answer; None: it is no way for devices, or the user has none for it."""
    return next((method for one, method in _DEVICES if one == way and _may(action, usable, method)), None)


def _may(action: Action, found: Collection[Method], method: Method) -> bool:
    return method in action.allowed_methods and method in found


def _wants_enrolment(opened: Opened, kind: TokenKind, action: Action, enrolled: Collection[Method]) -> bool:
    # Who has just proved themselves is offered a passkey where the application wants one, and they have none.
    asked = ADD_AUTHENTICATORS in action.scope and (kind == "track" or "passkey" not in enrolled)
    return opened.enrolment or not enrolled or asked


def _is_open(kind: TokenKind, action: Action) -> bool:
    """Whether nothing stands before the list: a challenge has to be met first, and a refusal is one."""
    if kind == "success":
        return action.state is ActionState.CHALLENGE_SUCCEEDED
    return action.state in (ActionState.ALLOW, ActionState.REVIEW_SUCCEEDED)
