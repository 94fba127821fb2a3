"""Texts that a client keeps for us and brings back unchanged: bound to a purpose, expiring, under keys that rotate.

Two kinds, one class:

- *signed* (`Tokens.issue`, `Tokens.read`): whoever holds it can read it, nobody can change it. For what its holder may
  know: a link to enrol with, an answer to show to another of our services.
- *sealed* (`Tokens.seal`, `Tokens.unseal`): nobody else can read it, nor tell its length closer than 512 bytes, nor
  change it. For state of ours that passes through foreign hands. When in doubt, this one.

Neither is single-use: whoever holds a token can show it until it expires. What must happen once needs a record of what
was spent.

    >>> from datetime import UTC, datetime, timedelta
    >>> from passkeycore.tokens import Tokens
    >>> secret = "at least 32 bytes, from a secret store"  # made once, by secrets.token_urlsafe(32)
    >>> tokens = Tokens([secret])
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)  # in a server: datetime.now(UTC)
    >>> token = tokens.issue("enrolment", {"user": "42"}, expires_at=now + timedelta(hours=1), now=now)
    >>> tokens.read("enrolment", token, now=now)
    {'user': '42'}

The purpose is a word of the program, one for every use, never taken from a request: a token made for one purpose is
none for any other.

Rotation: put the new secret first and keep the old one behind it, ``Tokens([new, old])``. New tokens come from the
first; all are read. With several servers let every one of them read the new secret first, ``Tokens([old, new])``. Drop
the old secret when its last token has expired, or at once when somebody may know it. Rotate before one secret has
sealed 2**32 tokens for one purpose: their nonces are random (NIST SP 800-38D, section 8.3).

Formats: RFC 7515 (JWS, HS256) and RFC 7516 (JWE, dir with A256GCM), both compact, by joserfc: the extra ``jose``.
"""

import json
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import Code, ConfigurationError, TokenError
from .webauthn.encoding import check_size, encode_base64url

if TYPE_CHECKING:
    from joserfc.jwk import OctKey

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"


class _Kind(NamedTuple):
    """What tells one kind of token from the other."""

    name: str
    header: Mapping[str, str]
    form: re.Pattern[str]
    longest: int  # characters

    @property
    def algorithms(self) -> list[str]:
        return list(self.header.values())


