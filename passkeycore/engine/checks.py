"""What every flow asks of names, ids and opaque texts before it does anything: that they can be shown, and stored.

Functions that return only when the value is fit, and raise a `DecodeError` otherwise: such values come from remote
users as often as not.
"""

import re
from typing import Final
from unicodedata import category

from ..errors import Code, ConfigurationError, DecodeError

# Control characters, invisible ones and separators of lines. The two joiners stay, without which some scripts and many
# emoji cannot be written.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS: Final = {0x200C: None, 0x200D: None}
RESERVED: Final = "passkeycore/"  # begins every purpose of ours
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def check_name(name: str, path: str, longest: int = 64) -> None:
    """Returns only when `name` can be shown to people: 1 to `longest` characters, some of which can be seen.

    Raises:
        DecodeError: `name_invalid`: names come from remote users.
    """
    if (
        not isinstance(name, str)
        or not 1 <= len(name) <= longest
        or not (seen := name.translate(_JOINERS)).strip()
        or not _UNSEEN.isdisjoint(map(category, seen))
    ):
        raise DecodeError(
            Code.NAME_INVALID, f"1 to {longest} characters, without control and invisible ones", path=path
        )


def check_names(name: str | None, display_name: str) -> None:
    """Likewise for the two names of a user, of which either may be missing."""
    if name is not None:
        check_name(name, "user_name", 256)
    if display_name != "":  # None and the like are no names either
        check_name(display_name, "user_display_name", 256)


def check_user_id(user_id: str) -> None:
    """Returns only when `user_id` is a text that every storage can hold: 1 to 255 characters, all but NUL.

    Raises:
        DecodeError: `user_id_invalid`: it may come from a remote user, and must not end in a driver's error.
    """
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= 255 or _UNSTORABLE.search(user_id):
        raise DecodeError(Code.USER_ID_INVALID, "1 to 255 characters, without NUL and lone surrogates", path="user_id")


class OwnPurpose(str):
    """A purpose that begins with ``passkeycore/``, which only the engine itself may give to a ceremony or challenge."""

    __slots__ = ()


def own_or_free(purpose: str | None) -> str | None:
    """`purpose`, unless an application chose one of ours, such as that of an action.

    Raises:
        ConfigurationError: It did.
    """
    if isinstance(purpose, OwnPurpose):
        return str(purpose)
    if isinstance(purpose, str) and purpose.startswith(RESERVED):
        raise ConfigurationError(f"purposes that begin with {RESERVED} are the engine's own", path="purpose")
    return purpose


def check_opaque(purpose: str | None, account_stamp: str | None) -> None:
    """Returns only when both can be kept in a ceremony: up to 1024 characters, without NUL and lone surrogates.

    Raises:
        DecodeError: `name_invalid`.
    """
    for path, text in (("purpose", purpose), ("account_stamp", account_stamp)):
        check_text(text, path, longest=1024)


def check_text(text: str | None, path: str, *, longest: int) -> None:
    """Returns only when `text` is None or can be stored: up to `longest` characters, no NUL, no lone surrogates.

    Raises:
        DecodeError: `name_invalid`.
    """
    if text is not None and (not isinstance(text, str) or len(text) > longest or _UNSTORABLE.search(text)):
        raise DecodeError(Code.NAME_INVALID, f"up to {longest} characters, without NUL and lone surrogates", path=path)
