"""Where the events of a realm go, and what an address must be for that."""

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from ...errors import ConfigurationError
from ...webhooks import WebhookSecrets
from ..records import EventType

_FORM: Final = re.compile(r"[!-~]{1,2048}")  # printable ASCII, as it stands in a request


class WebhookEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where to deliver events, and with which signatures. Its repr shows the host alone: the rest may hold a secret.

    Attributes:
        url: ``https://``, or ``http://`` on this machine (localhost, 127.0.0.0/8, ::1). When customers of yours choose
            it, they choose whom your server talks to: let a proxy stand between that refuses your own network.
        secrets: Of this endpoint alone.
        types: Which events; None: all. What is not among them counts as delivered.
        danger_allow_http: Also ``http://`` to other machines, where everybody on the way can read what happens to
            your users.

    Raises:
        ConfigurationError: The address is another one, or has a user, a password or a fragment; a type is none.
    """

    url: str
    secrets: WebhookSecrets
    types: Collection[EventType] | None = None
    danger_allow_http: bool = False

    def __post_init__(self) -> None:
        """Checks the members; see above."""
        if not isinstance(self.secrets, WebhookSecrets):
            raise ConfigurationError("a WebhookSecrets", path="secrets")
        if self.types is not None and (
            isinstance(self.types, str)
            or not isinstance(self.types, Collection)
            or not all(isinstance(type, EventType) for type in self.types)
        ):
            raise ConfigurationError("a collection of EventType", path="types")
        _check_url(self.url, allow_http=self.danger_allow_http)

    def __repr__(self) -> str:
        return f"WebhookEndpoint(host={urlsplit(self.url).hostname!r})"


def _check_url(url: object, *, allow_http: bool) -> None:
    """Returns only when events may be sent to `url`.

    Raises:
        ConfigurationError: It does not say what stands there.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in {"https", "http"}:
        raise ConfigurationError("an address https://host/path, without a user and a fragment", path="url")
    if parts.scheme == "http" and not allow_http and not _is_local(parts.hostname or ""):
        raise ConfigurationError("only https, except on this machine", path="url")


def _split(url: object) -> SplitResult | None:
    if not isinstance(url, str) or not _FORM.fullmatch(url) or "#" in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        if not parts.hostname or "@" in parts.netloc or parts.port == 0:
            return None
    except ValueError:  # a port that is no number, brackets that do not match
        return None
    return parts


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
