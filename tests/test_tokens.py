"""Tokens: nobody makes, changes or misuses one, they end in time, and secrets can be exchanged while they live.

Forgeries are made from the published formats alone (HKDF, HMAC, AES-GCM), never by the code that is tested.
"""

import doctest
import hmac
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal, NoReturn, TypeAlias

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from passkeycore import Code, ConfigurationError, DecodeError, PasskeyError, TokenError, tokens
from passkeycore.tokens import Tokens
from tests.ceremony import NOW

pytest.importorskip("joserfc", reason="the extra jose is not installed: tokens are not tested")

Kind: TypeAlias = Literal["signed", "sealed"]
KINDS: tuple[Kind, ...] = ("signed", "sealed")
SECRET, OTHER = b"a secret of thirty-two bytes. Yes", "another secret, of as many bytes."
LATER = NOW + timedelta(minutes=5)
SECOND = timedelta(seconds=1)
TOKENS = Tokens([SECRET])
HEADERS: dict[Kind, dict[str, Any]] = {"signed": {"alg": "HS256"}, "sealed": {"alg": "dir", "enc": "A256GCM"}}
TIMES = int(NOW.timestamp()), int(LATER.timestamp())
BODY: dict[str, Any] = {"iat": TIMES[0], "exp": TIMES[1], "claims": {"user": "42"}}
PLAIN = struct.pack(">qq", *TIMES) + b"content\x80".ljust(512, b"\0")


def make(kind: Kind, by: Tokens = TOKENS, purpose: str = "login", now: datetime = NOW, until: datetime = LATER) -> str:
    if kind == "signed":
        return by.issue(purpose, {"user": "42"}, expires_at=until, now=now)
    return by.seal(purpose, b"content", expires_at=until, now=now)


def reader(kind: Kind, by: Tokens = TOKENS, purpose: str = "login", now: datetime = NOW) -> Callable[[Any], object]:
    return lambda token: by.read(purpose, token, now=now) if kind == "signed" else by.unseal(purpose, token, now=now)


CONTENT: dict[Kind, object] = {"signed": {"user": "42"}, "sealed": b"content"}


def refused(kind: Kind, token: Any, **how: Any) -> TokenError:
    with pytest.raises(TokenError) as caught:
        reader(kind, **how)(token)
    return caught.value


def check_invalid(kind: Kind, token: Any, **how: Any) -> None:
    """One message for all, and nothing else in the error: whoever tries learns nothing."""
    error = refused(kind, token, **how)
    assert error.to_dict() == {"code": "token_invalid", "message": "no token of ours for this purpose"}
    assert error.__suppress_context__ or error.__context__ is None


# --- The formats, written down a second time ---


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def hkdf(info: str, length: int, secret: bytes = SECRET) -> bytes:
    return HKDF(SHA256(), length, None, b"passkeycore tokens " + info.encode()).derive(secret)


KID = b64(hkdf("kid", 8))


def forge(
    kind: Kind, content: bytes | None = None, header: Any = None, *, key: bytes | None = None, **changes: Any
) -> str:
    """A token with the right key over anything at all. `changes` are to the right header; None takes away."""
    members = HEADERS[kind] | {"kid": KID, "typ": "login"} | changes
    members = {name: value for name, value in members.items() if value is not None}
    first = b64(json.dumps(members, separators=(",", ":")).encode() if header is None else header)
    key = key or hkdf(f"{kind} login", 32)
    if kind == "signed":
        text = f"{first}.{b64(json.dumps(BODY).encode() if content is None else content)}"
        return f"{text}.{b64(hmac.digest(key, text.encode(), 'sha256'))}"
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, PLAIN if content is None else content, first.encode())
    return f"{first}..{b64(nonce)}.{b64(sealed[:-16])}.{b64(sealed[-16:])}"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_by_the_formats_alone_is_read(kind: Kind) -> None:
    assert reader(kind)(forge(kind)) == CONTENT[kind]


