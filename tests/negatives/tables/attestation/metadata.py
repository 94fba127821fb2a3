"""Cases about loading what trust is built on: signed FIDO metadata, and Google's list of revoked certificates.

Rows X27 to X31, K11. What the loaded values do to a registration stands in `trust`.
"""

import hashlib
import hmac
import json
from typing import Any, Final

from passkeycore import Code
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    MetadataSigner,
    b64url_encode,
    metadata_entry,
    metadata_payload,
)
from passkeycore.trust import AndroidStatusList
from passkeycore.trust.metadata import Metadata

from ...ceremonies import NOW, SEED
from ...harness import Right, call

SIGNER: Final = MetadataSigner(SEED)
_ROOT: Final = AttestationAuthority(SEED).root
_ENTRY: Final = metadata_entry(TEST_AAGUID, [_ROOT])
PAYLOAD: Final = metadata_payload(_ENTRY, no=7)
BLOB: Final = SIGNER.blob(PAYLOAD)
LOADED: Final = Right(Metadata.from_blob, {"blob": BLOB, "now": NOW, "anchors": [SIGNER.root], "known": 7})
LISTED: Final = Right(AndroidStatusList.parse, {"body": b'{"entries": {}}', "fetched_at": NOW})
_HEADER, _BODY, _SIGNATURE = BLOB.split(b".")
_INVALID, _SIGNED_WRONG = Code.METADATA_INVALID, Code.METADATA_SIGNATURE_INVALID
_UNTRUSTED, _LIST = Code.METADATA_UNTRUSTED, Code.STATUS_LIST_INVALID


def blob(id: str, code: Code | None, changed: bytes, then: Any = None) -> Any:
    """A case that is another BLOB."""
    return call(id, code, LOADED, then, blob=changed)


def said(**members: Any) -> bytes:
    """A BLOB whose payload has these members instead, signed."""
    return SIGNER.blob({**PAYLOAD, **members})


def headed(**members: Any) -> bytes:
    """A BLOB whose header has these members instead, signed."""
    return SIGNER.blob(PAYLOAD, header=members)


def _with_hmac() -> bytes:
    """Signed with the public key as if it were a secret."""
    header = b64url_encode(json.dumps({**json.loads(_decoded(_HEADER)), "alg": "HS256"}).encode()).encode()
    signed = header + b"." + _BODY
    return signed + b"." + b64url_encode(hmac.digest(SIGNER.x5c[0], signed, hashlib.sha256)).encode()


def _decoded(part: bytes) -> bytes:
    from passkeycore.testing import b64url_decode

    return b64url_decode(part.decode())


SIGNATURES: Final = (
    blob("X27.alg-none", _SIGNED_WRONG, headed(alg="none")),
    blob("X27.hs256", _SIGNED_WRONG, _with_hmac()),
    blob("X27.no-signature", _SIGNED_WRONG, _HEADER + b"." + _BODY + b"."),
    blob("X27.payload-swapped", _SIGNED_WRONG, said(no=8).split(b".")[1].join([_HEADER + b".", b"." + _SIGNATURE])),
    blob("X27.other-host", _UNTRUSTED, MetadataSigner(SEED, host="mds.example.org").blob(PAYLOAD)),
    blob("X27.other-root", _UNTRUSTED, MetadataSigner("stranger").blob(PAYLOAD)),
    blob("X27.certificate-of-another", _SIGNED_WRONG, SIGNER.blob(PAYLOAD, x5c=[MetadataSigner("stranger").root])),
    blob("X27.expired-certificate", _UNTRUSTED, MetadataSigner(SEED, not_after=NOW.replace(year=2025)).blob(PAYLOAD)),
    blob("X31-x5u-instead-of-certificates", _SIGNED_WRONG, headed(x5c=None, x5u="https://evil.test/key.pem")),
)
NUMBERS: Final = (
    blob("X28-older-than-the-known-one", Code.METADATA_ROLLBACK, said(no=6)),
    blob("X28.newer", None, said(no=8), lambda m: m.no == 8),
    blob("X28.past-its-next-update", None, said(nextUpdate="2025-12-01"), lambda m: m.is_stale(NOW)),
    blob("X28.next-update-today", None, said(nextUpdate="2026-01-02"), lambda m: not m.is_stale(NOW)),
)
SHAPES: Final = (
    blob("X29.html-page", _INVALID, b"<!doctype html><title>503</title>"),
    blob("X29.nothing", _INVALID, b""),
    blob("X29.cut-short", _INVALID, BLOB[: len(_HEADER) + 20]),
    blob("X29.number-as-text", _INVALID, said(no="7")),
    blob("X29.entries-as-an-object", _INVALID, said(entries={})),
    blob("X29.date-that-is-none", _INVALID, said(nextUpdate="soon")),
    call("X29-200-megabytes", Code.TOO_LARGE, LOADED, blob=BLOB.ljust(200 << 20, b"A")),
    blob(
        "X30.anchor-that-cannot-be-read",
        None,
        said(entries=[metadata_entry(TEST_AAGUID, [b"nothing", _ROOT])]),
        lambda m: m.entry(TEST_AAGUID).anchors == (_ROOT,) and len(m.problems) == 1,
    ),
    blob(
        "X30.aaguid-twice",
        None,
        said(entries=[_ENTRY, metadata_entry(TEST_AAGUID, statuses=[("REVOKED", "2025-01-01")])]),
        lambda m: m.entry(TEST_AAGUID).status_at(NOW).status == "REVOKED" and len(m.problems) == 1,
    ),
    blob(
        "X30.entry-that-is-none",
        None,
        said(entries=[7, _ENTRY]),
        lambda m: m.entry(TEST_AAGUID) is not None and len(m.problems) == 1,
    ),
    blob("X30.unknown-fields", None, said(entries=[{**_ENTRY, "news": 1}], news=[1]), lambda m: not m.problems),
)
LISTS: Final = (
    call("K11.html-page", _LIST, LISTED, body=b"<!doctype html>"),
    call("K11.list-without-entries", _LIST, LISTED, body=b"{}"),
    call("K11.status-that-is-a-number", _LIST, LISTED, body=b'{"entries": {"1": {"status": 1}}}'),
    call("K11.list-of-33-megabytes", Code.TOO_LARGE, LISTED, body=b" " * (33 << 20)),
    call("K11.list-of-2-megabytes", None, LISTED, body=b'{"entries": {}}'.ljust(2 << 20)),
    call("K11.deep-list", _LIST, LISTED, body=b'{"entries": ' + b"[" * 100_000),
    call(
        "K11.unknown-word",
        None,
        LISTED,
        lambda listed: len(listed) == 1 and listed.find(0xABC).status == "LOST" and listed.find(7) is None,
        body=b'{"entries": {"abc": {"status": "LOST", "news": 1}}}',
    ),
)
CASES: Final = (*SIGNATURES, *NUMBERS, *SHAPES, *LISTS)
