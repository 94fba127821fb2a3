"""Cases about CBOR: attestation objects, keys and extension outputs whose values are right and whose bytes are not.

Rows B01 to B11 and B13 to B20; B12, B21 and B22 are loops. Most stand in the value of an extension that nobody
knows, where anything goes that is strict CBOR.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import cbor2

from passkeycore import Code
from passkeycore.testing import CborValue, EncodedCbor, Tamper, cbor, cbor_map

from ..ceremonies import Json, Setup, authenticator
from ..changes import STRICT
from ..harness import Case, create

Pair: TypeAlias = tuple[CborValue, CborValue]
OF_256_BYTES: Final = Setup(authenticator={"credential_id_length": 124})
_CBOR, _KEY, _LARGE = Code.CBOR_INVALID, Code.PUBLIC_KEY_MALFORMED, Code.TOO_LARGE


def valued(item: CborValue) -> Tamper:
    """An output of an unknown extension, with this value: encoded already if bytes."""
    value = EncodedCbor(item) if isinstance(item, bytes) else item
    return Tamper(extensions=lambda _: {"x": value})


def labelled(label: bytes) -> Tamper:
    """A key with one more pair, whose label is encoded already."""
    return Tamper(cose_key=lambda key: cbor_map([*key.items(), (EncodedCbor(label), 0)]))


def outer(change: Any) -> Tamper:
    """An attestation object whose bytes `change` makes of the right ones."""
    return Tamper(attestation_object=change)


def shaped(**members: Any) -> Tamper:
    """An attestation object with these members instead; `...` leaves one out."""

    def change(attestation: Json) -> Json:
        made = attestation | members
        return {name: value for name, value in made.items() if value is not ...}

    return Tamper(attestation=change)


def pairs(change: Callable[[list[Pair]], list[Pair]]) -> Tamper:
    """An attestation object of the pairs that `change` makes of the right ones."""

    def rewrite(written: bytes) -> bytes:
        members: Mapping[str, CborValue] = cbor2.loads(written)
        return cbor_map(change(list(members.items())))

    return Tamper(attestation_object=rewrite)


def nested(depth: int) -> bytes:
    """Arrays in one another."""
    return depth * b"\x81" + b"\x01"


def _refused(prefix: str, code: Code, items: dict[str, bytes]) -> Iterable[Case]:
    return (create(f"{prefix}.{name}", code, valued(item)) for name, item in items.items())


def _tag(number: int) -> bytes:
    """The head of a tag, in its shortest form."""
    head = bytearray(cbor(number))
    head[0] |= 0xC0
    return bytes(head)


def _headed(written: bytes, head: bytes, instead: bytes) -> bytes:
    """An attestation object whose authenticator data, its last member, begins its length in another way."""
    name = cbor("authData")
    return written.replace(name + head, name + instead, 1)


def _key_bytes(change: Any) -> Tamper:
    return Tamper(cose_key=lambda key: change(cbor(key)))


OBJECTS: Final = (
    create("B01-byte-after-the-attestation-object", _CBOR, outer(lambda o: o + b"\0")),
    create("B01.attestation-object-twice", _CBOR, outer(lambda o: o + o)),
    create("B01.empty-attestation-object", _CBOR, outer(lambda _: b"")),
    create("B16.list", _CBOR, outer(lambda _: cbor(["none", {}, b""]))),
    create("B16.text", _CBOR, outer(lambda _: cbor("none"))),
    create("B16.format-missing", _CBOR, shaped(fmt=...)),
    create("B16.statement-missing", _CBOR, shaped(attStmt=...)),
    create("B16.authenticator-data-missing", _CBOR, shaped(authData=...)),
    create("B16.member-more", _CBOR, shaped(epAtt=True)),
    create("B16.authenticator-data-as-text", _CBOR, shaped(authData="text")),
    create("B16.format-as-bytes", _CBOR, shaped(fmt=b"none")),
    create("B16.format-null", _CBOR, shaped(fmt=None)),
    create("B17-name-in-bytes", _CBOR, pairs(lambda p: [(b"authData" if k == "authData" else k, v) for k, v in p])),
    create("B17.name-in-bytes-as-well", _CBOR, pairs(lambda p: [*p, (b"authData", b"")])),
    create("B18-object-of-65537-bytes", _LARGE, outer(lambda o: o.ljust(65_537, b"\0"))),
    create("B18.object-of-65536-bytes", _CBOR, outer(lambda o: o.ljust(65_536, b"\0"))),
    create("B18.object-of-a-megabyte", _LARGE, outer(lambda o: o.ljust(1_000_000, b"\0"))),
    create("B18.map-of-65536-pairs", _LARGE, Tamper(extensions=lambda _: {str(n): n for n in range(65_536)})),
)

DUPLICATES: Final = (
    create("B02.text-name-twice", _CBOR, pairs(lambda p: [*p, p[0]])),
    create("B02.number-label-twice", _KEY, Tamper(cose_key=lambda key: cbor_map([*key.items(), (3, -7)]))),
    create(
        "B02.label-twice-with-another-value",
        _KEY,
        Tamper(cose_key=lambda key: cbor_map([*key.items(), (-2, bytes(32))])),
    ),
    create("B02.extension-twice", _CBOR, valued(b"\xa2\x01\x02\x01\x02")),
    create("B02.extension-name-twice", _CBOR, Tamper(extensions=lambda _: cbor_map([("x", 1), ("x", 2)]))),
    create("B03.label-true", _KEY, labelled(b"\xf5")),
    create("B03.label-false", _KEY, labelled(b"\xf4")),
    create("B03.label-null", _KEY, labelled(b"\xf6")),
    create("B03.label-1.0", _KEY, labelled(b"\xf9\x3c\x00")),
    create("B03.label-5.0", _KEY, labelled(b"\xf9\x45\x00")),
    create("B03.label-big-number", _KEY, labelled(b"\xc2\x41\x01")),
    create("B03.label-in-bytes", _KEY, labelled(b"\x41\x01")),
    create("B03.label-a-list", _KEY, labelled(b"\x80")),
    create("B03.label-a-map", _KEY, labelled(b"\xa0")),
    create(
        "B03.label-3.0-instead-of-3",
        _KEY,
        Tamper(
            cose_key=lambda key: cbor_map([(EncodedCbor(b"\xf9\x42\x00") if k == 3 else k, v) for k, v in key.items()])
        ),
    ),
    create(
        "B03.label-true-instead-of-1",
        _KEY,
        Tamper(cose_key=lambda key: cbor_map([(True if k == 1 else k, v) for k, v in key.items()])),
    ),
    create(
        "B19-labels-with-equal-hashes",
        _KEY,
        Tamper(cose_key=lambda key: {**key, **{n * (2**61 - 1): 0 for n in (-4, -3, -2, -1, 1, 2, 3, 4)}}),
    ),
)

ORDER: Final = (
    create("B04-names-in-another-order", None, pairs(lambda p: p[::-1])),
    create("B04.strict-names-in-another-order", _CBOR, pairs(lambda p: p[::-1]), STRICT),
    create(
        "B04.strict-labels-in-another-order", _KEY, Tamper(cose_key=lambda key: cbor_map(reversed(key.items()))), STRICT
    ),
    create("B04.extensions-in-another-order", None, Tamper(extensions=lambda _: cbor_map([("yy", 1), ("x", 1)]))),
    create(
        "B04.strict-extensions-in-another-order",
        _CBOR,
        Tamper(extensions=lambda _: cbor_map([("yy", 1), ("x", 1)])),
        STRICT,
    ),
    # CTAP2 sorts by major type first and by length second.
    create("B04.strict-negative-names-last", None, valued({24: 0, -1: 0}), STRICT),
    create("B04.strict-shorter-names-first", _CBOR, valued(b"\xa2\x20\x00\x18\x18\x00"), STRICT),
    create(
        "B04.strict-extensions-in-the-right-order",
        None,
        Tamper(extensions=lambda _: cbor_map([("x", 1), ("yy", 1)])),
        STRICT,
    ),
)

HEADS: Final = (
    *_refused(
        "B05",
        _CBOR,
        {
            "number-in-two-bytes": b"\x18\x00",
            "number-in-three-bytes": b"\x19\x00\x18",
            "number-in-five-bytes": b"\x1a\x00\x00\xff\xff",
            "number-in-nine-bytes": b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
            "negative-in-two-bytes": b"\x38\x00",
            "length-of-bytes": b"\x58\x01a",
            "length-of-text": b"\x78\x01a",
            "length-of-list": b"\x98\x01\x01",
            "length-of-map": b"\xb8\x01\x01\x01",
        },
    ),
    create("B05.key-with-a-long-head", _KEY, _key_bytes(lambda key: b"\xb8" + bytes([key[0] - 0xA0]) + key[1:])),
    create("B05.key-with-a-long-length", _KEY, _key_bytes(lambda key: key.replace(b"\x58\x20", b"\x59\x00\x20", 1))),
    create(
        "B05.key-with-a-long-label", _KEY, _key_bytes(lambda key: key.replace(b"\x01\x02\x03", b"\x18\x01\x02\x03", 1))
    ),
    create("B05.authenticator-data-with-a-long-length", _CBOR, outer(lambda o: _headed(o, b"\x58", b"\x59\0"))),
    create("B05.10-bytes-with-a-long-length", _CBOR, shaped(authData=EncodedCbor(b"\x58\x0a" + bytes(10)))),
    create("B05.256-bytes-of-authenticator-data", None, Tamper(client_data=lambda d: d | {"extra": 1}), OF_256_BYTES),
    create("B05.255-bytes-of-authenticator-data", None, authenticator(credential_id_length=123), OF_256_BYTES),
    create(
        "B11.256-bytes-that-say-they-are-none", _CBOR, outer(lambda o: _headed(o, b"\x59\1", b"\x58")), OF_256_BYTES
    ),
    create("B05.object-with-a-long-head", _CBOR, outer(lambda o: b"\xb8\x03" + o[1:])),
    *_refused(
        "B06",
        _CBOR,
        {
            "list-without-length": b"\x9f\x01\xff",
            "map-without-length": b"\xbf\x01\x01\xff",
            "bytes-without-length": b"\x5f\x41a\xff",
            "text-without-length": b"\x7f\x61a\xff",
            "break-alone": b"\xff",
        },
    ),
    create("B06.key-without-length", _KEY, _key_bytes(lambda key: b"\xbf" + key[1:] + b"\xff")),
    create("B06.object-without-length", _CBOR, outer(lambda o: b"\xbf" + o[1:] + b"\xff")),
    create("B06.statement-without-length", _CBOR, shaped(attStmt=EncodedCbor(b"\xbf\xff"))),
    *_refused(
        "B11",
        _CBOR,
        {
            f"{kind}-of-{name}": bytes([major << 5 | 27]) + length.to_bytes(8, "big")
            for kind, major in {"bytes": 2, "text": 3, "list": 4, "map": 5}.items()
            for name, length in {"4-gibibytes": 2**32, "half": 2**63, "everything": 2**64 - 1}.items()
        },
    ),
    create("B11.key-of-everything", _KEY, _key_bytes(lambda _: b"\xbb" + 8 * b"\xff")),
    create(
        "B11.coordinate-of-everything", _KEY, _key_bytes(lambda key: key.replace(b"\x58\x20", b"\x5b" + 8 * b"\xff", 1))
    ),
    *_refused(
        "B14",
        _CBOR,
        {
            f"reserved-{head:02x}": bytes([head]) + 16 * b"\0"
            for major in range(8)
            for head in (major << 5 | 28, major << 5 | 29, major << 5 | 30)
        },
    ),
    *_refused("B14.indefinite", _CBOR, {f"{head:02x}": bytes([head]) for head in (0x1F, 0x3F, 0xDF)}),
)

TAGS: Final = tuple(
    create(f"B07.tag-{number}", _CBOR, valued(_tag(number) + content))
    for number, content in {
        0: cbor("2026-01-02T12:00:00Z"),
        1: cbor(0),
        2: cbor(b"\x01"),
        3: cbor(b"\x01"),
        4: cbor([0, 1]),
        5: cbor([0, 1]),
        21: cbor(b"a"),
        22: cbor(b"a"),
        23: cbor(b"a"),
        24: cbor(b"\x01"),
        25: cbor(0),
        28: cbor([]),
        29: cbor(0),
        30: cbor([1, 2]),
        32: cbor("https://example.org"),
        35: cbor("(a+)+$"),
        36: cbor("a"),
        37: cbor(bytes(16)),
        52: cbor(bytes(4)),
        54: cbor(bytes(16)),
        99: cbor(1),
        100: cbor(1),
        256: cbor(["a"]),
        258: cbor([1]),
        260: cbor(bytes(4)),
        261: cbor({}),
        1004: cbor("2026-01-02"),
        43000: cbor([1, 2]),
        55799: cbor(1),
        2**32: cbor(1),
        2**64 - 1: cbor(1),
    }.items()
)

VALUES: Final = (
    *_refused(
        "B08",
        _CBOR,
        {
            "half": b"\xf9\x3c\x00",
            "single": b"\xfa\x3f\x80\x00\x00",
            "double": b"\xfb\x3f\xf0" + bytes(6),
            "not-a-number": b"\xf9\x7e\x00",
            "infinity": b"\xf9\x7c\x00",
            "in-a-list": b"\x81\xf9\x3c\x00",
            "in-a-map": b"\xa1\x01\xf9\x3c\x00",
        },
    ),
    *_refused(
        "B09",
        _CBOR,
        {
            "undefined": b"\xf7",
            "simple-0": b"\xe0",
            "simple-19": b"\xf3",
            "simple-32": b"\xf8\x20",
            "simple-255": b"\xf8\xff",
            "simple-0-in-two-bytes": b"\xf8\x00",
            "simple-24-in-two-bytes": b"\xf8\x18",
            "true-in-two-bytes": b"\xf8\x15",
            "undefined-in-a-list": b"\x81\xf7",
        },
    ),
    create("B09.null", None, valued(None)),
    create("B09.true", None, valued(True)),
    create("B10.depth-6", None, valued(nested(5))),
    create("B10.depth-7", _CBOR, valued(nested(6))),
    create("B10.depth-6-of-maps", None, valued({1: {1: {1: {1: {1: 1}}}}})),
    create("B10.depth-7-of-maps", _CBOR, valued({1: {1: {1: {1: {1: {1: 1}}}}}})),
    create("B10.depth-8000", _CBOR, valued(nested(8000))),
    create("B10.depth-60000-around-the-object", _CBOR, outer(lambda _: nested(60_000))),
    create("B10.depth-100000", _LARGE, outer(lambda _: nested(100_000))),
    create("B10.strict-depth-4", None, valued(nested(3)), STRICT),
    create("B10.strict-depth-5", _CBOR, valued(nested(4)), STRICT),
    create("B10.lenient-depth-5", None, valued(nested(4))),
    *_refused(
        "B13",
        _CBOR,
        {
            "continuation-alone": b"\x61\x80",
            "cut-short": b"\x62\xc3\x28",
            "overlong": b"\x62\xc0\xaf",
            "lone-surrogate": b"\x63\xed\xa0\x80",
            "beyond-unicode": b"\x64\xf4\x90\x80\x80",
            "in-a-name": b"\xa1\x61\xff\x01",
        },
    ),
    create("B13.format", _CBOR, shaped(fmt=EncodedCbor(b"\x64non\xff"))),
    create("B15.smallest", None, valued(-(2**63))),
    create("B15.largest", None, valued(2**63 - 1)),
    create("B15.too-large", _CBOR, valued(2**63)),
    create("B15.too-small", _CBOR, valued(-(2**63) - 1)),
    create("B15.largest-head", _CBOR, valued(2**64 - 1)),
    create("B15.smallest-head", _CBOR, valued(-(2**64))),
    create("B15.too-large-as-a-name", _CBOR, valued({2**63: 1})),
    create("B15.algorithm", _KEY, Tamper(cose_key=lambda key: key | {3: -(2**64)})),
    create(
        "B20-second-map-of-extensions", Code.AUTHENTICATOR_DATA_INVALID, Tamper(extensions=lambda _: 2 * cbor({"x": 1}))
    ),
    create("B20.key-twice", Code.AUTHENTICATOR_DATA_INVALID, _key_bytes(lambda key: key + key)),
)

CASES: Final = (*OBJECTS, *DUPLICATES, *ORDER, *HEADS, *TAGS, *VALUES)
