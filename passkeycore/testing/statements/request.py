"""What every statement maker is given and gives. One file beside this one for each format."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from passkeycore.testing.encoding import CborValue
from passkeycore.testing.keys import SoftwareKey

Sign: TypeAlias = Callable[[SoftwareKey, bytes], bytes]
"""Signs a message with a key; `SoftwareKey.sign` unless a test interferes."""
Statement: TypeAlias = dict[str, CborValue]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttestationRequest:
    """What an authenticator knows when it is about to attest a new credential."""

    authenticator_data: bytes
    client_data_hash: bytes
    """SHA-256 of the client data, 32 bytes."""
    credential_key: SoftwareKey
    credential_id: bytes
    """As the authenticator data has it."""
    aaguid: UUID
    sign: Sign = SoftwareKey.sign
    """How to sign; a maker that signs through this obeys `Tamper.sign`."""

    @property
    def rp_id_hash(self) -> bytes:
        """SHA-256 of the RP ID, 32 bytes, as the authenticator data has it."""
        return self.authenticator_data[:32]


StatementMaker: TypeAlias = Callable[[AttestationRequest], tuple[str, CborValue]]
"""Makes an attestation: the format's identifier and the statement."""
