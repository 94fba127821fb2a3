"""Cases about attestation: a table for each format, and in `paths` where certificates lead to. No test stands here."""

from typing import Final

from ...harness import Case
from . import (
    android_key,
    android_safetynet,
    apple,
    certificates,
    compound,
    fido_u2f,
    metadata,
    packed,
    paths,
    tpm,
    trust,
)

CASES: Final[tuple[Case, ...]] = (
    *android_key.CASES,
    *android_safetynet.CASES,
    *apple.CASES,
    *certificates.CASES,
    *compound.CASES,
    *fido_u2f.CASES,
    *metadata.CASES,
    *packed.CASES,
    *paths.CASES,
    *tpm.CASES,
    *trust.CASES,
)
