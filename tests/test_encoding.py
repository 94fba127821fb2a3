"""The encodings: one spelling for every value, and the quick ways never answer otherwise than the careful ones."""

import base64
import json
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa
from hypothesis import given
from hypothesis import strategies as st

from passkeycore import Code, DecodeError, UnsupportedError, conformance
from passkeycore.testing import SoftwareKey
from passkeycore.webauthn.client_data import CollectedClientData, _parse_slowly
from passkeycore.webauthn.cose import ALGORITHMS, PublicKey, decode_cose_key
from passkeycore.webauthn.encoding import (
    decode_base64url,
    decode_cbor,
    decode_cbor_prefix,
    decode_last_bytes,
    encode_base64url,
)
from passkeycore.webauthn.key_types import _jacobi
from passkeycore.webauthn.policy import DEFAULT_POLICY, Policy

INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(INTEGERS | st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.binary(max_size=400))
def test_base64url_of_any_bytes_is_read_back(data: bytes) -> None:
    text = encode_base64url(data)
    assert text == base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert decode_base64url(text, "x") == data


@given(st.text(max_size=300) | st.text("ABZaz09-_+/=\n ", max_size=200))
def test_text_that_is_read_is_the_only_spelling_of_its_bytes(text: str) -> None:
    try:
        data = decode_base64url(text, "member")
    except DecodeError as error:
        assert error.code is Code.BASE64URL_INVALID
        assert error.path == "member"
    else:
        assert encode_base64url(data) == text


@pytest.mark.parametrize("lead", ["", "A" * 160], ids=["short", "long"])
@pytest.mark.parametrize(
    "tail", ["A", "YQ==", "YQ=", "YR", "YWF=", "+A", "/A", " A", "A\n", "\x00AAA", "é", "\ud800", "ＡＡ"]
)
def test_other_spellings_are_refused(lead: str, tail: str) -> None:
    with pytest.raises(DecodeError):
        decode_base64url(lead + tail, "x")


@given(VALUES)
def test_strict_cbor_is_read_back(value: Any) -> None:
    try:
        encoded = cbor2.dumps(value)
        assert decode_cbor(encoded, "x") == value
    except DecodeError:
        assert depth(value) > DEFAULT_POLICY.cbor_max_depth
    else:
        assert decode_cbor_prefix(encoded + b"\x00", "x") == (value, len(encoded))


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(st.binary(max_size=60))
def test_any_bytes_are_strict_cbor_in_one_spelling_or_refused(data: bytes) -> None:
    try:
        value = decode_cbor(data, "x")
    except DecodeError as error:
        assert error.code is Code.CBOR_INVALID
    else:
        assert cbor2.dumps(value) == data


def test_keys_in_another_order_are_refused_only_under_the_conformance_preset() -> None:
    data = bytes.fromhex("a2626161016162" + "02")
    assert decode_cbor(data, "x") == {"aa": 1, "b": 2}
    with pytest.raises(DecodeError, match="canonical"):
        decode_cbor(data, "x", conformance())


def test_depth_is_the_policys() -> None:
    assert decode_cbor(b"\x81" * 6 + b"\x00", "x")
    with pytest.raises(DecodeError):
        decode_cbor(b"\x81" * 7 + b"\x00", "x")
    with pytest.raises(DecodeError):
        decode_cbor(b"\x81" * 2 + b"\x00", "x", Policy(cbor_max_depth=1))


def answer(read: Any, data: bytes) -> Any:
    try:
        return read(data)
    except DecodeError as error:
        return error.code


KEYS = [SoftwareKey.derive("keys", algorithm).cose() for algorithm in ALGORITHMS]


@given(
    st.sampled_from(KEYS) | st.dictionaries(INTEGERS, INTEGERS | st.binary(max_size=40), max_size=6).map(cbor2.dumps),
    st.integers(0, 400),
    st.binary(max_size=3),
    st.integers(0, 2),
)
def test_the_quick_reader_of_keys_answers_as_the_careful_one(
    encoded: bytes, position: int, inserted: bytes, removed: int
) -> None:
    for data in (encoded, encoded[:position], encoded[:position] + inserted + encoded[position + removed :]):
        careful = answer(lambda data: decode_cbor_prefix(data, "x", code=Code.PUBLIC_KEY_MALFORMED), data)
        assert answer(lambda data: decode_cose_key(data, 0, "x"), data) == careful
        after = answer(lambda data: decode_cose_key(b"123" + data, 3, "x"), data)
        assert after == (careful if isinstance(careful, Code) else (careful[0], careful[1] + 3))


@pytest.mark.parametrize("encoded", KEYS, ids=[algorithm.name for algorithm in ALGORITHMS.values()])
def test_keys_of_every_algorithm_are_read_in_their_frame(encoded: bytes) -> None:
    assert decode_cose_key(encoded + b"more", 0, "x") == (cbor2.loads(encoded), len(encoded))
    for position in range(12):
        changed = bytearray(encoded)
        changed[position] ^= 1
        careful = answer(lambda data: decode_cbor_prefix(data, "x", code=Code.PUBLIC_KEY_MALFORMED), bytes(changed))
        assert answer(lambda data: decode_cose_key(data, 0, "x"), bytes(changed)) == careful


