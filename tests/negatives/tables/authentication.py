"""Cases about an assertion apart from its signature: whose credential it is, its counter, unsigned outputs.

Rows A28 to A35, A37 to A39, A42 to A46, A48, A50, A57 and A59.
"""

import json
from typing import Any, Final

from passkeycore import Code, PasskeyError, Policy, second_factor, sole_factor
from passkeycore.testing import Tamper, b64url_encode, derive

from ..ceremonies import CHALLENGE, CREDENTIAL_ID, SEED, USER_HANDLE, Body, Json, Setup, record, state
from ..changes import answered, inside, results
from ..harness import get

OTHER_HANDLE: Final = b"the handle of eve"
OTHER_ID: Final = derive(SEED, "id of another credential")
OTHER_ID_TEXT: Final = b64url_encode(OTHER_ID)

KNOWN: Final = Setup(options={"user_handle": USER_HANDLE})
LISTED: Final = Setup(allow=True)
KNOWN_AND_LISTED: Final = Setup(allow=True, options={"user_handle": USER_HANDLE})
OWNERLESS: Final = Setup(allow=True, record={"user_handle": None})
OWNERLESS_AND_KNOWN: Final = Setup(allow=True, record={"user_handle": None}, options={"user_handle": USER_HANDLE})
SECOND_FACTOR: Final = Setup(
    allow=True,
    registered={"preset": second_factor()},
    options={"preset": second_factor(), "user_handle": USER_HANDLE},
)
SOLE_FACTOR: Final = Setup(registered={"preset": sole_factor()}, options={"preset": sole_factor()})
KNOWN_ALONE: Final = Setup(
    registered={"preset": sole_factor()}, options={"preset": sole_factor(), "user_handle": USER_HANDLE}
)
PRF: Final[Json] = {"extensions": {"prf": {"eval": {"first": "AAAA"}}}}
EVALUATED: Final = Setup(registered={"extensions": {"prf": {}}}, options=PRF)
PICKY: Final = Setup(rp={"policy": Policy(unsolicited_extensions="refuse")})
PICKY_EVALUATED: Final = Setup(
    rp={"policy": Policy(unsolicited_extensions="refuse")}, registered={"extensions": {"prf": {}}}, options=PRF
)


def counting(regression: Any = "reject_single_device", **settings: Any) -> Setup:
    """An authenticator that counts: 5 is stored and 6 comes next, unless the settings say otherwise."""
    return Setup(
        rp={"policy": Policy(sign_count_regression=regression)},
        authenticator={"sign_count": 5, "sign_count_step": 1, **settings},
    )


def counted(count: int) -> Tamper:
    """An assertion with this count."""
    return Tamper(sign_count=lambda _: count)


def claiming(handle: bytes) -> Tamper:
    """A response that names this user."""
    return inside(userHandle=b64url_encode(handle))


def parsed(**members: Any) -> Body:
    """A response that somebody has parsed, with exactly these client extension results."""
    return Body(lambda posted: json.loads(posted) | {"clientExtensionResults": members})


def _tells_the_other_id(error: PasskeyError) -> bool:
    return error.actual == OTHER_ID


_MISMATCH, _NOT_ALLOWED = Code.CREDENTIAL_ID_MISMATCH, Code.CREDENTIAL_NOT_ALLOWED
_NOBODY, _SOMEBODY_ELSE = Code.USER_HANDLE_MISSING, Code.USER_HANDLE_MISMATCH
_LARGE, _REGRESSED = Code.TOO_LARGE, Code.SIGN_COUNT_REGRESSED

