"""Signs webhooks and verifies them, after the Standard Webhooks specification, version 1.0.0. Pure.

A webhook is a POST with three headers: ``webhook-id``, ``webhook-timestamp`` (seconds since 1970) and
``webhook-signature``, which is ``v1,`` and the base64 of the HMAC-SHA256 of ``<id>.<timestamp>.<body>``, once for each
secret. Every library of that specification verifies what is signed here, and the other way round. Its asymmetric
signatures (``v1a``) are neither made nor looked at.

Whoever receives webhooks:

    >>> from datetime import UTC, datetime
    >>> from passkeycore.webhooks import WebhookSecrets, sign_webhook, verify_webhook, webhook_secret
    >>> secret = webhook_secret(bytes(range(32)))  # made once, from os.urandom(32), and given to both sides
    >>> secrets = WebhookSecrets([secret])
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)  # in a server: datetime.now(UTC)
    >>> headers = sign_webhook(secrets, "5f0c", b'{"type":"user.removed"}', now=now)
    >>> webhook = verify_webhook(secrets, headers, b'{"type":"user.removed"}', now=now)
    >>> webhook.id, webhook.body
    ('5f0c', b'{"type":"user.removed"}')

A webhook may come more than once, and a copy is good as long as its timestamp is: keep the ids you have seen.

Rotation, without a webhook that is refused: the sender signs with both secrets, ``WebhookSecrets([new, old])``; the
receiver takes the new one; the sender drops the old one. A leaked secret is dropped at once, on both sides.

Specification: https://www.standardwebhooks.com
"""

import binascii
import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn, Protocol

import msgspec

from .errors import Code, ConfigurationError, VerificationError
from .webauthn.encoding import check_size

MAX_WEBHOOK_BYTES: Final = 1 << 20
"""The longest body that is signed or looked at. The specification recommends less than 20 KB."""

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = (24, 64)  # of the specification
_MOST_SECRETS: Final = 8  # the present one, and more old ones than anybody should honour
_MOST_SIGNATURES: Final = 32  # of a sender with as many secrets, under other versions too
_MOST_SIGNATURE_CHARACTERS: Final = 4_096
# No dot, with which parts of the id could be taken for the timestamp, and of the timestamp for the body.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
_TIMESTAMP: Final = re.compile(r"0|[1-9][0-9]{0,10}")  # one spelling, until the year 5138
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_NAMES: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Headers(Protocol):
    """What a web framework has for the headers of a request; a plain dictionary is one too."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Names, in any case, with their values."""
        ...


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """What was verified.

    Attributes:
        id: The same for every copy: 1 to 256 of ``A-Z a-z 0-9 _ -``.
        sent_at: When this copy was sent, UTC, in whole seconds.
        body: The bytes that are signed, of which nothing but their length was looked at.
    """

    id: str
    sent_at: datetime
    body: bytes


class WebhookSecrets:
    """The secrets that sender and receiver share. Immutable; its repr names none of them."""

    __slots__ = ("_keys",)
    _keys: tuple[bytes, ...]

    def __init__(self, secrets: Sequence[str]) -> None:
        """Takes the secrets, at most 8: all of them sign, and each of them verifies.

        Args:
            secrets: Texts as `webhook_secret` makes them, of this endpoint alone: ``whsec_`` and the base64, with
                padding, of 24 to 64 random bytes.

        Raises:
            ConfigurationError: None or too many, one of another form, one twice.
        """
        object.__setattr__(self, "_keys", tuple(_checked(secrets)))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"WebhookSecrets are immutable: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"WebhookSecrets are immutable: {name}")

    def __repr__(self) -> str:
        return f"WebhookSecrets({len(self._keys)})"

    def signatures(self, id: str, timestamp: str, body: bytes) -> list[str]:
        """``v1,`` and the base64 of the HMAC-SHA256, under every secret. Nothing is checked: see `sign_webhook`."""
        signed = f"{id}.{timestamp}.".encode() + body
        return [f"v1,{_base64(hmac.digest(key, signed, 'sha256'))}" for key in self._keys]


def webhook_secret(random: bytes) -> str:
    """A new secret in its text form, of these random bytes.

    Args:
        random: 24 to 64 of them, from ``os.urandom(32)`` for instance, which nobody has used before.

    Raises:
        ConfigurationError: Fewer or more.
    """
    if not isinstance(random, bytes) or not _SECRET_BYTES[0] <= len(random) <= _SECRET_BYTES[1]:
        raise ConfigurationError(f"{_SECRET_BYTES[0]} to {_SECRET_BYTES[1]} bytes", path="random")
    return _PREFIX + _base64(random)


