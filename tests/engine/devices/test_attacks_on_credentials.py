"""Attacks on device credentials as a table: on enrolling, fetching, updating and removing.

One named change in a valid flow ends in one code and changes nothing that is stored.
"""

from typing import Any, Final

import pytest

from passkeycore.testing import SoftwareDevice, b64url_encode
from passkeycore.tokens import Tokens

from ..kit import ADA, EVE, NOW, SECRET, Colour, user_of
from .changes import (
    Attack,
    Change,
    also,
    asks,
    check_attack,
    device_enrolled_anew,
    device_expired,
    device_removed,
    done_before,
    in_another_realm,
    instead_of_signature,
    later,
    name_of,
    says,
    signed_as,
    signer,
    user_disabled,
    user_made_anew,
    user_removed,
    wrong_form,
)
from .kit import EVES_PHONE, SECONDS, STRANGER, TABLET, Stage, device_of, enrol

_BAD, _INVALID = "signature_invalid", "name_invalid"
_PURPOSE: Final = "passkeycore/device-enrolment"
_BY_DEVICE: Final = ("fetch", "update", "remove")


def _signed_at(seconds: int) -> Change:
    return also(says(issued_at=seconds), asks(issued_at=seconds))


def _pushed(token: Any) -> Change:
    return asks(push_token=token)


def _signs_update(stage: Stage) -> None:
    stage.given["signature"] = stage.signer.update(stage.says["first"], issued_at=SECONDS)


def _signs_removal(stage: Stage) -> None:
    stage.given["signature"] = stage.signer.remove(stage.says["first"], issued_at=SECONDS)


def _signs_the_bucket(stage: Stage) -> None:
    stage.given |= {"signature": stage.signer.sign_bucket(NOW), "issued_at": None}


def _id_of_another(stage: Stage) -> None:
    stage.says["first"] = device_of(stage.devices, EVES_PHONE).authenticator_id


def _bring(stage: Stage, token: str) -> None:
    stage.positional[0] = stage.says["first"] = token


def _forged_token(stage: Stage) -> None:
    head, _, signature = stage.start.token.split(".")
    others = stage.devices.start_enrolment(**EVE).token.split(".")[1]
    _bring(stage, f"{head}.{others}.{signature}")


def _token(purpose: str = _PURPOSE, secret: bytes = SECRET, **claims: Any) -> Change:
    """Brings a token like the right one, but for this."""

    def change(stage: Stage) -> None:
        handle = b64url_encode(user_of(stage.devices.memory, "ada").user_handle)
        given = {"realm": "", "user": "ada", "id": "an id", "handle": handle} | claims
        known = {name: value for name, value in given.items() if value is not ...}
        _bring(stage, Tokens([secret]).issue(purpose, known, expires_at=NOW.replace(hour=13), now=NOW))

    return change


def _signed_for_another_token(stage: Stage) -> None:
    stage.says["first"] = stage.devices.start_enrolment("ada").token


def _token_used_for_another_key(stage: Stage) -> None:
    token = stage.start.token
    stage.devices.enrol_device(
        token,
        method="push",
        public_key=STRANGER.public_key,
        signature=STRANGER.enrol(token),
        name="First",
        platform="ios",
    )


def _used_and_removed(stage: Stage) -> None:
    stage.devices.remove_device("ada", stage.act().authenticator_id)


def _used_for_another_and_removed(stage: Stage) -> None:
    """A stolen phone was removed, and the thief has found its token."""
    _token_used_for_another_key(stage)
    stage.devices.remove_device("ada", device_of(stage.devices, STRANGER).authenticator_id)


def _enrolled_for(owner: Any) -> Change:
    def change(stage: Stage) -> None:
        enrol(stage.devices, stage.signer, owner)

    return change


def _full(stage: Stage) -> None:
    for number in range(5):
        enrol(stage.devices, SoftwareDevice(f"ada's {number}."))


_NO_TIMES: Final[dict[str, Any]] = {
    "negative": -1,
    "true": True,
    "broken": 1.5,
    "not a number": float("nan"),
    "infinite": float("inf"),
    "a text": "1",
    "a list": [1],
    "too late by a second": 2**40 + 1,
    "longer than numbers are written": 10**5000,
}
_NO_NAMES: Final[dict[str, Any]] = {
    "empty": "",
    "two lines": "a\nb",
    "65 characters": 65 * "x",
    "none": None,
    "a number": 7,
    "a surrogate": "\ud800",
    "a change of direction": "a\u202e",
    "blank": " ",
}
_NO_PUSH_TOKENS: Final[dict[str, Any]] = {
    "4097 characters": 4097 * "x",
    "NUL": "x\0",
    "a surrogate": "\ud800",
    "a number": 7,
    "bytes": b"x",
}