CREDENTIALS: Final = (
    get("A28-id-of-a-credential-nobody-knows", _MISMATCH, answered(id=OTHER_ID_TEXT, rawId=OTHER_ID_TEXT)),
    get("A28.record-of-another-credential", _MISMATCH, record(credential_id=OTHER_ID)),
    get("A30-credential-that-is-not-listed", _NOT_ALLOWED, state(allow_credentials=(OTHER_ID,)), LISTED),
    get("A30.one-of-two-listed", None, state(allow_credentials=(OTHER_ID, CREDENTIAL_ID)), LISTED),
    get("A30.listed-by-its-beginning", _NOT_ALLOWED, state(allow_credentials=(CREDENTIAL_ID[:-1],)), LISTED),
    get("A39-id-of-another-credential", _MISMATCH, answered(id=OTHER_ID_TEXT), then=_tells_the_other_id),
    get("A39.raw-id-of-another-credential", _MISMATCH, answered(rawId=OTHER_ID_TEXT), then=_tells_the_other_id),
    get("A39.type-password", Code.CREDENTIAL_TYPE_INVALID, answered(type="password")),
    get("A39.type-missing", Code.JSON_INVALID, answered(type=...)),
    get("A48-payload-of-another-kind", Code.JSON_INVALID, Body(lambda _: _OTHER_PAYLOAD)),
    get("A48.signature-missing", Code.JSON_INVALID, inside(signature=...)),
    get("A48.authenticator-data-missing", Code.JSON_INVALID, inside(authenticatorData=...)),
    get("A50-second-factor-alone", _NOT_ALLOWED, record(usage="second_factor"), SOLE_FACTOR),
    get("A50.sole-factor-beside-a-password", None, record(usage="sole_factor"), SECOND_FACTOR),
    get("A50.imported-credential-alone", None, record(usage=None), SOLE_FACTOR),
    get("A50.second-factor-where-nobody-said", _NOT_ALLOWED, record(usage="second_factor")),
)

OWNERS: Final = (
    get(
        "A29-credential-of-another-user-though-listed", _NOT_ALLOWED, record(user_handle=OTHER_HANDLE), KNOWN_AND_LISTED
    ),
    get("A29.user-of-another-credential", _NOT_ALLOWED, state(user_handle=OTHER_HANDLE), KNOWN_AND_LISTED),
    get("A29.record-without-owner-listed", None, record(user_handle=None), KNOWN_AND_LISTED),
    get("A29.record-without-owner-not-listed", _NOT_ALLOWED, record(user_handle=None), KNOWN),
    get("A31-handle-of-another-user", _SOMEBODY_ELSE, claiming(OTHER_HANDLE)),
    get("A31.known-user-claims-another", _SOMEBODY_ELSE, claiming(OTHER_HANDLE), KNOWN),
    get("A31.listed-credential-claims-another", _SOMEBODY_ELSE, claiming(OTHER_HANDLE), LISTED),
    get("A31.beginning-of-the-handle", _SOMEBODY_ELSE, claiming(USER_HANDLE[:-1])),
    get("A31.record-of-another-user", _SOMEBODY_ELSE, record(user_handle=OTHER_HANDLE)),
    get("A31.ownerless-record-known-user-claims-another", _SOMEBODY_ELSE, claiming(OTHER_HANDLE), OWNERLESS_AND_KNOWN),
    get(
        "A31.ownerless-record-claims-anybody", None, claiming(OTHER_HANDLE), OWNERLESS, lambda o: o.user_handle is None
    ),
    get("A32-no-handle-and-no-user", _NOBODY, inside(userHandle=...)),
    get("A32.null-handle-and-no-user", _NOBODY, inside(userHandle=None)),
    get("A32.empty-handle-and-no-user", _NOBODY, inside(userHandle="")),
    get("A33-handle-in-another-case", _SOMEBODY_ELSE, claiming(USER_HANDLE.upper())),
    get("A33.handle-encoded-twice", _SOMEBODY_ELSE, claiming(b64url_encode(USER_HANDLE).encode())),
    get("A33.handle-as-it-is", Code.BASE64URL_INVALID, inside(userHandle=USER_HANDLE.decode())),
    get("A33.number-as-handle", Code.JSON_INVALID, inside(userHandle=7)),
    get("A34-no-handle-but-a-known-user", None, inside(userHandle=...), KNOWN, lambda o: o.user_handle == USER_HANDLE),
    get("A34.no-handle-but-listed", None, inside(userHandle=...), LISTED),
    get("A34.empty-handle-but-a-known-user", None, inside(userHandle=""), KNOWN),
    get("A35.handle-of-65-bytes", _LARGE, claiming(65 * b"a")),
    get("A35.handle-of-64-bytes", _SOMEBODY_ELSE, claiming(64 * b"a")),
    get("A35.handle-of-a-million-bytes", _LARGE, claiming(1_000_000 * b"a")),
    get("A37-scoped-to-a-user-answered-by-another", _NOT_ALLOWED, state(user_handle=OTHER_HANDLE), KNOWN),
    get(
        "A37.scoped-answer-where-nobody-was-named",
        _NOBODY,
        state(user_handle=None, allow_credentials=()),
        SECOND_FACTOR,
    ),
    get(
        "A38-user-without-credentials-answered-by-another",
        _NOT_ALLOWED,
        state(user_handle=OTHER_HANDLE),
        KNOWN_ALONE,
    ),
)

