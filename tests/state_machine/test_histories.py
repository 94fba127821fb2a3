"""The histories that CI plays: the same each time, about 15 seconds. More: ``python -m tests.soak machine``."""

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from .machine import Machine, play

_HISTORIES: Final = 50
_METHODS: Final = """
    start_registration finish_registration start_authentication finish_authentication
    start_passkey_enrolment finish_passkey_enrolment start_passkey_challenge finish_passkey_challenge
    start_passkey_sign_in finish_passkey_sign_in start_device_sign_in finish_device_sign_in
    start_enrolment enrol_device start_challenge pending_challenge claim_challenge answer_challenge poll_challenge
    start_device_challenge answer_device_challenge finish_device_challenge cancel_challenge
    track validate_challenge get_action update_action update_device
    disable_user enable_user remove_user remove_passkey remove_device remove_by_device remove_expired
"""


def test_storages_and_services_are_as_the_model_says() -> None:
    """Whatever happens in whatever order, what the model accepts is accepted, and nothing else is."""
    play(_HISTORIES)
    assert {method for method, _ in Machine.tally} <= {*_METHODS.split()}


@settings(max_examples=1, database=None, deadline=None)
@given(st.builds(Machine))
def test_where_nothing_goes_wrong_every_method_succeeds(day: Machine) -> None:
    """Were one always refused, random histories would show little of it."""
    day.people(alone=False)
    day.begin_enrolment(0, "ada", "device", 0)
    day.end_enrolment(0, 0, by_action=False, method="qr-code", known=False, right=True)
    for word in (None, "pay"):
        day.begin_sign_in(0, 0, word, forged=False, ends=True, what="nothing")
    for kind, service in (("named", "devices"), ("sign-in", "actions"), ("action", "actions")):
        day.ask_and_decide(0, kind, False, "approve", "right", service, "pay", True, "nothing", "nothing")
    day.meet_and_show(5, "nothing", consume=True, again=False)
    day.begin_anew("eve", "pay", scoped=True, meets=True)
    day.begin_enrolment(0, "eve", "action", 0)
    day.end_registration(0, 0, right=True, m=0, user_id="eve")
    day.ask(0, "eve", "push", False, "named", "pay", 0)
    day.fetch(0, 0)
    day.end_device(0, 10_000)
    day.lose_authenticator(0, 0, "ada", right=True, kind="key")
    for kind in ("device", "itself"):
        day.enrol("", "ada", "push")
        day.lose_authenticator(0, 0, "ada", right=True, kind=kind)
    day.track(0, "ada", "lend", "second", scoped=False)
    day.review(0, 0, "REVIEW_SUCCEEDED")
    day.track(0, "ada", "pay", None, scoped=False)
    day.cancel(0, 0)
    for what in ("disable", "enable"):
        day.change_user(0, "ada", what)
    day.wait(4_000, forget=True)
    day.teardown()
    accepted = {method for method, code in day.play.twins.tally if code is None}
    assert accepted == {*_METHODS.split()}
