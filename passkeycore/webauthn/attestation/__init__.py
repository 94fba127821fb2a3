"""Attestation statements: one file per format, one signature for all, and the table of the formats that exist.

A format's `verify` decides whether a statement is valid. Whether it is trusted is another question, which
`passkeycore.trust` answers from the trust path.
Spec: #sctn-defined-attestation-formats
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final, cast

from ...errors import Code, UnsupportedError
from ..encoding import CBOR
from ..policy import Policy
from . import none
from .statement import AttestationCeremony, AttestationResult, AttestationType, Verify


def _late(module: str) -> Verify:
    """The `verify` of a format's file, which is read when the first statement of that format comes."""

    def verify(
        statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify], /
    ) -> AttestationResult:
        return cast("Verify", import_module(module, __name__).verify)(statement, ceremony, policy, formats)

    return verify


FORMATS: Final[Mapping[str, Verify]] = MappingProxyType(
    {
        "none": none.verify,
        "packed": _late(".packed"),
        "tpm": _late(".tpm"),
        "android-key": _late(".android_key"),
        "android-safetynet": _late(".android_safetynet"),
        "fido-u2f": _late(".fido_u2f"),
        "apple": _late(".apple"),
        "compound": _late(".compound"),
    }
)
_LONGEST_FORMAT: Final = 32  # spec: #sctn-attstn-fmt-ids


def verify_statement(
    format: str, statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result of the format's own procedure. Spec: #sctn-registering-a-new-credential (the format's choice)

    A statement that nobody asked for, in a format that is not in `formats`, is left unread (type ``unverified``).

    Raises:
        UnsupportedError: `attestation_format_unsupported`: not a format in `formats`, which matches case.
        AttestationError, DecodeError: What the format raises.
    """
    verify = formats.get(format)
    if verify is None:
        if ceremony.conveyance == "none" and 1 <= len(format) <= _LONGEST_FORMAT and format.isascii():
            return AttestationResult(format=format, type="unverified")
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
