"""Names that people read: of users and passkeys, in any script, and nothing in them that cannot be seen."""

from collections.abc import Callable
from typing import Any

import pytest

from .kit import ADA, Engine, refused
from .test_management import OWNER, RECORD

UNSEEN = {
    "zero width space": "a\u200bb",
    "zero width no-break space": "\ufeffada",
    "word joiner": "a\u2060b",
    "soft hyphen": "a\u00adb",
    "left-to-right mark": "a\u200e",
    "right-to-left override": "a\u202eb",
    "tag letters": "ada\U000e0061",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "control": "a\x7f",
    "C1 control": "a\x85",
    "lone surrogate": "a\udc00",
    "space alone": " ",
    "wide spaces alone": "\u3000\u2003",
    "joiners alone": "\u200d\u200c",
    "joiners and spaces alone": " \u200d ",
}
SEEN = {
    "family of joined emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "emoji with a presentation": "\u2764\ufe0f",
    "flag": "\U0001f1e9\U0001f1ea",
    "skin tone": "\U0001f44d\U0001f3fd",
    "Persian with a non-joiner": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Hindi with a joiner": "\u0915\u094d\u200d\u0937",
    "Hebrew": "\u05e2\u05d3\u05d4",
    "combining accent": "e\u0301",
    "markup": "<b>ada</b> & 'co'",
    "space between": "Ada Lovelace",
}
WRONG = [7, 1.5, b"ada", ["ada"], {"ada": 1}, True]


def _calls(passkeys: Engine, name: Any) -> dict[str, Callable[[], object]]:
    """Every way in for a name, by the path that an error has."""
    return {
        "user_name": lambda: passkeys.start_registration(**(ADA | {"user_name": name})),
        "user_display_name": lambda: passkeys.start_registration(**ADA, user_display_name=name),
        "passkey_name": lambda: passkeys.start_registration(**ADA, passkey_name=name),
        "name": lambda: passkeys.rename_passkey("ada", b"id", name),
        "user_name of an import": lambda: passkeys.import_passkey(**(OWNER | {"user_name": name}), credential=RECORD),
        "user_display_name of an import": lambda: passkeys.import_passkey(
            **OWNER, user_display_name=name, credential=RECORD
        ),
        "name of an import": lambda: passkeys.import_passkey(**OWNER, name=name, credential=RECORD),
        "user_name of a user": lambda: passkeys.get_or_create_user("ada", name),
        "user_display_name of a user": lambda: passkeys.get_or_create_user("ada", "ada", display_name=name),
        "user_name of another name": lambda: passkeys.rename_user("ada", name),
        "user_display_name of another name": lambda: passkeys.rename_user("ada", "ada", name),
    }


def _refused_everywhere(passkeys: Engine, name: Any) -> None:
    for way, call in _calls(passkeys, name).items():
        with refused("name_invalid", passkeys) as caught:
            call()
        assert caught.value.path == way.split(" of ")[0]
    assert passkeys.under_way() == 0


@pytest.mark.parametrize("kind", UNSEEN)
def test_what_cannot_be_seen_is_refused(passkeys: Engine, kind: str) -> None:
    _refused_everywhere(passkeys, UNSEEN[kind])


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_text_is_refused(passkeys: Engine, name: Any) -> None:
    _refused_everywhere(passkeys, name)


@pytest.mark.parametrize("name", [None, 0, b"", [], False])
def test_so_is_a_friendlier_name_that_is_empty_but_no_text(passkeys: Engine, name: Any) -> None:
    for way, call in _calls(passkeys, name).items():
        if way.startswith("user_display_name"):
            with refused("name_invalid", passkeys):
                call()


@pytest.mark.parametrize("kind", SEEN)
def test_what_some_scripts_and_emoji_need_is_accepted(passkeys: Engine, kind: str) -> None:
    name = SEEN[kind]
    start = {"user_name": name, "user_display_name": name, "passkey_name": name}
    passkey = passkeys.register(start=start)
    passkeys.rename_passkey("ada", passkey.credential_id, name)
    passkeys.rename_user("ada", name, name)
    user = passkeys.find_user("ada")
    assert (passkeys.list_passkeys("ada")[0].name, user.name, user.display_name) == (name, name, name)
