"""Attestation statements: one file per format, one signature for all, and the table of the formats that exist.

A format's `verify` decides whether a statement is valid. Whether it is trusted is another question, which
`passkeycore.trust` answers from the trust path.
Spec: #sctn-defined-attestation-formats
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final, cast

from ..encoding import CBOR
from ..policy import Policy
from . import none
from .statement import AttestationCeremony, AttestationResult, AttestationType, Verify, format_error


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

    A statement that nobody asked for, in a format that is not known or not enabled, is left unread (type
    ``unverified``).

    Raises:
        UnsupportedError: `attestation_format_unsupported`: not a format in `formats`, which matches case, or SafetyNet
            without the policy that allows it.
        AttestationError, DecodeError: What the format raises.
    """
    verify = formats.get(format)
    if verify is None or (format == "android-safetynet" and not policy.danger_allow_android_safetynet):
        if ceremony.conveyance == "none" and 1 <= len(format) <= _LONGEST_FORMAT and format.isascii():
            return AttestationResult(format=format, type="unverified")
        raise format_error(format, formats, "response.attestationObject.fmt")
    return verify(statement, ceremony, policy, formats)


__all__ = [
    "FORMATS",
    "AttestationCeremony",
    "AttestationResult",
    "AttestationType",
    "Verify",
    "verify_statement",
]
