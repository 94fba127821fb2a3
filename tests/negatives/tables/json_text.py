"""Cases about JSON and base64url: responses and client data whose meaning is right and whose text is not.

Rows J01 to J20, less J02, which is struck.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from passkeycore import Code
from passkeycore.testing import Tamper, b64url_encode

from ..ceremonies import CREDENTIAL_ID, ORIGIN, Body, Json, Setup
from ..changes import STRICT, answered, inside, results
from ..harness import create, get

EMBEDDER: Final = "https://shop.test"
EMBEDDED: Final = Setup(rp={"top_origins": [EMBEDDER]}, client={"cross_origin": True, "top_origin": EMBEDDER})

_JSON, _BASE64, _LARGE = Code.JSON_INVALID, Code.BASE64URL_INVALID, Code.TOO_LARGE


def text(change: Callable[[bytes], bytes]) -> Tamper:
    """Client data whose text `change` makes of the right one, hashed and signed as it then stands."""
    return Tamper(client_data_json=change)


def more(members: bytes) -> Tamper:
    """Client data with this text before its closing brace."""
    return text(lambda data: data[:-1] + b"," + members + b"}")


def body(change: Callable[[bytes], bytes]) -> Body:
    """A response whose text `change` makes of the right one."""
    return Body(change)


def beside(members: bytes) -> Body:
    """A response with this text before its closing brace."""
    return Body(lambda posted: posted[:-1] + b"," + members + b"}")


def respelled(member: str, change: Callable[[str], str]) -> Tamper:
    """A response in which `change` spells the base64url of one member of the inner `response`."""
    return Tamper(response=lambda r: r | {"response": r["response"] | {member: change(r["response"][member])}})


def identified(change: Callable[[str], str]) -> Tamper:
    """A response in which `change` spells both of its credential ids."""
    return Tamper(response=lambda r: r | {"id": change(r["id"]), "rawId": change(r["rawId"])})


def parsed(change: Callable[[Json], Any]) -> Body:
    """A response that somebody has parsed and `change` has altered: a mapping instead of text."""
    return Body(lambda posted: change(json.loads(posted)))


def always(value: bytes) -> Callable[[bytes], bytes]:
    """A change that leaves nothing of what was there."""
    return lambda _: value


def escaped(name: bytes) -> bytes:
    """A JSON string that does not look like `name`."""
    return b'"' + b"".join(b"\\u%04x" % letter for letter in name) + b'"'


_EVIL: Final = b'"origin":"https://evil.test"'
DUPLICATES: Final = (
    create("J01-origin-twice", _JSON, more(_EVIL)),
    create("J01.same-origin-twice", _JSON, more(b'"origin":"%b"' % ORIGIN.encode())),
    create("J01.origin-first-elsewhere", _JSON, text(lambda d: b"{" + _EVIL + b"," + d[1:])),
    create("J01.escaped-origin", _JSON, more(escaped(b"origin") + b':"https://evil.test"')),
    create("J01.type-twice", _JSON, more(b'"type":"webauthn.create"')),
    create("J01.challenge-twice", _JSON, more(b'"challenge":"AAAA"')),
    create("J01.cross-origin-twice", _JSON, more(b'"crossOrigin":true')),
    create("J01.null-cross-origin-twice", _JSON, more(b'"crossOrigin":null')),
    create("J01.top-origin-twice", _JSON, more(b'"topOrigin":"%b"' % EMBEDDER.encode()), EMBEDDED),
    create("J01.null-top-origin-twice", _JSON, more(b'"topOrigin":null'), EMBEDDED),
    create("J01.with-a-space", _JSON, more(b' "origin" : "https://evil.test"')),
    create("J01.unjudged-member-twice", None, more(b'"extra":1,"extra":2')),
    create("J01.escaped-unjudged-member-twice", None, more(b'"extra":"\\n","extra":2')),
    create("J01.type-and-challenge-twice", _JSON, text(lambda d: d[:-1] + b"," + d[1 : d.index(b',"origin"')] + b"}")),
    create("J01.everything-twice", _JSON, text(lambda d: d[:-1] + b"," + d[1:])),
    create("J01.name-as-a-value", None, more(b'"extra":"origin"')),
    create("J01.name-further-down", None, more(b'"extra":{"origin":"https://evil.test"}')),
    create("J01.escaped-name-further-down", None, more(b'"extra":{"\\u006frigin":"https://evil.test"}')),
    get("J01.get-origin-twice", _JSON, more(_EVIL)),
    create("J03-name-in-another-case", _JSON, text(lambda d: d.replace(b'"origin"', b'"Origin"'))),
    create("J03.type-in-capitals", _JSON, text(lambda d: d.replace(b'"type"', b'"TYPE"'))),
    create("J03.more-names-in-another-case", None, more(b'"Origin":"https://evil.test","TYPE":"x"')),
    create("J03.response-in-another-case", _JSON, body(lambda b: b.replace(b'"rawId"', b'"rawid"'))),
    create("J03.escaped-names", None, text(lambda d: d.replace(b'"origin"', escaped(b"origin")))),
)

_NO_OBJECTS: Final = {
    "list": b"[]",
    "string": b'"x"',
    "null": b"null",
    "number": b"1",
    "true": b"true",
    "nothing": b"",
    "empty-object": b"{}",
}
SYNTAX: Final = (
    *(
        create(f"J04.{name}-in-client-data", _JSON, more(b'"extra":' + number))
        for name, number in {"nan": b"NaN", "infinity": b"Infinity", "minus-infinity": b"-Infinity"}.items()
    ),
    create("J04.nan-in-escaped-client-data", _JSON, more(b'"extra":["\\n",NaN]')),
    create("J04.nan-in-a-response", _JSON, beside(b'"extra":NaN')),
    create("J04.infinity-as-a-member", _JSON, beside(b'"authenticatorAttachment":Infinity')),
    create("J05.byte-order-mark", None, text(lambda d: b"\xef\xbb\xbf" + d)),
    create("J05.strict-byte-order-mark", _JSON, text(lambda d: b"\xef\xbb\xbf" + d), STRICT),
    create("J05.two-byte-order-marks", _JSON, text(lambda d: 2 * b"\xef\xbb\xbf" + d)),
    create("J05.bad-utf-8", None, more(b'"extra":"\xff"')),
    create("J05.strict-bad-utf-8", _JSON, more(b'"extra":"\xff"'), STRICT),
    create("J05.overlong", None, more(b'"extra":"\xc0\xaf"')),
    create("J05.strict-overlong", _JSON, more(b'"extra":"\xc0\xaf"'), STRICT),
    create("J05.bad-utf-8-in-the-origin", Code.ORIGIN_NOT_ALLOWED, text(lambda d: d.replace(b".org", b".org\xff"))),
    create("J05.utf-16", _JSON, text(lambda d: d.decode().encode("utf-16"))),
    create("J05.utf-32", _JSON, text(lambda d: d.decode().encode("utf-32"))),
    create("J05.bad-utf-8-in-a-response", _JSON, beside(b'"extra":"\xff","type":"\xff"')),
    create("J05.utf-16-response", _JSON, body(lambda b: b.decode().encode("utf-16"))),
    create("J05.response-with-byte-order-mark", _JSON, body(lambda b: b"\xef\xbb\xbf" + b)),
    create("J05.response-with-lone-surrogate", _JSON, Body(lambda b: b.decode().replace("public-key", "\ud800"))),
    create("J06-client-data-too-deep", _JSON, more(b'"extra":' + 4000 * b"[" + 4000 * b"]")),
    create("J06.client-data-deep-and-unclosed", _JSON, more(b'"extra":' + 7000 * b"[")),
    create("J06.escaped-client-data-too-deep", _JSON, more(b'"\\n":' + 4000 * b"[" + 4000 * b"]")),
    create("J06.client-data-too-large", _LARGE, more(b'"extra":' + 50_000 * b"[" + 50_000 * b"]")),
    create("J06.response-too-deep", _JSON, body(lambda _: 100_000 * b"[")),
    create("J06.response-member-too-deep", _JSON, beside(b'"extra":' + 50_000 * b"[" + 50_000 * b"]")),
    create("J06.results-too-deep", _JSON, beside(b'"clientExtensionResults":{"x":' + 5000 * b"[" + 5000 * b"]}")),
    create("J06.mapping-too-deep", _JSON, parsed(lambda r: r | {"clientExtensionResults": {"prf": _deep()}})),
    create("J07-5000-digits-as-cross-origin", _JSON, text(lambda d: d.replace(b"false", 5000 * b"1"))),
    create("J07.5000-digits-in-escaped-client-data", _JSON, more(b'"\\n":' + 5000 * b"1")),
    create("J07.5000-digits-in-a-response", _JSON, beside(b'"authenticatorAttachment":' + 5000 * b"1")),
    create("J07.5000-digits-in-results", _JSON, beside(b'"clientExtensionResults":{"uvm":[[' + 5000 * b"1" + b"]]}")),
    *(create(f"J08.{name}", _JSON, body(always(value))) for name, value in _NO_OBJECTS.items()),
    *(create(f"J08.client-data-{name}", _JSON, text(always(value))) for name, value in _NO_OBJECTS.items()),
    create("J09.byte-after-client-data", _JSON, text(lambda d: d + b"x")),
    create("J09.client-data-twice", _JSON, text(lambda d: d + d)),
    create("J09.nul-after-client-data", _JSON, text(lambda d: d + b"\0")),
    create("J09.comment-in-client-data", _JSON, text(lambda d: d + b"//")),
    create("J09.single-quotes-in-client-data", _JSON, text(lambda d: d.replace(b'"', b"'"))),
    create("J09.trailing-comma-in-client-data", _JSON, text(lambda d: d[:-1] + b",}")),
    create("J09.client-data-cut-short", _JSON, text(lambda d: d[:-1])),
    create("J09.line-break-in-a-string", _JSON, text(lambda d: d.replace(b".org", b".org\n"))),
    create("J09.spaces-around-client-data", None, text(lambda d: b" \n" + d + b"\t")),
    create("J09.byte-after-a-response", _JSON, body(lambda b: b + b"x")),
    create("J09.two-responses", _JSON, body(lambda b: b + b)),
    create("J09.response-cut-short", _JSON, body(lambda b: b[:-1])),
    create("J10.odd-names-in-client-data", None, more(b'"__proto__":{"origin":1},"constructor":2')),
    create("J10.odd-names-in-a-response", None, beside(b'"__proto__":{"type":1},"constructor":2')),
    create("J10.odd-names-in-results", None, results(__proto__={"rk": True}, constructor=1)),
    create("J10.10000-members-in-client-data", _LARGE, more(b",".join(b'"%d":0' % n for n in range(10_000)))),
    create("J10.10000-members-in-a-response", _LARGE, beside(b",".join(b'"member%d":0' % n for n in range(10_000)))),
    create("J11-members-that-nobody-judges", None, more(b'"extra":{"a":[1,null]},"other_keys_can_be_added_here":"x"')),
    create("J11.members-before", None, text(lambda d: b'{"a":1,' + d[1:])),
    create("J11.another-order", None, Tamper(client_data=lambda d: {name: d[name] for name in reversed(d)})),
)

_SPELLINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "J12.space-before": lambda t: " " + t,
    "J12.space-after": lambda t: t + " ",
    "J12.line-break": lambda t: t[:8] + "\n" + t[8:],
    "J12.percent": lambda t: t[:8] + "%" + t[8:],
    "J12.nul": lambda t: t + "\0",
    "J12.dot": lambda t: t[:8] + "." + t[9:],
    "J13.padding": lambda t: t + "=",
    "J13.two-paddings": lambda t: t + "==",
    "J13.plus": lambda t: "+" + t[1:],
    "J13.slash": lambda t: "/" + t[1:],
    "J14.one-character-too-many": lambda t: t[: len(t) // 4 * 4] + "A",
    "J15.full-width-letter": lambda t: "\uff21" + t[1:],
    "J15.arabic-digit": lambda t: "\u0661" + t[1:],
    "J15.latin-1": lambda t: "é" + t[1:],
}
ALPHABET: Final = (
    *(create(f"{id}-in-the-id", _BASE64, identified(change)) for id, change in _SPELLINGS.items()),
    *(get(f"{id}-in-the-signature", _BASE64, respelled("signature", change)) for id, change in _SPELLINGS.items()),
    # The attestation object is long enough for another decoder.
    *(
        create(f"{id}-in-the-attestation-object", _BASE64, respelled("attestationObject", change))
        for id, change in _SPELLINGS.items()
    ),
    create("J15.lone-surrogate-in-the-id", _JSON, identified(lambda t: "\udc41" + t[1:])),
    create("J15.lone-surrogate-in-a-mapping", _JSON, parsed(lambda r: r | {"rawId": "\udc41" + r["rawId"][1:]})),
    create("J13.padded-client-data", _BASE64, respelled("clientDataJSON", lambda t: t + "=")),
    get("J13.padded-authenticator-data", _BASE64, respelled("authenticatorData", lambda t: t + "=")),
    get("J13.padded-user-handle", _BASE64, respelled("userHandle", lambda t: t + "=")),
    create("J13.padded-id-alone", _BASE64, answered(id=b64url_encode(CREDENTIAL_ID) + "=")),
    create("J13.padded-result", _BASE64, results(getCredBlob="AA==")),
    create("J14.unused-bits-of-two", _BASE64, identified(lambda t: t[:40] + "AB")),
    create("J14.unused-bits-of-four", _BASE64, identified(lambda t: t[:40] + "AAB")),
)

SHAPES: Final = (
    create("J16.id-as-numbers", _JSON, answered(id=list(CREDENTIAL_ID))),
    create("J16.raw-id-as-an-object", _JSON, answered(rawId={str(n): b for n, b in enumerate(CREDENTIAL_ID)})),
    create("J16.attestation-object-as-numbers", _JSON, inside(attestationObject=[1, 2])),
    create("J16.client-data-as-an-object", _JSON, inside(clientDataJSON={"type": "webauthn.create"})),
    get("J16.signature-as-numbers", _JSON, inside(signature=[48, 69])),
    create("J16.bytes-in-a-mapping", _JSON, parsed(lambda r: r | {"rawId": CREDENTIAL_ID})),
    create("J17-10-megabytes", _LARGE, beside(b'"extra":"' + 10_000_000 * b"a" + b'"')),
    create("J17.131072-bytes", None, body(lambda b: b.ljust(131_072))),
    create("J17.131073-bytes", _LARGE, body(lambda b: b.ljust(131_073))),
    create("J17.131073-bytes-in-a-string", _LARGE, Body(lambda b: b.decode().ljust(131_073))),
    create("J17.mapping-with-10-megabytes", _LARGE, parsed(lambda r: r | {"id": 10_000_000 * "A"})),
    create(
        "J17.mapping-with-10-megabytes-inside",
        _LARGE,
        parsed(lambda r: r | {"response": r["response"] | {"clientDataJSON": 10_000_000 * "A"}}),
    ),
    create("J17.client-data-of-8193-bytes", _LARGE, text(lambda d: d.ljust(8193))),
    create("J17.client-data-of-8192-bytes", None, text(lambda d: d.ljust(8192))),
    create("J18.response-missing", _JSON, answered(response=...)),
    create("J18.response-null", _JSON, answered(response=None)),
    create("J18.response-list", _JSON, Tamper(response=lambda r: r | {"response": [r["response"]]})),
    create("J18.assertion-for-a-registration", _JSON, inside(attestationObject=..., signature="AAAA")),
    create("J18.both-kinds-of-response", None, inside(signature="AAAA", userHandle="AAAA")),
    create("J18.id-missing", _JSON, answered(id=...)),
    create("J18.raw-id-missing", _JSON, answered(rawId=...)),
    create("J18.client-data-missing", _JSON, inside(clientDataJSON=...)),
    create("J18.client-data-null", _JSON, inside(clientDataJSON=None)),
    get("J18.attestation-for-an-authentication", _JSON, inside(signature=..., attestationObject="oA")),
    create("J19.results-list", _JSON, answered(clientExtensionResults=[])),
    create("J19.results-text", _JSON, answered(clientExtensionResults="{}")),
    create("J19.results-missing", None, answered(clientExtensionResults=...)),
    create("J19.results-null", None, answered(clientExtensionResults=None)),
    create("J19.discoverable-as-text", _JSON, results(credProps={"rk": "true"})),
    create("J19.discoverable-as-a-number", _JSON, results(credProps={"rk": 1})),
    create("J19.properties-true", _JSON, results(credProps=True)),
    create(
        "J19.large-blob-supported",
        None,
        results(largeBlob={"supported": True}),
        then=lambda o: o.credential.large_blob_supported,
    ),
    create("J19.unknown-result", None, results(someday=[{"a": 1}])),
    create("J20.appid-excluded-as-a-number", _JSON, results(appidExclude=1)),
    create("J20.methods-as-text", _JSON, results(uvm=[["1", "2", "3"]])),
    create("J20.methods-as-fractions", _JSON, results(uvm=[[1.5, 2, 3]])),
    create("J20.type-as-a-number", _JSON, answered(type=1)),
    create("J20.attachment-as-a-number", _JSON, answered(authenticatorAttachment=1)),
    create("J20.blob-as-a-number", _JSON, results(largeBlob={"supported": 1})),
    create(
        "J20.mapping-with-a-number-for-true",
        _JSON,
        parsed(lambda r: r | {"clientExtensionResults": {"credProps": {"rk": 1}}}),
    ),
    get("J20.appid-as-text", _JSON, results(appid="true")),
)


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


CASES: Final = (*DUPLICATES, *SYNTAX, *ALPHABET, *SHAPES)