COUNTERS: Final = (
    get("A42-same-count-again", _REGRESSED, counted(5), counting()),
    get("A42.one-more", None, counted(7), counting(), lambda o: o.credential.sign_count == 7),
    get("A43-lower-count", _REGRESSED, counted(4), counting()),
    get("A44-zero-after-counting", _REGRESSED, counted(0), counting()),
    get("A45-never-counts", None, record(backup_state=None), then=lambda o: not o.sign_count_regressed),
    get("A45.begins-to-count", None, counted(1), then=lambda o: o.credential.sign_count == 1),
    get("A46-count-that-wraps", _REGRESSED, counted(0), counting(sign_count=2**32 - 2)),
    get("A46.largest-count", None, record(sign_count=2**32 - 3), counting(sign_count=2**32 - 2)),
    get(
        "A43.synced-lower-count-is-reported",
        None,
        counted(4),
        counting(backup_eligible=True),
        lambda o: o.sign_count_regressed and o.credential.sign_count == 5,
    ),
    get(
        "A43.unknown-lower-count-is-reported",
        None,
        record(sign_count=9, backup_eligible=None),
        counting(),
        lambda o: o.sign_count_regressed,
    ),
    get("A43.strict-synced-lower-count", _REGRESSED, counted(4), counting("reject", backup_eligible=True)),
    get("A43.lenient-lower-count-is-reported", None, counted(4), counting("report"), lambda o: o.sign_count_regressed),
    get(
        "A42.strict-never-counts",
        None,
        record(uv_initialized=False),
        counting("reject", sign_count=0, sign_count_step=0),
    ),
)

OUTPUTS: Final = (
    get(
        "A57-forged-results",
        None,
        results(appid=True, prf={"results": {"first": "AAAA"}}),
        then=lambda o: o.client_extensions.prf_results_received and "AAAA" not in repr(o),
    ),
    get(
        "A57.results-that-nobody-asked-for",
        Code.EXTENSION_UNSOLICITED,
        results(prf={}),
        PICKY,
        lambda error: error.path == "clientExtensionResults",
    ),
    get("A57.methods", None, results(uvm=[[1, 2, 3]]), then=lambda o: o.client_extensions.uvm == ((1, 2, 3),)),
    get(
        "A57.signed-outputs-that-nobody-asked-for",
        Code.EXTENSION_UNSOLICITED,
        Tamper(extensions=lambda _: {"uvm": [[1, 2, 3]]}),
        PICKY,
        lambda error: error.path == "response.authenticatorData",
    ),
    get("A57.no-results-though-asked-for", None, results(), PICKY_EVALUATED),
    get("A57.prf-results-of-a-number", Code.JSON_INVALID, results(prf=1), EVALUATED),
    get("A59-large-blob-of-10-megabytes", _LARGE, results(largeBlob={"blob": 10_000_000 * "A"})),
    get("A59.prf-results-of-10-megabytes", _LARGE, results(prf={"results": {"first": 10_000_000 * "A"}})),
    get("A59.large-blob-of-a-megabyte-in-a-mapping", _LARGE, parsed(largeBlob={"blob": 1_000_000 * "A"})),
    get("A59.stored-blob-of-a-megabyte-in-a-mapping", _LARGE, parsed(getCredBlob=1_000_000 * "A")),
    get("A59.100000-methods-in-a-mapping", _LARGE, parsed(uvm=100_000 * [[1, 2, 3]])),
    get("A59.name-of-a-megabyte-in-a-mapping", _LARGE, parsed(**{1_000_000 * "x": 1})),
    get("A59.33-results", _LARGE, results(**{f"x{n}": 1 for n in range(33)})),
    get("A59.32-results", None, results(**{f"x{n}": 1 for n in range(32)})),
)
_OTHER_PAYLOAD: Final[Json] = {"credentialId": b64url_encode(CREDENTIAL_ID), "challenge": b64url_encode(CHALLENGE)}
CASES: Final = (*CREDENTIALS, *OWNERS, *COUNTERS, *OUTPUTS)
