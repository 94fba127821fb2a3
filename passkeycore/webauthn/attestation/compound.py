"""The ``compound`` format: several statements about one credential, each in a format of its own.

What an attacker could hope for is that a statement of his own making lends weight to the others, or hides that they
are broken. Hence: the number of statements proves nothing (one may stand there twice), the parent has no trust path of
its own, what did not verify is not among `children`, and trust has to be found for every child. Adding a statement can
then only take trust away. Under the policy ``any`` the whole is as strong as the weakest statement that he can make:
one that does not verify is left out, and nobody learns from the result that it was there.
Spec: #sctn-compound-attestation
"""

from collections.abc import Mapping
from typing import Final

from ...errors import DecodeError, UnsupportedError, VerificationError
from ..encoding import CBOR, check_size
from ..policy import Policy
from .statement import AttestationCeremony, AttestationResult, Verify, format_error, members_of, statement_error

_VACUOUS: Final = frozenset({"none", "unverified"})  # types of statements that hold whatever the authenticator is


def verify(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result for two or more statements that verify, with their results in `children`, in order.

    Every statement is judged in its format with the same ceremony. A format that is not in `formats` is a failure of
    its statement, even when nobody asked for attestation. With the policy ``any`` failures are left out, provided that
    one of the others verifies; a ``none`` cannot be that one, for it verifies always.

    Raises:
        AttestationError: `attestation_statement_invalid`: not an array of two or more maps of ``fmt`` and ``attStmt``,
            or a compound statement inside, whatever the policy.
        DecodeError: `too_large`: more statements than the policy's limit.
        DecodeError, UnsupportedError, VerificationError: The first failure of a statement, as it came.
    """
    if not isinstance(statement, list) or len(statement) < 2:
        raise statement_error("compound", "not an array of two or more statements")
    check_size(len(statement), policy.limits.statements, "response.attestationObject.attStmt")
    inner = [_parts_of(member, policy) for member in statement]  # all of them, before the first costs a signature

    others = {name: judge for name, judge in formats.items() if name != "compound"}
    children: list[AttestationResult] = []
    failures: list[DecodeError | UnsupportedError | VerificationError] = []
    for format, part in inner:
        try:
            children.append(_verify_one(format, part, ceremony, policy, others))
        except (DecodeError, UnsupportedError, VerificationError) as failure:  # not what is wrong on our side
            if policy.compound == "all":
                raise
            failures.append(failure)
    if failures and all(child.type in _VACUOUS for child in children):
        raise failures[0]
    return AttestationResult(format="compound", type="compound", children=tuple(children))


def _parts_of(member: CBOR, policy: Policy) -> tuple[str, CBOR]:
    """The format and the statement in one element of the array."""
    members = members_of(member, "compound", frozenset({"fmt", "attStmt"}), frozenset(), policy)
    format = members["fmt"]
    if not isinstance(format, str) or format == "compound":
        raise statement_error("compound", "fmt is not a text, or a compound statement inside of another")
    return format, members["attStmt"]


def _verify_one(
    format: str, statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result of one statement inside; unlike at the top, what nobody asked for is not left unread."""
    verify_format = formats.get(format)
    if verify_format is None:
        raise format_error(format, formats, "response.attestationObject.attStmt")
    return verify_format(statement, ceremony, policy, formats)