# One alphabet and fixed lengths, so that nothing is decoded that cannot be ours: a signature has 32 bytes, a nonce 12
# and a tag 16, and the encrypted key of "dir" none.
_SIGNED_FORM: Final = re.compile(r"[A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
_SEALED_FORM: Final = re.compile(r"[A-Za-z0-9_-]{1,256}\.\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{22}")
# Signed ones travel in addresses and headers, for all of which servers commonly allow 8 KiB. Sealed ones may also
# travel in a body: the state of a ceremony with the longest lists of credentials fits in 64 KiB.
_SIGNED: Final = _Kind("signed", {"alg": "HS256"}, _SIGNED_FORM, 8_192)
_SEALED: Final = _Kind("sealed", {"alg": "dir", "enc": "A256GCM"}, _SEALED_FORM, 65_536)
# What fits in them with the longest purpose, and in joserfc's own limits in each of its releases.
_PAYLOAD_BYTES: Final = 5_800
_CONTENT_BYTES: Final = 47 << 10

_PURPOSE: Final = re.compile(r"[A-Za-z0-9._:/-]{1,64}")  # what JSON need not escape, and fits in the header
_MOST_SECRETS: Final = 16  # a year of monthly rotation, and some
_LEAST_SECRET_BYTES: Final = 32  # RFC 7518, section 3.2: as long as the hash
_KEYS: Final = 1_024  # both kinds, every secret, 32 purposes: more than a program has words for
_BLOCK: Final = 512  # bytes
_END: Final = b"\x80"  # of the content; zeros follow it
_TIMES: Final = struct.Struct(">qq")  # issued and expiring, in seconds since 1970
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_CLOCK_SKEW_S: Final = 60  # between the machine that made a token and the one that reads it


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """What is signed. The claims stand apart, so that any name is free for them."""

    iat: int
    exp: int
    claims: dict[str, Any]


class Tokens:
    """Makes and reads tokens under the given secrets. Immutable; share one between threads. Its repr names no secret.

    Every kind and purpose has keys of its own, derived from the secrets (HKDF-SHA256). Times count in whole seconds;
    a token is good before the second in which `expires_at` lies, and expired from then on (RFC 7519, section 4.1.4).
    """

    __slots__ = ("_key", "_kids")
    _key: "Callable[[str, str, str], OctKey]"  # of a secret's kid, a kind and a purpose
    _kids: tuple[str, ...]

    def __init__(self, secrets: Sequence[bytes | str]) -> None:
        """Takes the secrets, at most 16: the first makes new tokens, all of them read.

        Args:
            secrets: Each at least 32 random bytes, or a text with as many in UTF-8. A password is none: nothing
                slows down guessing here.

        Raises:
            ConfigurationError: None or too many, one too short, one twice; or the extra ``jose`` is not installed.
        """
        try:
            from joserfc import jwk  # an extra, and only those who use it pay for the import
        except ImportError:
            raise ConfigurationError('tokens need the extra "jose": passkeycore[jose]') from None
        by_kid = {_kid(secret): secret for secret in _checked(secrets)}
        object.__setattr__(self, "_kids", tuple(by_kid))
        # A function that knows nothing of this object: or the two would keep each other, and the secrets, in memory.
        object.__setattr__(self, "_key", lru_cache(maxsize=_KEYS)(partial(_derived, jwk.OctKey, by_kid)))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Tokens are immutable: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"Tokens are immutable: {name}")

    def __repr__(self) -> str:
        return f"Tokens({', '.join(self._kids)})"

    def issue(self, purpose: str, claims: Mapping[str, JSON], *, expires_at: datetime, now: datetime) -> str:
        """A signed token: at most 8 KiB of ``A-Z a-z 0-9 . _ -``, which its holder can read but not change.

        Args:
            purpose: What it is for: 1 to 64 of ``A-Z a-z 0-9 . _ : / -``. Not hidden.
            claims: What `read` gives back, equal to this. No secrets: they are only encoded.
            expires_at: From when on it is refused, aware. When not after `now`, at once.
            now: When it is made, aware.

        Raises:
            ConfigurationError: The purpose has another form, a time lacks its zone, or the claims are not JSON with
                lists and dicts (no tuples, no NaN, only texts as names).
            DecodeError: `too_large`: as JSON in ASCII more than 5800 bytes, our own 45 included.
        """
        from joserfc import jws

        header = _header(_SIGNED, self._kids[0], _checked_purpose(purpose))
        times = {"iat": _seconds(now, "now"), "exp": _seconds(expires_at, "expires_at")}
        payload = _payload(times | {"claims": dict(claims)})
        check_size(len(payload), _PAYLOAD_BYTES, "claims")
        key = self._key(self._kids[0], _SIGNED.name, purpose)
        return jws.serialize_compact(header, payload, key, algorithms=_SIGNED.algorithms)

    def read(self, purpose: str, token: str, *, now: datetime) -> dict[str, JSON]:
        """The claims of a signed token that was issued here, for this purpose, and has not expired.

        Args:
            purpose: As it was for `issue`.
            token: What the client brought, whatever that is.
            now: The time to judge at, aware.

        Raises:
            TokenError: `token_invalid`: not issued here for this purpose, changed since, or issued more than 60
                seconds after `now`; the error does not tell which. `token_expired`: past its time, else good.
            ConfigurationError: The purpose has another form, or `now` lacks its zone.
        """
        from joserfc import errors, jws

        seconds = _seconds(now, "now")
        try:
            text, key = self._recognised(_SIGNED, purpose, token)
            payload = jws.deserialize_compact(text, key, algorithms=_SIGNED.algorithms).payload
            body = msgspec.convert(json.loads(payload), _Body)
        # The last one: claims that were issued where more of the stack was left.
        except (errors.JoseError, msgspec.ValidationError, ValueError, RecursionError):
            raise _invalid() from None
        _check_times(body.iat, body.exp, seconds)
        return body.claims

    def seal(self, purpose: str, content: bytes, *, expires_at: datetime, now: datetime) -> str:
        """A sealed token: at most 64 KiB of ``A-Z a-z 0-9 . _ -``, which its holder can neither read nor change.

        Args:
            purpose: What it is for: 1 to 64 of ``A-Z a-z 0-9 . _ : / -``. Not hidden.
            content: What `unseal` gives back. Its length shows only in steps of 512 bytes.
            expires_at: From when on it is refused, aware. When not after `now`, at once. Hidden.
            now: When it is made, aware. Hidden.

        Raises:
            ConfigurationError: The purpose has another form, or a time lacks its zone.
            DecodeError: `too_large`: content of more than 47 KiB.
        """
        from joserfc import jwe

        check_size(len(content), _CONTENT_BYTES, "content")
        header = _header(_SEALED, self._kids[0], _checked_purpose(purpose))
        times = _TIMES.pack(_seconds(now, "now"), _seconds(expires_at, "expires_at"))
        padding = bytes(-(len(content) + len(_END)) % _BLOCK)
        key = self._key(self._kids[0], _SEALED.name, purpose)
        return jwe.encrypt_compact(header, times + content + _END + padding, key, algorithms=_SEALED.algorithms)

    def unseal(self, purpose: str, token: str, *, now: datetime) -> bytes:
        """The content of a sealed token that was sealed here, for this purpose, and has not expired.

        Args:
            purpose: As it was for `seal`.
            token: What the client brought, whatever that is.
            now: The time to judge at, aware.

        Raises:
            TokenError: `token_invalid`: not sealed here for this purpose, changed since, or sealed more than 60
                seconds after `now`; the error does not tell which. `token_expired`: past its time, else good.
            ConfigurationError: The purpose has another form, or `now` lacks its zone.
        """
        from joserfc import errors, jwe

        seconds = _seconds(now, "now")
        try:
            text, key = self._recognised(_SEALED, purpose, token)
            plain = jwe.decrypt_compact(text, key, algorithms=_SEALED.algorithms).plaintext or b""
        except (errors.JoseError, ValueError):
            raise _invalid() from None
        padded = plain[_TIMES.size :].rstrip(b"\0")
        if not padded.endswith(_END):
            raise _invalid()
        issued, expires = _TIMES.unpack_from(plain)
        _check_times(issued, expires, seconds)
        return padded[: -len(_END)]

    def _recognised(self, kind: _Kind, purpose: str, token: object) -> tuple[str, "OctKey"]:
        """The token as a plain str, and the key that it claims to be made with. Nothing in it is proven yet.

        Raises:
            TokenError: `token_invalid`: not of this kind's form, or its header is none that we would write.
        """
        _checked_purpose(purpose)
        # The methods of str itself: those of a subclass could do anything.
        if not isinstance(token, str) or str.__len__(token) > kind.longest:
            raise _invalid()
        text = str.__str__(token)
        if not kind.form.fullmatch(text):
            raise _invalid()
        # Compared as it is written, and never parsed: no other algorithm, no compression, no key of the sender's, no
        # critical extension, and no second spelling (some releases of joserfc authenticate one of their own instead).
        for kid in self._kids:
            if text.startswith(_segment(_header(kind, kid, purpose)) + "."):
                return text, self._key(kid, kind.name, purpose)
        raise _invalid()


