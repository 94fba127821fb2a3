"""Google's list of attestation certificates of Android devices that are revoked or suspended.

The bytes come from the caller, who downloads https://android.googleapis.com/attestation/status as often as its cache
headers ask for. Source: https://developer.android.com/privacy-and-security/security-key-attestation#certificate_status
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ..errors import Code, ConfigurationError, DecodeError
from ..webauthn.encoding import check_size
from ..webauthn.wire import reason_of

_SKEW: Final = timedelta(minutes=5)
_PATH: Final = "android_status"
_LONGEST: Final = 32 * 2**20  # bytes; the list has less than one MiB


class StatusEntry(msgspec.Struct, frozen=True):
    """What the list says about one certificate.

    Attributes:
        status: ``REVOKED`` or ``SUSPENDED``; any other word counts as much.
        reason: ``KEY_COMPROMISE``, ``SOFTWARE_FLAW`` and others; None when it does not say.
        comment: For people, or None.
    """

    status: str
    reason: str | None = None
    comment: str | None = None


class _List(msgspec.Struct):
    entries: dict[str, StatusEntry]


class AndroidStatusList:
    """The list, and when it was fetched.

    Attributes:
        fetched_at: When it was downloaded, aware.
    """

    def __init__(self, entries: Mapping[str, StatusEntry], fetched_at: datetime) -> None:
        """Keeps `entries` by serial number: lowercase hexadecimal without padding, or legacy decimal.

        Raises:
            ConfigurationError: A time without its zone.
        """
        if fetched_at.tzinfo is None:
            raise ConfigurationError("fetched_at is a time with its zone", path="fetched_at")
        self._entries = {key.lower(): entry for key, entry in entries.items()}
        self.fetched_at = fetched_at

    @staticmethod
    def parse(body: bytes, fetched_at: datetime) -> "AndroidStatusList":
        """The list that `body` (JSON) holds.

        Raises:
            DecodeError: `status_list_invalid`: not the JSON of such a list; `too_large`: over 32 MiB.
        """
        check_size(len(body), _LONGEST, _PATH)
        try:
            return AndroidStatusList(msgspec.json.decode(body, type=_List).entries, fetched_at)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(Code.STATUS_LIST_INVALID, f"no status list: {reason_of(error)}", path=_PATH) from None

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, serial_number: int) -> StatusEntry | None:
        """What the list says about the certificate with this serial number, or None.

        Keys are hexadecimal, but some old ones decimal; which of the two one of digits only is, nobody can tell.
        """
        return self._entries.get(f"{serial_number:x}") or self._entries.get(str(serial_number))

    def find_any(self, serial_numbers: Sequence[int]) -> StatusEntry | None:
        """What the list says about the first of these certificates that it knows, or None."""
        return next((entry for number in serial_numbers if (entry := self.find(number)) is not None), None)

    def is_fresh(self, now: datetime, max_age: timedelta) -> bool:
        """Whether it was fetched within `max_age` before `now`, or by another clock a little after."""
        return -_SKEW <= now - self.fetched_at <= max_age
