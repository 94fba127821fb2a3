"""Attestation statements: one file per format, one signature for all, and the table of the formats that exist.

A format's `verify` decides whether a statement is valid. Whether it is trusted is another question, which
`passkeycore.trust` answers from the trust path.
Spec: #sctn-defined-attestation-formats
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ...errors import Code, UnsupportedError
from ..encoding import CBOR
from ..policy import Policy
from . import none, packed
from .statement import AttestationCeremony, AttestationResult, AttestationType, Verify

FORMATS: Final[Mapping[str, Verify]] = MappingProxyType(
    {
        "none": none.verify,
        "packed": packed.verify,
    }
)


def verify_statement(
    format: str, statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result of the format's own procedure. Spec: #sctn-registering-a-new-credential (the format's choice)

    Raises:
        UnsupportedError: `attestation_format_unsupported`: not a format in `formats`, which matches case.
        AttestationError, DecodeError: What the format raises.
    """
    verify = formats.get(format)
    if verify is None:
        raise UnsupportedError(
            Code.ATTESTATION_FORMAT_UNSUPPORTED,
            "an attestation format that is not known or not enabled",
            path="response.attestationObject.fmt",
            expected=sorted(formats),
            actual=format,
            spec="#sctn-attstn-fmt-ids",
        )
    return verify(statement, ceremony, policy, formats)


__all__ = [
    "FORMATS",
    "AttestationCeremony",
    "AttestationResult",
    "AttestationType",
    "Verify",
    "verify_statement",
]
