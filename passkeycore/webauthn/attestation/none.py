"""The ``none`` format: no statement at all. Spec: #sctn-none-attestation"""

from collections.abc import Mapping

from ..encoding import CBOR
from ..policy import Policy
from .statement import AttestationCeremony, AttestationResult, Verify, statement_error


def verify(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result for an empty map.

    Raises:
        AttestationError: `attestation_statement_invalid`: anything else.
    """
    if statement != {}:
        raise statement_error("none", "the statement of format none is not an empty map")
    return AttestationResult(format="none", type="none")
