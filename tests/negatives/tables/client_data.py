"""Cases about client data: type, challenge, origin, embedding. Most hold for both ceremonies and are made twice.

Rows R01 to R08, R11, R13 to R23 and R25 to R30; A01 to A04 are the same for an authentication.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final

from passkeycore import Code
from passkeycore.testing import ANDROID_ORIGIN, Tamper, b64url_decode, b64url_encode, derive

from ..ceremonies import CHALLENGE, ORIGIN, PLAIN, SEED, Json, Setup, state
from ..changes import STRICT, said
from ..harness import Case, create, get

OTHER_TYPE: Final = {"webauthn.create": "webauthn.get", "webauthn.get": "webauthn.create"}
OTHER_CHALLENGE: Final = b64url_encode(derive(SEED, "challenge of another session"))
EMBEDDER: Final = "https://shop.test"
SECOND: Final = "https://www.example.org"

ANDROID: Final = Setup(client={"platform": "android"}, rp={"origins": [ORIGIN, ANDROID_ORIGIN]})
IDN: Final = Setup(
    rp={"id": "xn--bcher-kva.example", "origins": ["https://xn--bcher-kva.example"]},
    client={"origin": "https://xn--bcher-kva.example"},
)
PORT: Final = Setup(rp={"origins": ["https://example.org:8443"]}, client={"origin": "https://example.org:8443"})
TWO_ORIGINS: Final = Setup(rp={"origins": [ORIGIN, SECOND]}, options={"origins": [ORIGIN]})
FRAMED: Final = Setup(rp={"allow_cross_origin": True}, client={"cross_origin": True})
EMBEDDED: Final = Setup(rp={"top_origins": [EMBEDDER]}, client={"cross_origin": True, "top_origin": EMBEDDER})


def challenged(change: Any) -> Tamper:
    """Client data whose challenge `change` makes of the right one's text."""
    return Tamper(client_data=lambda data: data | {"challenge": change(data["challenge"])})


def _renamed(data: Json, change: Any) -> Json:
    return data | {"type": change(data["type"])}


def _unused_bits(text: str) -> str:
    """The same bytes, spelled with unused bits that are not zero."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


def _own_challenge(response: Json) -> Json:
    """A response to a challenge of the client's own, which it sends along."""
    inner = response["response"]
    data = b64url_decode(inner["clientDataJSON"])
    answered = data.replace(b64url_encode(CHALLENGE).encode(), OTHER_CHALLENGE.encode())
    return response | {
        "response": inner | {"clientDataJSON": b64url_encode(answered)},
        "challenge": OTHER_CHALLENGE,
        "expectedChallenge": OTHER_CHALLENGE,
    }


Row = (
    tuple[str, Code | None, Tamper]
    | tuple[str, Code | None, Tamper, Setup]
    | tuple[str, Code | None, Tamper, Setup, Callable[[Any], bool]]
)
_JSON, _ORIGIN = Code.JSON_INVALID, Code.ORIGIN_NOT_ALLOWED
_TYPE, _CHALLENGE = Code.TYPE_MISMATCH, Code.CHALLENGE_MISMATCH
_CROSS, _TOP = Code.CROSS_ORIGIN_NOT_ALLOWED, Code.TOP_ORIGIN_NOT_ALLOWED

