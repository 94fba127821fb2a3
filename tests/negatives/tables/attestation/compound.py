"""Cases about the format compound: how many statements, of what form, and what becomes of those that do not verify.

Rows C1 to C4.
"""

from collections.abc import Callable
from typing import Any, Final

from passkeycore import Code, Limits, Policy, TrustPolicy
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    AttestationRequest,
    CborValue,
    StatementMaker,
    Tamper,
    compound_maker,
    fido_u2f_maker,
    packed_maker,
)
from passkeycore.testing.statements import make_none, make_packed_self
from passkeycore.webauthn.attestation import FORMATS

from ...ceremonies import SEED, Json, Replace, Setup, authenticator
from ...harness import create
from .apple import apple
from .packed import DIRECT, instead

AUTHORITY: Final = AttestationAuthority(SEED)
OTHER: Final = AttestationAuthority("other")
PACKED: Final = packed_maker(AUTHORITY.issue(TEST_AAGUID))
FOREIGN: Final = packed_maker(OTHER.issue(TEST_AAGUID))
U2F: Final = fido_u2f_maker(AUTHORITY.issue())
ANY: Final = Policy(compound="any")
ROOTED: Final = TrustPolicy(anchors=(AUTHORITY.root,), require_trusted=True)


def several(*makers: StatementMaker, **rp: Any) -> Setup:
    """A registration with an authenticator that makes all of these statements."""
    return Setup(options=DIRECT, rp=rp, authenticator={"attestation": compound_maker(*makers)})


BOTH: Final = several(PACKED, U2F)
EITHER: Final = several(PACKED, U2F, policy=ANY)
REFUSING: Final = several(PACKED, U2F, policy=Policy(unknown_statement_members="refuse"))
TWO_AT_MOST: Final = several(PACKED, U2F, policy=Policy(limits=Limits(statements=2)))
BOTH_TRUSTED: Final = several(PACKED, U2F, trust=ROOTED)
EITHER_TRUSTED: Final = several(PACKED, U2F, trust=ROOTED, policy=ANY)
WITHOUT_APPLE: Final = several(PACKED, U2F, formats={f: judge for f, judge in FORMATS.items() if f != "apple"})


def making(*makers: StatementMaker) -> Replace:
    """An authenticator that makes all of these statements instead."""
    return authenticator(attestation=compound_maker(*makers))


def stating(edit: Callable[[list[Json]], object]) -> Tamper:
    """What `edit` makes of the array of statements."""
    return instead_of(lambda statements: edit([dict(statement) for statement in statements]))


def instead_of(edit: Callable[[Any], object]) -> Tamper:
    """Another statement, from the right one."""
    return Tamper(attestation=lambda attestation: attestation | {"attStmt": edit(attestation["attStmt"])})


def first(**members: Any) -> Tamper:
    """A first statement with these members instead; `...` leaves one out."""

    def edit(statements: list[Json]) -> list[Json]:
        made = statements[0] | members
        return [{name: value for name, value in made.items() if value is not ...}, *statements[1:]]

    return stating(edit)


def broken(maker: StatementMaker, **members: CborValue) -> StatementMaker:
    """A statement with another signature, or with these members instead."""

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        format, statement = maker(request)
        if not isinstance(statement, dict):
            raise TypeError(format)
        return format, statement | (members or {"sig": b"nothing"})

    return make


def renamed(maker: StatementMaker, format: str) -> StatementMaker:
    """A statement under the name of another format."""
    return lambda request: (format, maker(request)[1])


def left(*formats: str) -> Callable[[Any], bool]:
    """The statements of these formats count, in this order, and the whole has no path of its own."""
    return lambda o: (
        (o.attestation.format, o.attestation.type, o.attestation.trust_path) == ("compound", "compound", ())
        and tuple(child.format for child in o.attestation.children) == formats
    )


def _at_the_array(error: Any) -> bool:
    return bool(error.path == "response.attestationObject.attStmt")


def by(format: str) -> Callable[[Any], bool]:
    """The failure is the one of this format."""
    return lambda error: error.attestation_format == format


_STATEMENT, _SIGNATURE = Code.ATTESTATION_STATEMENT_INVALID, Code.ATTESTATION_SIGNATURE_INVALID
_FORMAT, _DER, _LARGE = Code.ATTESTATION_FORMAT_UNSUPPORTED, Code.CERTIFICATE_MALFORMED, Code.TOO_LARGE
_UNTRUSTED, _REQUIRED = Code.ATTESTATION_UNTRUSTED, Code.ATTESTATION_REQUIRED
_NOTHING: Final = {"fmt": "none", "attStmt": {}}
_UNKNOWN: Final = renamed(PACKED, "x-unknown")