def _header(kind: _Kind, kid: str, purpose: str) -> dict[str, Any]:
    # The purpose stands in the key's derivation and here: explicit typing, RFC 8725, section 3.11.
    return {**kind.header, "kid": kid, "typ": purpose}


def _segment(header: dict[str, Any]) -> str:
    return encode_base64url(json.dumps(header, separators=(",", ":")).encode())  # as joserfc writes it


def _payload(members: dict[str, Any]) -> bytes:
    """`members` as JSON in ASCII, from which they can be read again as they are."""
    try:
        text = json.dumps(members, separators=(",", ":"), allow_nan=False)
        if json.loads(text) == members:
            return text.encode()
    except (TypeError, ValueError, RecursionError):
        pass
    raise ConfigurationError("not JSON that would be read again as it is", path="claims")


def _check_times(issued: int, expires: int, now: int) -> None:
    """Returns only for a genuine token that is good at `now`; all in seconds since 1970. The last check of all.

    Raises:
        TokenError: `token_invalid`: it comes from the future. `token_expired`.
    """
    if issued - now > _CLOCK_SKEW_S:
        raise _invalid()
    if now >= expires:
        raise TokenError(Code.TOKEN_EXPIRED, "the token has expired")


def _invalid() -> TokenError:
    return TokenError(Code.TOKEN_INVALID, "no token of ours for this purpose")


def _seconds(time: datetime, path: str) -> int:
    """`time` in seconds since 1970, a broken one left out.

    Raises:
        ConfigurationError: It lacks its zone. `path` is the argument it names.
    """
    if time.utcoffset() is None:
        raise ConfigurationError("a time without its zone", path=path)
    return (time - _EPOCH) // _SECOND


def _checked_purpose(purpose: str) -> str:
    if not _PURPOSE.fullmatch(purpose):
        raise ConfigurationError("1 to 64 letters, digits and . _ : / -", path="purpose")
    return purpose


def _checked(secrets: Sequence[object]) -> list[bytes]:
    """The secrets as bytes.

    Raises:
        ConfigurationError: See `Tokens`. It names their places, never what they are.
    """
    if not 0 < len(secrets) <= _MOST_SECRETS:
        raise ConfigurationError(f"a list of 1 to {_MOST_SECRETS} secrets", path="secrets")
    checked: list[bytes] = []
    for index, secret in enumerate(secrets):
        path = f"secrets[{index}]"
        try:
            data = secret.encode() if isinstance(secret, str) else secret
        except UnicodeEncodeError:  # which would show the secret
            data = None
        if not isinstance(data, bytes) or len(data) < _LEAST_SECRET_BYTES:
            raise ConfigurationError(f"not at least {_LEAST_SECRET_BYTES} bytes, or a text of as many", path=path)
        if data in checked:
            raise ConfigurationError("the same secret stands before", path=path)
        checked.append(data)
    return checked


def _hkdf(secret: bytes, length: int, info: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=f"passkeycore tokens {info}".encode()).derive(secret)


def _kid(secret: bytes) -> str:
    """What tells the secret from our others and nothing about it, base64url."""
    return encode_base64url(_hkdf(secret, 8, "kid"))


def _derived(oct_key: type["OctKey"], secrets: Mapping[str, bytes], kid: str, kind: str, purpose: str) -> "OctKey":
    """The key of 256 bits for one kind and purpose, from the secret called `kid`."""
    return oct_key.import_key(_hkdf(secrets[kid], 32, f"{kind} {purpose}"))
