"""Attestation statement makers: one file for each format, and in `request` what an authenticator tells them.

A statement is returned as plain values, not yet CBOR, so a test can change a member that no signature covers;
what a signature covers is changed before, through the arguments.
"""

from passkeycore.testing.statements.android_key import android_key_maker, key_description
from passkeycore.testing.statements.android_safetynet import android_safetynet_maker, safetynet_certificate
from passkeycore.testing.statements.apple import apple_maker
from passkeycore.testing.statements.compound import compound_maker
from passkeycore.testing.statements.fido_u2f import fido_u2f_maker
from passkeycore.testing.statements.packed import (
    make_none,
    make_packed_self,
    none,
    packed,
    packed_maker,
    packed_self,
)
from passkeycore.testing.statements.request import AttestationRequest, Sign, Statement, StatementMaker
from passkeycore.testing.statements.tpm import tpm_certificate, tpm_maker

__all__ = [
    "AttestationRequest",
    "Sign",
    "Statement",
    "StatementMaker",
    "android_key_maker",
    "android_safetynet_maker",
    "apple_maker",
    "compound_maker",
    "fido_u2f_maker",
    "key_description",
    "make_none",
    "make_packed_self",
    "none",
    "packed",
    "packed_maker",
    "packed_self",
    "safetynet_certificate",
    "tpm_certificate",
    "tpm_maker",
]