TYPES: Final[tuple[Row, ...]] = (
    ("R01-type-of-the-other-ceremony", _TYPE, Tamper(client_data=lambda d: _renamed(d, OTHER_TYPE.get))),
    ("R02.case-type-in-another-case", _TYPE, Tamper(client_data=lambda d: _renamed(d, str.capitalize))),
    ("R02.nul-type-with-a-nul", _TYPE, Tamper(client_data=lambda d: _renamed(d, lambda t: t + "\0"))),
    ("R02.space-type-with-a-space", _TYPE, Tamper(client_data=lambda d: _renamed(d, lambda t: t + " "))),
    ("R02.prefix-type-cut-short", _TYPE, Tamper(client_data=lambda d: _renamed(d, lambda t: t[:-1]))),
    ("R03.missing-type", _JSON, said(type=...)),
    ("R03.list-type-in-a-list", _JSON, Tamper(client_data=lambda d: _renamed(d, lambda t: [t]))),
    ("R03.null-type", _JSON, said(type=None)),
)
CHALLENGES: Final[tuple[Row, ...]] = (
    ("R04-challenge-of-another-session", _CHALLENGE, said(challenge=OTHER_CHALLENGE)),
    ("R05.short-challenge", _CHALLENGE, said(challenge=b64url_encode(CHALLENGE[:-1]))),
    ("R05.long-challenge", _CHALLENGE, said(challenge=b64url_encode(CHALLENGE + b"\0"))),
    ("R05.empty-challenge", _CHALLENGE, said(challenge="")),
    ("R06.padded-challenge", _CHALLENGE, challenged(lambda text: text + "=")),
    (
        "R06.standard-challenge-in-standard-base64",
        _CHALLENGE,
        challenged(lambda text: text.replace("-", "+").replace("_", "/")),
    ),
    ("R06.full-width-challenge", _CHALLENGE, challenged(lambda text: text[:-1] + chr(ord(text[-1]) + 0xFEE0))),
    ("R07-challenge-with-unused-bits", _CHALLENGE, challenged(_unused_bits)),
    ("R07.missing-challenge", _JSON, said(challenge=...)),
    ("R07.bytes-challenge-as-numbers", _JSON, said(challenge=list(CHALLENGE))),
    ("R11-challenge-that-the-client-brings-along", _CHALLENGE, Tamper(response=_own_challenge)),
)
ORIGINS: Final[tuple[Row, ...]] = (
    ("R13-origin-prefix", _ORIGIN, said(origin="https://example.org.evil.test")),
    ("R14-origin-suffix-without-a-dot", _ORIGIN, said(origin="https://evil-example.org")),
    ("R15-origin-of-a-subdomain", _ORIGIN, said(origin="https://a.example.org")),
    ("R15.parent-origin-of-the-parent-domain", _ORIGIN, said(origin="https://org")),
    ("R16-origin-over-http", _ORIGIN, said(origin="http://example.org")),
    ("R17.other-port", _ORIGIN, said(origin="https://example.org:8443")),
    ("R17.default-port-spelled-out", _ORIGIN, said(origin="https://example.org:443")),
    ("R17.missing-port", _ORIGIN, said(origin=ORIGIN), PORT),
    ("R18.case-of-the-host", _ORIGIN, said(origin="https://Example.org")),
    ("R18.scheme-case-of-the-scheme", _ORIGIN, said(origin="HTTPS://example.org")),
    ("R18.dot-origin-with-a-trailing-dot", _ORIGIN, said(origin="https://example.org.")),
    ("R18.slash-origin-with-a-trailing-slash", _ORIGIN, said(origin="https://example.org/")),
    ("R18.path-origin-with-a-path", _ORIGIN, said(origin="https://example.org/login")),
    ("R18.query-origin-with-a-query", _ORIGIN, said(origin="https://example.org?a=b")),
    ("R18.space-origin-with-a-space", _ORIGIN, said(origin="https://example.org ")),
    ("R18.nul-origin-with-a-nul", _ORIGIN, said(origin="https://example.org\0")),
    ("R19-origin-with-a-user", _ORIGIN, said(origin="https://evil.test@example.org")),
    ("R19.reverse-origin-as-a-user", _ORIGIN, said(origin="https://example.org@evil.test")),
    ("R20.u-label", _ORIGIN, said(origin="https://bücher.example"), IDN),
    ("R20.mixed-script", _ORIGIN, said(origin="https://ex\u0430mple.org")),
    ("R21.null-the-word", _ORIGIN, said(origin="null")),
    ("R21.empty-origin", _ORIGIN, said(origin="")),
    ("R21.none-null-origin", _JSON, said(origin=None)),
    ("R21.missing-origin", _JSON, said(origin=...)),
    ("R21.object-origin", _JSON, said(origin={"origin": ORIGIN})),
    ("R21.list-of-origins", _JSON, said(origin=[ORIGIN])),
    (
        "R22-origin-of-another-app",
        _ORIGIN,
        said(origin="android:apk-key-hash:" + b64url_encode(sha256(b"another app").digest())),
        ANDROID,
    ),
    ("R22.unlisted-app", _ORIGIN, said(origin=ANDROID_ORIGIN)),
    ("R23.padded-app", _ORIGIN, said(origin=ANDROID_ORIGIN + "="), ANDROID),
    (
        "R23.standard-app-in-standard-base64",
        _ORIGIN,
        said(origin=ANDROID_ORIGIN[:21] + ANDROID_ORIGIN[21:].replace("-", "+").replace("_", "/")),
        ANDROID,
    ),
    ("R25-allowed-origin-that-did-not-begin-it", _ORIGIN, said(origin=SECOND), TWO_ORIGINS),
)
NO_ORIGINS: Final = (create("R25.no-origin-may-finish-it", _ORIGIN, state(origins=())),)
EMBEDDING: Final[tuple[Row, ...]] = (
    ("R26-cross-origin", _CROSS, said(crossOrigin=True), PLAIN, lambda e: (e.expected, e.actual) == (False, True)),
    ("R26.unnamed-embedder", _CROSS, said(topOrigin=...), EMBEDDED),
    ("R26.null-embedder", _CROSS, said(topOrigin=None), EMBEDDED),
    ("R26.absent-cross-origin", None, said(crossOrigin=...)),
    ("R26.allowed-cross-origin", None, said(extra=1), FRAMED),
    ("R27.string-cross-origin", _JSON, said(crossOrigin="false")),
    ("R27.number-cross-origin", _JSON, said(crossOrigin=1)),
    ("R28-top-origin-without-cross-origin", _TOP, said(topOrigin=EMBEDDER)),
    ("R28.own-origin-on-top", _TOP, said(topOrigin=ORIGIN)),
    ("R28.listed-without-cross-origin", None, said(crossOrigin=False), EMBEDDED),
    ("R29-top-origin-that-is-not-listed", _TOP, said(topOrigin="https://evil.test"), EMBEDDED),
    ("R29.allowed-frames-but-no-list", _TOP, said(topOrigin=EMBEDDER), FRAMED),
    ("R29.slash-top-origin-with-a-slash", _TOP, said(topOrigin=EMBEDDER + "/"), EMBEDDED),
    ("R29.list-of-top-origins", _JSON, said(topOrigin=[EMBEDDER]), EMBEDDED),
)
_SAME_FOR_AUTHENTICATION: Final = {"A01": TYPES, "A02": CHALLENGES, "A03": ORIGINS, "A04": EMBEDDING}

PRESENT: Final = said(tokenBinding={"status": "present", "id": "AAAA"})
_TWICE: Final = b',"tokenBinding":{"status":"supported"},"tokenBinding":{"status":"present"}}'
TOKEN_BINDING: Final = (
    create("R30-token-binding", None, PRESENT),
    create("R30.strict-token-binding", Code.TOKEN_BINDING_NOT_ALLOWED, PRESENT, STRICT),
    create("R30.supported-token-binding", None, said(tokenBinding={"status": "supported"}), STRICT),
    create("R30.twice-token-binding", _JSON, Tamper(client_data_json=lambda d: d[:-1] + _TWICE), STRICT),
    get("R30.get-strict-token-binding", Code.TOKEN_BINDING_NOT_ALLOWED, PRESENT, STRICT),
)


def _cases() -> Iterator[Case]:
    for row, table in _SAME_FOR_AUTHENTICATION.items():
        for id, code, tamper, *more in table:
            rest: list[Any] = more
            yield create(id, code, tamper, *rest)
            yield get(f"{row}.{id}", code, tamper, *rest)


CASES: Final = (*_cases(), *NO_ORIGINS, *TOKEN_BINDING)