def test_a_token_of_this_release_stays_readable() -> None:
    token = (
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IlEtSHVtY1JteGJZIiwidHlwIjoibG9naW4ifQ."
        "eyJpYXQiOjE3NjcyNjg4MDAsImV4cCI6MTc2NzI2OTEwMCwiY2xhaW1zIjp7InVzZXIiOiI0MiJ9fQ."
        "CyrfwBCl5XuKmuyQxetqAzAg3Ug5coaeMo9OAyeXe_o"
    )
    assert reader("signed")(token) == CONTENT["signed"]


# --- What goes in comes out ---

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.text() | st.sampled_from(["iat", "exp", "claims", "typ"]), JSONS, max_size=4))
def test_claims_come_back_equal_whatever_their_names(claims: dict[str, Any]) -> None:
    try:
        token = TOKENS.issue("login", claims, expires_at=LATER, now=NOW)
    except DecodeError as error:
        assert error.code is Code.TOO_LARGE
    else:
        assert re.fullmatch("[A-Za-z0-9._-]+", token)
        assert TOKENS.read("login", token, now=NOW) == claims


def test_half_a_surrogate_pair_is_a_text_like_others() -> None:
    claims = {"\udc80": "\ud800"}
    assert TOKENS.read("login", TOKENS.issue("login", claims, expires_at=LATER, now=NOW), now=NOW) == claims


@settings(deadline=None)
@given(st.binary(max_size=1600) | st.binary(max_size=8).map(lambda end: bytes(505) + end))
def test_content_comes_back_equal_whatever_its_end(content: bytes) -> None:
    token = TOKENS.seal("login", content, expires_at=LATER, now=NOW)
    assert re.fullmatch("[A-Za-z0-9._-]+", token)
    assert TOKENS.unseal("login", token, now=NOW) == content


def cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), (1,), {1}, b"1", {1: 2}, {"a": (1,)}, NOW, cyclic(), nested(200_000)]
)
def test_what_would_not_come_back_equal_is_not_issued(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="claims: not JSON"):
        TOKENS.issue("login", {"a": value}, expires_at=LATER, now=NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_signed_kind_can_be_read_without_the_secret(kind: Kind) -> None:
    parts = [unb64(part) for part in make(kind).split(".")]
    assert any(b'"42"' in part or b"content" in part for part in parts) == (kind == "signed")
    assert any(struct.pack(">q", TIMES[1]) in part for part in parts) is False


def test_the_length_of_sealed_content_shows_in_steps_only() -> None:
    def length(size: int) -> int:
        return len(TOKENS.seal("login", bytes(size), expires_at=LATER, now=NOW))

    assert length(0) == length(1) == length(500) == length(511) < length(512) == length(1023) < length(1024)


def test_equal_content_is_sealed_differently() -> None:
    assert len({make("sealed").split(".")[2] for _ in range(50)}) == 50


# --- Forgeries ---

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.parametrize("kind", KINDS)
def test_no_character_of_a_token_can_be_changed_or_left_out(kind: Kind) -> None:
    token = make(kind)
    for place, was in enumerate(token):
        check_invalid(kind, token[:place] + ("A" if was != "A" else "B") + token[place + 1 :])
        check_invalid(kind, token[:place] + token[place + 1 :])
        check_invalid(kind, token[:place])


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_has_one_spelling(kind: Kind) -> None:
    """Also in the unused bits of the last character, which a lenient decoder would drop."""
    token = make(kind)
    reads = [last for last in ALPHABET if accepted(kind, token[:-1] + last)]
    assert reads == [token[-1]]
    for other in respelled(token):
        check_invalid(kind, other)


def respelled(token: str) -> list[str]:
    """What lenient readers take for the same token."""
    parts = token.split(".")
    padded = [".".join([*parts[:n], part + "=" * (-len(part) % 4), *parts[n + 1 :]]) for n, part in enumerate(parts)]
    others = [token + "=", token + "\n", " " + token, token + ".", "." + token, token + "." + token, "\ufeff" + token]
    standard = token.replace("_", "/").replace("-", "+")
    return [other for other in [*padded, *others, standard] if other != token]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_decoded_that_has_another_form(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joserfc.jws.deserialize_compact", called)
    monkeypatch.setattr("joserfc.jwe.decrypt_compact", called)
    token = make(kind)
    with pytest.raises(RuntimeError):
        reader(kind)(token)
    parts = token.split(".")
    for other in [*respelled(token), token[:-1], token + "A", ".".join(parts[:-1]), ".".join([*parts[:-1], ""])]:
        check_invalid(kind, other)
    for number in range(1, len(parts) - 1):
        check_invalid(kind, ".".join([*parts[:number], parts[number] + "é", *parts[number + 1 :]]))
        check_invalid(kind, ".".join([*parts[:number], "" if parts[number] else "AA", *parts[number + 1 :]]))


def called(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("that must not be called")


def accepted(kind: Kind, token: Any) -> bool:
    try:
        return reader(kind)(token) == CONTENT[kind]
    except TokenError:
        return False


@pytest.mark.parametrize("kind", KINDS)
def test_segments_of_two_genuine_tokens_do_not_mix(kind: Kind) -> None:
    one = make(kind).split(".")
    two = make(kind, until=LATER + SECOND).split(".")
    for place in range(1, len(one)):
        if one[place] != two[place]:
            check_invalid(kind, ".".join([*one[:place], two[place], *one[place + 1 :]]))


def test_one_kind_is_not_the_other() -> None:
    check_invalid("sealed", make("signed"))
    check_invalid("signed", make("sealed"))
    assert hkdf("signed login", 32) != hkdf("sealed login", 32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_one_purpose_is_none_for_another(kind: Kind) -> None:
    for purpose in ("logi", "login2", "Login", "l"):
        check_invalid(kind, make(kind), purpose=purpose)
        check_invalid(kind, make(kind, purpose=purpose))
    check_invalid(kind, make(kind), purpose="other", now=LATER + timedelta(days=1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_purpose_is_in_the_key_and_in_the_header(kind: Kind) -> None:
    check_invalid(kind, forge(kind, key=hkdf(f"{kind} other", 32)))
    check_invalid(kind, forge(kind, typ="other"))
    check_invalid(kind, forge(kind, typ=None))


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_in_the_key(kind: Kind) -> None:
    other = "sealed" if kind == "signed" else "signed"
    check_invalid(kind, forge(kind, key=hkdf(f"{other} login", 32)))
    check_invalid(kind, forge(kind, key=SECRET[:32]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "HS384"},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": "A256KW"},
        {"alg": None},
        {"alg": ["HS256"]},
        {"alg": {}},
        {"enc": "A128GCM"},
        {"enc": "A256CBC-HS512"},
        {"zip": "DEF"},
        {"jku": "https://evil.example"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"x5u": "https://evil.example"},
        {"x5c": ["AAAA"]},
        {"x5t": "AAAA"},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": True},
        {"b64": False, "crit": ["b64"]},
        {"cty": "JWT"},
        {"unknown": 1},
        {"kid": None},
        {"kid": ""},
        {"kid": "AAAAAAAAAAA"},
        {"kid": ["AAAAAAAAAAA"]},
        {"kid": 0},
        {"typ": ["login"]},
    ],
    ids=str,
)
def test_a_header_that_we_would_not_write_is_refused_even_with_the_right_key(
    kind: Kind, changes: dict[str, Any]
) -> None:
    check_invalid(kind, forge(kind, **changes))


def test_compressed_content_is_refused() -> None:
    compressor = zlib.compressobj(wbits=-15)
    check_invalid("sealed", forge("sealed", compressor.compress(PLAIN) + compressor.flush(), zip="DEF"))


def test_an_unsigned_token_is_refused() -> None:
    header, payload, _ = forge("signed", alg="none").split(".")
    check_invalid("signed", f"{header}.{payload}.")
    header, payload, _ = make("signed").split(".")
    check_invalid("signed", f"{header}.{payload}.")
    check_invalid("signed", f"{header}.{payload}")
    check_invalid("signed", f"{header}..{'A' * 43}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "header", [b"", b"{", b"null", b"[]", b'"kid"', b"1", b"\xff", b"{}", b'{"alg":1e999}', b"[" * 190, b"9" * 190]
)
def test_a_header_that_is_no_json_object_is_refused(kind: Kind, header: bytes) -> None:
    check_invalid(kind, forge(kind, header=header))


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_has_one_spelling(kind: Kind) -> None:
    right = HEADERS[kind] | {"kid": KID, "typ": "login"}
    compact = json.dumps(right, separators=(",", ":"))
    assert reader(kind)(forge(kind, header=compact.encode())) == CONTENT[kind]
    for other in (
        json.dumps(right),
        json.dumps(dict(sorted(right.items(), reverse=True)), separators=(",", ":")),
        compact + " ",
        compact.replace("login", "lo\\u0067in"),
        compact.replace("}", ',"typ":"login"}'),
        compact.replace("{", '{"typ":"other",'),
    ):
        check_invalid(kind, forge(kind, header=other.encode()))
        check_invalid(kind, f"{b64(other.encode())}.{make(kind).split('.', 1)[1]}")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"{",
        json.dumps(BODY | {"nbf": 1}).encode(),
        json.dumps({name: value for name, value in BODY.items() if name != "exp"}).encode(),
        json.dumps({name: value for name, value in BODY.items() if name != "iat"}).encode(),
        json.dumps({name: value for name, value in BODY.items() if name != "claims"}).encode(),
        json.dumps(BODY | {"exp": "9999999999"}).encode(),
        json.dumps(BODY | {"exp": 9999999999.5}).encode(),
        json.dumps(BODY | {"exp": None}).encode(),
        json.dumps(BODY | {"iat": True}).encode(),
        json.dumps(BODY | {"claims": []}).encode(),
        b'{"claims":' + b"[" * 5_000,
    ],
)
def test_a_payload_that_we_would_not_write_is_refused_even_with_the_right_key(payload: bytes) -> None:
    check_invalid("signed", forge("signed", payload))


@pytest.mark.parametrize("plain", [b"\x80", b"\x80" * 15, PLAIN[:16], PLAIN[:16] + bytes(512), b"content" * 100])
def test_content_that_we_would_not_write_is_refused_even_with_the_right_key(plain: bytes) -> None:
    check_invalid("sealed", forge("sealed", plain))


# --- Anything at all ---


# A text whose own methods all fail: what reads it must not call them.
Hostile: Any = type("Hostile", (str,), {name: called for name in vars(str) if name not in ("__new__", "__doc__")})


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_may_be_of_a_subclass_of_str(kind: Kind) -> None:
    assert reader(kind)(Hostile(make(kind))) == CONTENT[kind]
    check_invalid(kind, Hostile("A"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "value", [None, 0, b"", b"a.b.c", bytearray(), [], {}, object(), str, NOW, "", ".", "..", "...."]
)
def test_what_is_no_text_is_no_token(kind: Kind, value: Any) -> None:
    check_invalid(kind, value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["é", "\ud800", "\0", "\u200b", "١", "Ａ", "ſ", "\u212a", "%2e"])
def test_characters_outside_the_alphabet_are_refused_wherever_they_stand(kind: Kind, text: str) -> None:
    token = make(kind)
    for place in range(0, len(token) + 1, 7):
        check_invalid(kind, token[:place] + text + token[place:])
        check_invalid(kind, token[:place] + text + token[place + 1 :])


@settings(deadline=None)
@given(
    st.text(st.characters(codec=None, categories=None), max_size=80)
    | st.text(ALPHABET + ".", max_size=200)
    | st.lists(st.binary(max_size=60).map(b64), max_size=6).map(".".join)
)
def test_no_text_gets_anything_but_a_token_error(text: str) -> None:
    for kind in KINDS:
        check_invalid(kind, text)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.none() | st.binary(max_size=180) | JSONS.map(lambda value: json.dumps(value).encode()[:180]),
    st.dictionaries(
        st.sampled_from(["alg", "enc", "zip", "kid", "typ", "crit", "b64", "jwk", "x5c", "p2s", "epk", "apu"]),
        JSONS | st.sampled_from(["HS256", "dir", "A256GCM", "DEF", "none", KID, "login", ["b64"], True, False]),
        max_size=3,
    ),
    st.none() | st.binary(max_size=600) | JSONS.map(lambda value: json.dumps(value).encode()),
)
def test_not_even_the_right_key_gets_anything_but_a_token_error(
    kind: Kind, header: bytes | None, changes: dict[str, Any], content: bytes | None
) -> None:
    token = forge(kind, content, header, **changes)
    try:
        reader(kind)(token)
    except TokenError as error:
        assert error.code is Code.TOKEN_INVALID or content is not None
    else:
        right = HEADERS[kind] | {"kid": KID, "typ": "login"}
        assert json.loads(unb64(token.split(".")[0])) == right


# --- Bounds ---


@pytest.mark.parametrize(("kind", "limit"), [("signed", 8_192), ("sealed", 65_536)])
def test_a_longer_token_is_refused_before_any_work(kind: Kind, limit: int) -> None:
    def token(size: int) -> str:
        padded = json.dumps(BODY).encode().ljust(size) if kind == "signed" else PLAIN.ljust(size, b"\0")
        return forge(kind, padded)

    size = bisect_right(range(limit), limit, key=lambda size: len(token(size))) - 1
    assert limit - 1 <= len(token(size)) <= limit
    check_invalid(kind, token(size + 1))
    check_invalid(kind, token(size + 1), now=LATER)  # else expired


def test_the_most_that_can_be_issued_fits_in_the_bound_with_the_longest_purpose() -> None:
    purpose = "p" * 64
    ours = len('{"iat":1767268800,"exp":1767269100,"claims":{"a":""}}')
    claims = {"a": "x" * (5_800 - ours)}
    token = TOKENS.issue(purpose, claims, expires_at=LATER, now=NOW)
    assert len(token) <= 8_192
    assert TOKENS.read(purpose, token, now=NOW) == claims
    with pytest.raises(DecodeError) as caught:
        TOKENS.issue(purpose, {"a": claims["a"] + "x"}, expires_at=LATER, now=NOW)
    assert (caught.value.code, caught.value.expected, caught.value.actual) == (Code.TOO_LARGE, 5_800, 5_801)


def test_the_most_that_can_be_sealed_fits_in_the_bound_with_the_longest_purpose() -> None:
    purpose, content = "p" * 64, os.urandom(47 << 10)
    token = TOKENS.seal(purpose, content, expires_at=LATER, now=NOW)
    assert len(token) <= 65_536
    assert TOKENS.unseal(purpose, token, now=NOW) == content
    with pytest.raises(DecodeError) as caught:
        TOKENS.seal(purpose, content + b"x", expires_at=LATER, now=NOW)
    assert caught.value.code is Code.TOO_LARGE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("purpose", ["", "p" * 65, "two words", "línea", "a\n", 'a"b', "a\\b", "\ud800"])
def test_a_purpose_is_a_word(kind: Kind, purpose: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: make(kind, purpose=purpose),
        lambda: reader(kind, purpose=purpose)("a.b.c"),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert caught.value.path == "purpose"


# --- Time ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_ends_in_the_second_that_was_said(kind: Kind) -> None:
    token = make(kind)
    for now in (NOW, LATER - SECOND, LATER - timedelta(microseconds=1)):
        assert reader(kind, now=now)(token) == CONTENT[kind]
    for now in (LATER, LATER + SECOND, LATER + timedelta(days=9999)):
        error = refused(kind, token, now=now)
        assert error.to_dict() == {"code": "token_expired", "message": "the token has expired"}


@pytest.mark.parametrize("kind", KINDS)
def test_times_count_in_whole_seconds_in_any_zone(kind: Kind) -> None:
    half = timedelta(milliseconds=999)
    token = make(kind, now=NOW + half, until=LATER + half)
    assert reader(kind, now=LATER - SECOND + half)(token) == CONTENT[kind]
    assert refused(kind, token, now=LATER).code is Code.TOKEN_EXPIRED
    east = timezone(timedelta(hours=14))
    assert (
        reader(kind, now=(LATER - SECOND).astimezone(east))(make(kind, until=LATER.astimezone(east))) == CONTENT[kind]
    )
    assert refused(kind, token, now=LATER.astimezone(east)).code is Code.TOKEN_EXPIRED


@pytest.mark.parametrize("kind", KINDS)
def test_any_year_can_be_written(kind: Kind) -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    token = make(kind, now=first, until=last)
    assert reader(kind, now=first)(token) == CONTENT[kind]
    assert reader(kind, now=NOW)(token) == CONTENT[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_ends_before_it_begins_is_expired(kind: Kind) -> None:
    assert refused(kind, make(kind, until=NOW)).code is Code.TOKEN_EXPIRED
    assert refused(kind, make(kind, until=NOW - timedelta(days=9))).code is Code.TOKEN_EXPIRED


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_from_the_future_is_invalid_beyond_the_clocks_difference(kind: Kind) -> None:
    token = make(kind)
    assert reader(kind, now=NOW - timedelta(seconds=60))(token) == CONTENT[kind]
    check_invalid(kind, token, now=NOW - timedelta(seconds=61))
    check_invalid(kind, make(kind, until=NOW - timedelta(days=1)), now=NOW - timedelta(seconds=61))


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_genuine_token_is_called_expired(kind: Kind) -> None:
    token, now = make(kind), LATER + timedelta(days=1)
    assert refused(kind, token, now=now).code is Code.TOKEN_EXPIRED
    last = "A" if token[-1] != "A" else "Q"
    check_invalid(kind, token[:-1] + last, now=now)
    check_invalid(kind, token, by=Tokens([OTHER]), now=now)
    check_invalid(kind, forge(kind, cty="JWT"), now=now)


@pytest.mark.parametrize("kind", KINDS)
def test_a_time_without_its_zone_is_a_mistake_of_ours(kind: Kind) -> None:
    naive = NOW.replace(tzinfo=None)
    calls: dict[str, Callable[[], object]] = {
        "now": lambda: make(kind, now=naive),
        "expires_at": lambda: make(kind, until=naive),
    }
    for path, call in calls.items():
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert caught.value.path == path
    with pytest.raises(ConfigurationError, match="now: "):
        reader(kind, now=naive)(make(kind))


# --- Secrets and their rotation ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_under_another_secret_is_invalid(kind: Kind) -> None:
    other = Tokens([OTHER])
    check_invalid(kind, make(kind, by=other))
    check_invalid(kind, make(kind), by=other)


@pytest.mark.parametrize("kind", KINDS)
def test_every_secret_reads_and_the_first_makes(kind: Kind) -> None:
    secrets = [bytes([number]) * 32 for number in range(16)]
    rotated = Tokens(secrets)
    for secret in secrets:
        assert reader(kind, by=rotated)(make(kind, by=Tokens([secret]))) == CONTENT[kind]
    token = make(kind, by=rotated)
    assert reader(kind, by=Tokens(secrets[:1]))(token) == CONTENT[kind]
    check_invalid(kind, token, by=Tokens(secrets[1:]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_kid_selects_a_secret_and_does_not_replace_it(kind: Kind) -> None:
    both = Tokens([SECRET, OTHER])
    header = make(kind, by=Tokens([OTHER])).split(".")[0]
    check_invalid(kind, ".".join([header, *make(kind).split(".")[1:]]), by=both)
    kid = json.loads(unb64(header))["kid"]
    check_invalid(kind, forge(kind, kid=kid), by=both)
    assert reader(kind, by=both)(forge(kind, kid=kid, key=hkdf(f"{kind} login", 32, OTHER.encode()))) == CONTENT[kind]


def test_a_text_is_the_secret_of_its_utf_8() -> None:
    assert reader("signed", by=Tokens(["é" * 16]))(make("signed", by=Tokens([("é" * 16).encode()])))


@pytest.mark.parametrize(
    ("secrets", "path"),
    [
        ([], "secrets"),
        ((), "secrets"),
        ("one text is no list of secrets, however long", "secrets"),
        (b"nor are bytes a list of secrets, however many", "secrets"),
        ([bytes([number]) * 32 for number in range(17)], "secrets"),
        ([SECRET, b"a" * 31], "secrets[1]"),
        (["a" * 31], "secrets[0]"),
        (["é" * 15 + "e"], "secrets[0]"),
        ([""], "secrets[0]"),
        (["top-secret" * 4 + "\ud800"], "secrets[0]"),
        ([bytearray(32)], "secrets[0]"),
        ([None], "secrets[0]"),
        ([32], "secrets[0]"),
        ([SECRET, SECRET], "secrets[1]"),
        ([SECRET, OTHER, SECRET.decode()], "secrets[2]"),
    ],
    ids=repr,
)
def test_secrets_are_checked_when_they_are_given(secrets: Any, path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Tokens(secrets)
    assert caught.value.path == path
    assert "top-secret" not in str(caught.value.to_dict())
    assert caught.value.__context__ is None


def test_neither_repr_nor_tokens_show_a_secret_or_a_key() -> None:
    made = Tokens([SECRET, OTHER])
    tokens_of = [make(kind, by=made) for kind in KINDS]
    shown = repr(made) + str(made) + "".join(tokens_of) + str([unb64(part) for t in tokens_of for part in t.split(".")])
    assert KID in repr(made)
    keys = [hkdf(f"{kind} login", 32) for kind in KINDS]
    for hidden in (SECRET, OTHER.encode(), *keys):
        for form in (hidden.hex(), b64(hidden), repr(hidden)[2:-1]):
            assert form not in shown


# --- One object for all threads ---


def test_tokens_are_immutable() -> None:
    for name in ("_kids", "_key", "secrets"):
        with pytest.raises(AttributeError):
            setattr(TOKENS, name, ())
    with pytest.raises(AttributeError):
        del TOKENS._kids
    assert not hasattr(TOKENS, "__dict__")
    assert reader("signed")(make("signed")) == CONTENT["signed"]


def test_keys_are_derived_once_and_only_so_many_are_remembered() -> None:
    made: Any = Tokens([SECRET, OTHER])
    for _ in range(5):
        for kind in KINDS:
            assert reader(kind, by=made)(make(kind, by=made)) == CONTENT[kind]
            check_invalid(kind, make(kind, by=made), purpose="other")
    assert made._key.cache_info().misses == 2
    for number in range(1_100):
        make("signed", by=made, purpose=f"p{number}")
    assert made._key.cache_info().currsize == 1_024


def test_tokens_that_nobody_needs_leave_no_secret_in_memory() -> None:
    """Not even until the next collection of cycles."""
    made, plain = Tokens([SECRET]), object()
    make("signed", by=made)
    assert sys.getrefcount(made) == sys.getrefcount(plain)


def test_threads_share_one_object() -> None:
    shared = Tokens([SECRET, OTHER])

    def work(number: int) -> bool:
        purpose = f"p{number % 3}"
        content = str(number)
        sealed = shared.seal(purpose, content.encode(), expires_at=LATER, now=NOW)
        signed = shared.issue(purpose, {"n": content}, expires_at=LATER, now=NOW)
        return (
            shared.unseal(purpose, sealed, now=NOW) == content.encode()
            and shared.read(purpose, signed, now=NOW)["n"] == content
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))


# --- The set-up ---


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_missing_extra_is_named_when_tokens_are_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import sys
sys.modules["joserfc"] = None
from passkeycore import ConfigurationError
from passkeycore.tokens import Tokens
try:
    Tokens([b"a" * 32])
except ConfigurationError as error:
    print(error)
"""
    message = 'tokens need the extra "jose": passkeycore[jose]'
    assert run(script) == message
    monkeypatch.setitem(sys.modules, "joserfc", None)
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        Tokens([SECRET])


def test_importing_the_module_loads_nothing_that_only_tokens_need() -> None:
    heavy = ("joserfc", "cryptography.x509", "asyncio")
    assert run(f"import sys, passkeycore.tokens; print([n for n in {heavy!r} if n in sys.modules])") == "[]"


def test_the_example_of_the_docstring_works() -> None:
    failed, attempted = doctest.testmod(tokens)
    assert (failed, attempted) == (0, 7)


def test_every_error_is_one_of_the_library() -> None:
    assert issubclass(TokenError, PasskeyError)
    assert refused("signed", "").public_message == refused("signed", make("signed"), now=LATER).public_message
