"""Enrolling with the token of an action: the steps that the tests of it share."""

from typing import Any

from passkeycore.testing import SoftwareDevice, VirtualClient
from tests.engine.kit import browser

from .kit import DOMAIN, Stage, enrolled

NEW = browser("new")
KINDS = ("passkey", "push")


def add(stage: Stage, token: str, kind: str, **more: Any) -> Any:
    """A new authenticator of this kind, with the token."""
    if kind == "passkey":
        start = stage.actions.start_passkey_enrolment(token, user_name="name", **more)
        return stage.actions.finish_passkey_enrolment(token, NEW.create(start.to_dict()))
    device = SoftwareDevice("new", domain=DOMAIN, method=kind)  # type: ignore[arg-type]
    return stage.actions.enrol_device(token, user_name="name", **(enrolled(device, token) | more))


def number_of(stage: Stage, user_id: str = "ada") -> int:
    return len(stage.devices.list_authenticators(user_id))


def first(stage: Stage, kind: str, user_id: str = "ada") -> VirtualClient | SoftwareDevice:
    """The user's first authenticator."""
    return stage.register(user_id) if kind == "passkey" else stage.enrol(user_id)
