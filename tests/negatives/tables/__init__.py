"""The cases of the negative tests: tables, one for each subject. No test stands here."""

from typing import Final

from ..harness import Case
from . import (
    attestation,
    authentication,
    authenticator_data,
    cbor_bytes,
    client_data,
    configuration,
    devices,
    json_text,
    keys,
    ownership,
    registration,
    sealed,
    signatures,
    storage,
)

CASES: Final[tuple[Case, ...]] = (
    *client_data.CASES,
    *authenticator_data.CASES,
    *registration.CASES,
    *keys.CASES,
    *authentication.CASES,
    *signatures.CASES,
    *cbor_bytes.CASES,
    *json_text.CASES,
    *attestation.CASES,
    *configuration.CASES,
    *storage.CASES,
    *ownership.CASES,
    *sealed.CASES,
    *devices.CASES,
)