ATTACKS: Final[list[Attack]] = [
    *(attack for flow in (*_BY_DEVICE, "enrol") for attack in wrong_form(flow)),
    # What a device asks for itself.
    *(Attack(flow, "a key that nobody enrolled", _BAD, signer(STRANGER)) for flow in _BY_DEVICE),
    *(
        Attack(flow, "a key that nobody enrolled, for no device", _BAD, also(signer(STRANGER), says(first="")))
        for flow in ("update", "remove")
    ),
    *(Attack(flow, "another device's key", _BAD, signer(TABLET)) for flow in ("update", "remove")),
    *(Attack(flow, "signed for another method", _BAD, signed_as(method="in-app")) for flow in (*_BY_DEVICE, "enrol")),
    *(
        Attack(flow, "a method that the key is not for", _BAD, also(signed_as(method="in-app"), asks(method="in-app")))
        for flow in _BY_DEVICE
    ),
    *(
        Attack(flow, f"the method {method!r}", "configuration_invalid", asks(method=method))
        for flow in (*_BY_DEVICE, "enrol")
        for method in ("carrier-pigeon", "", "\ud800", None, ["push"])
    ),
    *(Attack(flow, "a removed device", _BAD, device_removed) for flow in _BY_DEVICE),
    *(Attack(flow, "an expired device", _BAD, device_expired) for flow in ("fetch", "update")),
    *(Attack(flow, "a removed user", _BAD, user_removed) for flow in _BY_DEVICE),
    *(Attack(flow, "the device, enrolled anew", _BAD, device_enrolled_anew) for flow in ("update", "remove")),
    *(Attack(flow, "another realm", _BAD, in_another_realm) for flow in ("update", "remove")),
    *(Attack(flow, "the id of another device", _BAD, _id_of_another) for flow in ("update", "remove")),
    Attack("fetch", "a disabled user", _BAD, user_disabled),
    Attack("update", "a disabled user", "user_disabled", user_disabled),
    Attack("remove", "once more", _BAD, done_before),
    Attack("remove", "the signature of an update", _BAD, _signs_update),
    Attack("remove", "signed as other apps do", _BAD, _signs_the_bucket),
    Attack("remove", "no time, which is how other apps sign", _BAD, asks(issued_at=None)),
    Attack("update", "the signature of a removal", _BAD, _signs_removal),
    Attack("update", "another push token than is signed", _BAD, _pushed("another")),
    Attack("update", "no push token, though one is signed", _BAD, _pushed(None)),
    Attack("fetch", "no signature, which is how other apps ask", _BAD, instead_of_signature(None)),
    *(
        Attack(flow, f"signed {name}", _BAD, _signed_at(SECONDS + by))
        for flow in _BY_DEVICE
        for name, by in (("too long ago", -301), ("in the future", 301), ("in 1970", -SECONDS))
    ),
    *(Attack(flow, "kept for five minutes", _BAD, later(seconds=301)) for flow in _BY_DEVICE),
    *(Attack(flow, "another time than is signed", _BAD, asks(issued_at=SECONDS + 1)) for flow in _BY_DEVICE),
    *(
        Attack(flow, f"a time that is {name}", _INVALID, asks(issued_at=value))
        for flow in _BY_DEVICE
        for name, value in _NO_TIMES.items()
    ),
    *(Attack(flow, "no time", _INVALID, asks(issued_at=None)) for flow in ("fetch", "update")),
    *(
        Attack(flow, f"a push token that is {name}", _INVALID, _pushed(value))
        for flow in ("enrol", "update")
        for name, value in _NO_PUSH_TOKENS.items()
    ),
    # Enrolment: a token is for one user, one realm, one purpose and one device.
    Attack("enrol", "a forged token", "token_invalid", _forged_token),
    Attack("enrol", "an empty token", "token_invalid", lambda stage: _bring(stage, "")),
    *(
        Attack("enrol", f"a token {name}", "token_invalid", change)
        for name, change in (
            ("of another secret", _token(secret=SECRET[::-1])),
            ("of another purpose", _token("passkeycore/step-up")),
            ("of another realm", _token(realm="elsewhere")),
            ("of no realm", _token(realm=...)),
            ("without a user", _token(user=...)),
            ("without an id", _token(id=...)),
            ("without a handle", _token(handle=...)),
            ("with a user that is none", _token(user=7)),
            ("with an id that is none", _token(id=7)),
            ("with the handle of another", _token(handle="AAAA")),
            ("with the name of another", _token(user="eve")),
        )
    ),
    Attack("enrol", "a user who is somebody else now", "token_invalid", user_made_anew),
    Attack("enrol", "a token of a user who is not there", "user_not_found", _token(user="nobody")),
    Attack("enrol", "a token that has expired", "token_expired", later(minutes=10)),
    Attack("enrol", "a token in another realm", "token_invalid", in_another_realm),
    Attack("enrol", "signed for another token", _BAD, _signed_for_another_token),
    Attack("enrol", "a token that was used for another key", "credential_exists", _token_used_for_another_key),
    Attack("enrol", "a token that was used for this key", "credential_exists", done_before),
    *(
        Attack("enrol", f"a token that was used, after the removal of {name}", "credential_exists", change)
        for name, change in (("this key", _used_and_removed), ("another key", _used_for_another_and_removed))
    ),
    Attack("enrol", "signed for another key", _BAD, says(public_key=TABLET.public_key)),
    Attack("enrol", "no signature, which is how other apps enrol", _BAD, instead_of_signature(None)),
    Attack("enrol", "a key that is the user's for this method", "credential_exists", _enrolled_for(ADA)),
    Attack("enrol", "a key that is another user's for this method", "credential_exists", _enrolled_for(EVE)),
    Attack("enrol", "more devices than may be", "limit_reached", _full),
    Attack("enrol", "a disabled user", "user_disabled", user_disabled),
    Attack("enrol", "a removed user", "user_not_found", user_removed),
    *(
        Attack("enrol", f"a {member} that is {name}", _INVALID, asks(**{member: value}))
        for member in ("name", "platform")
        for name, value in _NO_NAMES.items()
    ),
    *(
        Attack("enrol", f"an end that is {name}", "configuration_invalid", asks(expires_at=value))
        for name, value in (("without its zone", NOW.replace(tzinfo=None)), ("a text", "2030-01-01"), ("zero", 0))
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=name_of)
def test_one_change_is_refused_and_changes_nothing(colour: Colour, attack: Attack) -> None:
    check_attack(colour, attack)


def test_no_two_attacks_are_called_the_same() -> None:
    names = [name_of(attack) for attack in ATTACKS]
    assert len(set(names)) == len(names)