SHAPES: Final = (
    create("C1-one-statement", _STATEMENT, stating(lambda s: s[:1]), BOTH, by("compound")),
    create("C1.no-statement", _STATEMENT, instead(attStmt=[]), BOTH),
    create("C1.one-statement-where-one-suffices", _STATEMENT, stating(lambda s: s[:1]), EITHER),
    create("C1.the-statement-alone", _STATEMENT, stating(lambda s: s[0]), BOTH),
    create("C1.statements-in-a-map", _STATEMENT, stating(lambda s: {"0": s[0], "1": s[1]}), BOTH),
    create("C1.null", _STATEMENT, instead(attStmt=None), BOTH),
    create("C1.statement-without-format", _STATEMENT, first(fmt=...), BOTH),
    create("C1.statement-without-statement", _STATEMENT, first(attStmt=...), BOTH, by("compound")),
    create("C1.format-in-bytes", _STATEMENT, first(fmt=b"packed"), BOTH),
    create("C1.format-null", _STATEMENT, first(fmt=None), EITHER),
    create("C1.statement-in-a-list", _STATEMENT, stating(lambda s: [["packed", s[0]["attStmt"]], s[1]]), BOTH),
    create("C1.null-among-the-statements", _STATEMENT, stating(lambda s: [*s, None]), EITHER),
    create("C1.inner-statement-null", _STATEMENT, first(attStmt=None), BOTH, by("packed")),
    create("C1.inner-statement-in-a-list", _STATEMENT, first(attStmt=[]), BOTH, by("packed")),
    create("C1.unknown-member", None, first(authData=b"other"), BOTH, left("packed", "fido-u2f")),
    create("C1.unknown-member-refused", _STATEMENT, first(authData=b"other"), REFUSING, by("compound")),
    create("C1.unknown-member-inside-refused", _STATEMENT, making(broken(PACKED, x=1), U2F), REFUSING, by("packed")),
    create("C1.the-other-order", None, making(U2F, PACKED), BOTH, left("fido-u2f", "packed")),
    create("C1.the-same-twice", None, making(PACKED, PACKED), BOTH, left("packed", "packed")),
    create("C1.three", None, making(PACKED, U2F, apple()), BOTH, left("packed", "fido-u2f", "apple")),
    create("C2.nested", _STATEMENT, making(PACKED, compound_maker(make_packed_self, make_none)), BOTH, by("compound")),
    create("C2.nested-first", _STATEMENT, making(compound_maker(make_packed_self, make_none), PACKED), BOTH),
    create("C2.nested-where-one-suffices", _STATEMENT, making(PACKED, compound_maker(make_none, make_none)), EITHER),
    create("C2.nested-and-empty", _STATEMENT, making(PACKED, renamed(make_none, "compound")), EITHER),
    create(
        "C2.nested-behind-one-that-does-not-verify",
        _STATEMENT,
        making(broken(PACKED), compound_maker(make_none)),
        BOTH,
        by("compound"),
    ),
    create("C2.nested-in-capitals", _FORMAT, making(PACKED, renamed(make_none, "Compound")), BOTH),
    create("C4-1000-statements", _LARGE, instead(attStmt=1000 * [_NOTHING]), BOTH, _at_the_array),
    create("C4.9-statements", _LARGE, stating(lambda s: [s[0], *(8 * [s[1]])]), BOTH, _at_the_array),
    create("C4.9-statements-of-no-form", _LARGE, instead(attStmt=9 * [None]), EITHER, _at_the_array),
    create("C4.8-statements", None, stating(lambda s: [s[0], *(7 * [s[1]])]), BOTH),
    create("C4.one-more-than-configured", _LARGE, stating(lambda s: [*s, s[0]]), TWO_AT_MOST, _at_the_array),
    create("C4.100-certificates-inside", _LARGE, making(broken(PACKED, x5c=100 * [b""]), U2F), BOTH),
)
FAILURES: Final = (
    create("C3-second-does-not-verify", _SIGNATURE, making(PACKED, broken(U2F)), BOTH, by("fido-u2f")),
    create("C3.first-does-not-verify", _SIGNATURE, making(broken(PACKED), U2F), BOTH, by("packed")),
    create("C3.neither-verifies", _SIGNATURE, making(broken(U2F), broken(PACKED)), BOTH, by("fido-u2f")),
    create("C3.statement-of-another-format", _STATEMENT, making(PACKED, renamed(U2F, "packed")), BOTH, by("packed")),
    create("C3.unknown-format", _FORMAT, making(PACKED, _UNKNOWN), BOTH),
    create("C3.empty-format", _FORMAT, making(PACKED, renamed(PACKED, "")), BOTH),
    create("C3.format-that-is-not-enabled", _FORMAT, making(PACKED, apple()), WITHOUT_APPLE),
    create("C3.certificate-that-is-none", _DER, making(PACKED, broken(U2F, x5c=[b""])), BOTH),
    create("C3.none-with-a-member", _STATEMENT, making(PACKED, lambda _: ("none", {"x": 1})), BOTH, by("none")),
    create("C3.none-beside-another", None, making(PACKED, make_none), BOTH, left("packed", "none")),
    create("C3.nothing-but-none", None, making(make_none, make_none), BOTH, left("none", "none")),
    create("C3.self-beside-another", None, making(make_packed_self, PACKED), BOTH),
)
LEFT_OUT: Final = (
    create("C3.any-second-does-not-verify", None, making(PACKED, broken(U2F)), EITHER, left("packed")),
    create("C3.any-first-does-not-verify", None, making(broken(PACKED), U2F), EITHER, left("fido-u2f")),
    create("C3.any-neither-verifies", _SIGNATURE, making(broken(U2F), broken(PACKED)), EITHER, by("fido-u2f")),
    create(
        "C3.any-neither-verifies-and-the-first-is-unknown",
        _FORMAT,
        making(_UNKNOWN, broken(PACKED), broken(U2F)),
        EITHER,
    ),
    create("C3.any-unknown-format", None, making(_UNKNOWN, PACKED), EITHER, left("packed")),
    create("C3.any-nothing-but-unknown-formats", _FORMAT, making(_UNKNOWN, renamed(U2F, "x-other")), EITHER),
    create("C3.any-certificate-that-is-none", None, making(broken(PACKED, x5c=[b""]), U2F), EITHER, left("fido-u2f")),
    create("C3.any-100-certificates", None, making(broken(PACKED, x5c=100 * [b""]), U2F), EITHER, left("fido-u2f")),
    create("C3.any-none-beside-a-broken-one", _SIGNATURE, making(make_none, broken(PACKED)), EITHER, by("packed")),
    create(
        "C3.any-none-beside-a-good-and-a-broken-one",
        None,
        making(make_none, PACKED, broken(U2F)),
        EITHER,
        left("none", "packed"),
    ),
    create("C3.any-none-beside-an-unknown-one", _FORMAT, making(make_none, _UNKNOWN), EITHER),
    create("C3.any-nothing-but-none", None, making(make_none, make_none), EITHER, left("none", "none")),
    create("C3.any-self-beside-a-broken-one", None, making(broken(PACKED), make_packed_self), EITHER, left("packed")),
)
TRUST: Final = (
    create("C3.untrusted-beside-a-trusted-one", _UNTRUSTED, making(PACKED, FOREIGN), BOTH_TRUSTED),
    create("C3.self-beside-a-trusted-one", _REQUIRED, making(PACKED, make_packed_self), BOTH_TRUSTED),
    create("C3.none-beside-a-trusted-one", _REQUIRED, making(PACKED, make_none), BOTH_TRUSTED),
    create("C3.nothing-but-self-where-trust-is-required", _REQUIRED, making(make_packed_self, make_none), BOTH_TRUSTED),
    create("C3.any-untrusted-beside-a-trusted-one", _UNTRUSTED, making(PACKED, FOREIGN), EITHER_TRUSTED),
    create("C3.any-untrusted-beside-a-broken-one", _UNTRUSTED, making(broken(PACKED), FOREIGN), EITHER_TRUSTED),
    create(
        "C3.any-broken-beside-a-trusted-one",
        None,
        making(PACKED, broken(FOREIGN)),
        EITHER_TRUSTED,
        lambda o: o.trust.trusted and [child.trusted for child in o.trust.children] == [True],
    ),
)
CASES: Final = (*SHAPES, *FAILURES, *LEFT_OUT, *TRUST)
