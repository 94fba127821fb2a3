"""Codes of devices, actions, App Attest and webhooks, which no ceremony ends in: one call that raises each.

What belongs here: that a code is raised at all, and by which class. What is refused, and when, is tested beside the
code that refuses it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from passkeycore import Code
from passkeycore.actions import ActionRules, ActionSettings
from passkeycore.app_attest import AppAttestKey, verify_assertion
from passkeycore.engine.actions.service import ActionService
from passkeycore.engine.devices.service import DeviceService
from passkeycore.testing import SoftwareAppAttest
from passkeycore.webhooks import WebhookSecrets, sign_webhook, verify_webhook, webhook_secret

from ..engine.devices.kit import DOMAIN, PAY, PHONE, TABLET, TOKENS, answer, enrol_all, staged
from ..engine.kit import NOW, Clock, engine

_APP: Final = SoftwareAppAttest("product")
_KEY: Final = AppAttestKey(key_id=_APP.key_id, public_key=_APP.public_key, app_id=_APP.app_id, environment="production")
_SECRETS: Final = WebhookSecrets([webhook_secret(bytes(range(32)))])


def _code_given_though_none_is_shown() -> object:
    stage = staged("sync", "answer")
    stage.says["verification_code"] = stage.asks["verification_code"] = "1234"
    return stage.act()


def _polled_after(decision: str | None) -> object:
    stage = staged("sync", "answer")
    id, asked = stage.start.challenge_id, {"user_id": "ada", "purpose": PAY["purpose"]}
    if decision is None:
        stage.devices.cancel_challenge(id, **asked)
    else:
        answer(stage.devices, PHONE, stage.start, decision)
    return stage.devices.poll_challenge(id, **asked)


def _actions(rules: ActionRules | None = None) -> ActionService:
    """Of ada, who has devices."""
    passkeys = engine("sync", clock=Clock())
    devices = DeviceService(passkeys.memory, domain=DOMAIN, tokens=TOKENS, now=passkeys.clock)
    whole = staged("sync", "answer").devices
    whole.service, whole.memory = devices, passkeys.memory
    enrol_all(whole)
    return ActionService(passkeys.memory, tokens=TOKENS, devices=devices, rules=rules)


def _another_method_than_is_allowed() -> object:
    actions = _actions(ActionRules(default=ActionSettings(allowed_methods=("qr-code",))))
    token = actions.track("ada", "transfer").token
    return actions.start_device_challenge(token, method="push")


def _success_of_what_was_not_met() -> object:
    actions = _actions()
    return actions.validate_challenge(actions.track("ada", "transfer").token)


def _second_device_without_scope() -> object:
    actions = _actions()
    token = actions.track("ada", "enrol").token
    return actions.enrol_device(
        token,
        method="in-app",
        public_key=TABLET.public_key,
        signature=TABLET.enrol(token),
        name="x",
        platform="x",
    )


def _assertion(sent: bytes) -> object:
    return verify_assertion(sent, client_data=b"data", key=_KEY)


def _webhook(body: bytes, seconds: int = 0) -> Any:
    headers = sign_webhook(_SECRETS, "id", b"{}", now=NOW)
    clock = Clock()
    clock.move(seconds=seconds)
    return verify_webhook(_SECRETS, headers, body, now=clock())


CALLS: Final[Mapping[Code, Callable[[], object]]] = {
    Code.VERIFICATION_CODE_WRONG: _code_given_though_none_is_shown,
    Code.CHALLENGE_REJECTED: partial(_polled_after, "reject"),
    Code.ATTEMPTS_EXCEEDED: partial(_polled_after, None),
    Code.ACTION_INVALID: lambda: _actions().track("ada", ""),
    Code.ACTION_NOT_FOUND: lambda: _actions().get_action("ada", "transfer", "no such key"),
    Code.ACTION_STATE: _success_of_what_was_not_met,
    Code.METHOD_NOT_ALLOWED: _another_method_than_is_allowed,
    Code.SCOPE_MISSING: _second_device_without_scope,
    Code.APP_ATTEST_MALFORMED: partial(_assertion, b""),
    Code.APP_ATTEST_INVALID: lambda: _assertion(_APP.assertion(b"other data")),
    Code.WEBHOOK_SIGNATURE_INVALID: partial(_webhook, b"[]"),
    Code.WEBHOOK_EXPIRED: partial(_webhook, b"{}", 3600),
}
