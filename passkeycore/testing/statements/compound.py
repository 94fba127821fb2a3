"""The format `compound`."""

from passkeycore.testing.encoding import CborValue
from passkeycore.testing.statements.request import AttestationRequest, StatementMaker


def compound(*attestations: tuple[str, CborValue]) -> list[CborValue]:
    """A `compound` statement of these attestations, each a format's identifier and a statement. Two are the least.

    Spec: #sctn-compound-attestation
    """
    return [{"fmt": format, "attStmt": statement} for format, statement in attestations]


def compound_maker(*makers: StatementMaker) -> StatementMaker:
    """A `StatementMaker` of format `compound`: what each of the `makers` makes, in their order."""

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        return "compound", compound(*(maker(request) for maker in makers))

    return make