def test_an_installation_without_ml_dsa_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL before 3.5 has none; `cryptography` then refuses to make a key."""

    class Lacking:
        @staticmethod
        def from_public_bytes(data: bytes) -> None:
            raise UnsupportedAlgorithm("ML-DSA-44 is not supported by this backend.")

    monkeypatch.setattr(mldsa, "MLDSA44PublicKey", Lacking)
    with pytest.raises(UnsupportedError) as caught:
        PublicKey.parse(SoftwareKey.derive("lacking", -48).cose())
    assert caught.value.code is Code.ALGORITHM_UNSUPPORTED


def test_keys_in_another_order_are_judged_by_the_policy() -> None:
    data = bytes.fromhex("a203260102")
    assert decode_cose_key(data, 0, "x") == ({3: -7, 1: 2}, 5)
    with pytest.raises(DecodeError):
        decode_cose_key(data, 0, "x", conformance())


@pytest.mark.parametrize("size", [0, 1, 23, 24, 25, 255, 256, 257, 65535, 65536])
def test_a_last_byte_string_fills_the_rest_or_is_none(size: int) -> None:
    content = bytes(size)
    encoded = cbor2.dumps(content)
    assert decode_last_bytes(b"12" + encoded, 2) == (content if 24 <= size < 65536 else None)
    for data in (encoded + b"x", encoded[:-1], b"\x58" + encoded, b"\x01", b""):
        assert decode_last_bytes(data, 0) is None


@given(st.integers(-50, 50), st.sampled_from([3, 5, 7, 11, 13, 101, 65537]))
def test_the_jacobi_symbol_is_eulers_criterion_for_primes(n: int, prime: int) -> None:
    euler = pow(n, (prime - 1) // 2, prime)
    assert _jacobi(n % prime, prime) == (-1 if euler == prime - 1 else euler)


MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.text(max_size=5) | st.none(),
        "challenge": st.text(max_size=5) | st.integers(),
        "origin": st.text(max_size=5),
        "crossOrigin": st.booleans() | st.none() | st.just("false"),
        "topOrigin": st.text(max_size=5) | st.none() | st.integers(),
        "tokenBinding": st.sampled_from([{"status": "present"}, {"status": "supported"}, None, 1]),
        "extra": st.text(max_size=5) | st.just({"type": "x", "origin": "y"}),
    },
)


def read(parse: Any, raw: bytes) -> Any:
    try:
        return parse(raw, DEFAULT_POLICY)
    except DecodeError as error:
        return error.code


@given(st.lists(MEMBERS, min_size=1, max_size=2), st.booleans(), st.data())
def test_client_data_reads_the_same_on_both_ways(
    objects: list[dict[str, Any]], ascii: bool, data: st.DataObject
) -> None:
    """Duplicates, escapes, nested names: whatever the quick way accepts, the careful way reads alike."""
    inner = ",".join(json.dumps(members, ensure_ascii=ascii)[1:-1] for members in objects if members)
    raw = ("{" + inner + "}").encode("utf-8", "replace")
    position = data.draw(st.integers(0, len(raw)))
    for changed in (raw, raw[:position] + data.draw(st.binary(max_size=2)) + raw[position:]):
        assert read(CollectedClientData.parse, changed) == read(_parse_slowly, changed)


@pytest.mark.parametrize(
    ("raw", "accepted"),
    [
        (b'{"type":"t","challenge":"c","origin":"o"}', True),
        (b'\xef\xbb\xbf{"type":"t","challenge":"c","origin":"o"}', True),
        (b'{"type":"t","challenge":"c","origin":"o","x":"\xff"}', True),
        (b'{"type":"t","challenge":"c","origin":"\\u006f"}', True),
        (b'{"type":"t","challenge":"c","origin":"o","crossOrigin":null,"topOrigin":null}', True),
        (b'{"x":{"type":"y"},"type":"t","challenge":"c","origin":"o"}', True),
        (b'{"x":"type","type":"t","challenge":"c","origin":"o","extra":1,"extra":2}', True),
        (b'{"type":"t","challenge":"c","origin":"o","origin":"p"}', False),
        (b'{"type":"t","challenge":"c","origin":"o","\\u006frigin":"p"}', False),
        (b'{"type":"t","challenge":"c","origin":"o","crossOrigin":true,"crossOrigin":null}', False),
        (b'{"type":"t","challenge":"c","origin":"o","tokenBinding":1,"tokenBinding":2}', False),
        (b'{"type":"t","challenge":"c","origin":"o","x":NaN}', False),
        (b'{"type":"t","challenge":"c"}', False),
        (b'["type"]', False),
        (b"[" * 8000, False),
        (b'{"x":' + b"9" * 5000 + b"}", False),
        (b"", False),
    ],
)
def test_client_data_of_both_kinds(raw: bytes, accepted: bool) -> None:
    for parse in (CollectedClientData.parse, _parse_slowly):
        answer = read(parse, raw)
        assert isinstance(answer, CollectedClientData) is accepted
        if accepted:
            assert answer.origin == "o"