def sign_webhook(secrets: WebhookSecrets, id: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """The three headers, their names in lower case, that go with `body`.

    Args:
        secrets: One signature is made with each.
        id: Tells this webhook from all others, and the same for every attempt: 1 to 256 of ``A-Z a-z 0-9 _ -``.
        body: The very bytes that are sent, at most 1 MiB.
        now: When they are sent, aware. Every attempt has its own.

    Raises:
        ConfigurationError: The id has another form; `now` lacks its zone, or is before 1970.
        DecodeError: `too_large`: the body.
    """
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise ConfigurationError("1 to 256 letters, digits, _ and -", path="id")
    timestamp = str(_seconds(now))
    if not _TIMESTAMP.fullmatch(timestamp):
        raise ConfigurationError("a time that no timestamp can hold", path="now")
    check_size(len(body), MAX_WEBHOOK_BYTES, "body")
    return dict(zip(_NAMES, (id, timestamp, " ".join(secrets.signatures(id, timestamp, body))), strict=True))


def verify_webhook(
    secrets: WebhookSecrets, headers: Headers, body: bytes, *, now: datetime, tolerance_s: int = 300
) -> Webhook:
    """What somebody who has one of the secrets has sent, with this body, not long ago.

    Args:
        secrets: Any one of them will do.
        headers: Of the request; names in any case.
        body: Of the request, before anything parses it: JSON that was read and written again is another text.
        now: The time to judge at, aware.
        tolerance_s: How far the timestamp may lie before and after `now`, in seconds. The default is what the
            specification's own libraries have: a slow network, and clocks that differ.

    Raises:
        VerificationError: `webhook_signature_invalid`: a header is missing, there twice or malformed, or no signature
            is good. `webhook_expired`: the timestamp is too old or too new, all else is good.
        DecodeError: `too_large`: the body, more than 1 MiB; or the signatures, more than 4096 characters or 32.
        ConfigurationError: `now` lacks its zone, or `tolerance_s` is negative.
    """
    if not isinstance(tolerance_s, int) or tolerance_s < 0:
        raise ConfigurationError("a number of seconds, 0 or more", path="tolerance_s")
    seconds = _seconds(now)
    if not isinstance(body, bytes):
        raise ConfigurationError(f"the bytes of the request, not {type(body).__name__}", path="body")
    check_size(len(body), MAX_WEBHOOK_BYTES, "body")
    id, timestamp, given = _members(headers)
    for name, value, form in ((_NAMES[0], id, _ID), (_NAMES[1], timestamp, _TIMESTAMP)):
        if not form.fullmatch(value):
            raise _invalid("malformed", name)
    check_size(len(given), _MOST_SIGNATURE_CHARACTERS, _NAMES[2])
    offered = [signature.encode("utf-8", "surrogatepass") for signature in given.split(" ")]
    check_size(len(offered), _MOST_SIGNATURES, _NAMES[2])
    good = False
    for expected in secrets.signatures(id, timestamp, body):
        for signature in offered:
            # Nothing ends early, and other versions are other texts.
            good |= hmac.compare_digest(signature, expected.encode())
    if not good:
        raise _invalid("no signature is good", _NAMES[2])
    sent = int(timestamp)
    if abs(seconds - sent) > tolerance_s:
        raise VerificationError(
            Code.WEBHOOK_EXPIRED, "sent too long ago, or in the future", path=_NAMES[1], expected=seconds, actual=sent
        )
    return Webhook(id=id, sent_at=_EPOCH + sent * _SECOND, body=body)


def _members(headers: Headers) -> list[str]:
    """The values of the three headers, each of which is there once.

    Raises:
        VerificationError: `webhook_signature_invalid`.
    """
    found: dict[str, list[str]] = {name: [] for name in _NAMES}
    for name, value in headers.items():
        if isinstance(name, str) and isinstance(value, str) and (known := name.lower()) in found:
            found[known].append(value)
    for name, values in found.items():
        if len(values) != 1:
            raise _invalid("there twice" if values else "missing", name)
    return [value for (value,) in found.values()]


def _invalid(reason: str, path: str) -> VerificationError:
    # One code: a request without these headers is not signed either, and nobody would answer it in another way.
    return VerificationError(Code.WEBHOOK_SIGNATURE_INVALID, reason, path=path)


def _seconds(now: datetime) -> int:
    """`now` in whole seconds since 1970.

    Raises:
        ConfigurationError: It lacks its zone.
    """
    if now.utcoffset() is None:
        raise ConfigurationError("a time without its zone", path="now")
    return (now - _EPOCH) // _SECOND


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _checked(secrets: Sequence[object]) -> list[bytes]:
    """The secrets as bytes.

    Raises:
        ConfigurationError: See `WebhookSecrets`. It names their places, never what they are.
    """
    if not isinstance(secrets, (list, tuple)) or not 0 < len(secrets) <= _MOST_SECRETS:
        raise ConfigurationError(f"a list of 1 to {_MOST_SECRETS} secrets", path="secrets")
    checked: list[bytes] = []
    for index, secret in enumerate(secrets):
        path = f"secrets[{index}]"
        key = _decoded(secret) if isinstance(secret, str) else None
        if key is None or not _SECRET_BYTES[0] <= len(key) <= _SECRET_BYTES[1]:
            raise ConfigurationError(
                f"not {_PREFIX} and the base64 of {_SECRET_BYTES[0]} to {_SECRET_BYTES[1]} bytes", path=path
            )
        if key in checked:
            raise ConfigurationError("the same secret stands before", path=path)
        checked.append(key)
    return checked


def _decoded(secret: str) -> bytes | None:
    """The bytes of a secret's only spelling; None: it is none."""
    try:
        key = binascii.a2b_base64(secret.removeprefix(_PREFIX), strict_mode=True)
    except ValueError:  # binascii.Error is of this kind; its message could show the secret
        return None
    return key if _PREFIX + _base64(key) == secret else None
