"""A Relying Party and a tab that talk to each other: one call for each ceremony, from our options to our verdict.

What belongs here: the way of options, states, responses and records between them, as in an application.
"""

import json
import os
from typing import Any, NamedTuple

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from passkeycore import (
    AuthenticationState,
    CredentialRecord,
    RegistrationOutcome,
    RegistrationState,
    RelyingParty,
    VerifiedAuthentication,
)

from .chromium import Tab

USER = b"\x00\x01user handle"


class Created(NamedTuple):
    """A registration that the client has answered: what the server kept, and the text that it got."""

    state: RegistrationState
    response: str


class Asserted(NamedTuple):
    """An authentication that the client has answered."""

    state: AuthenticationState
    response: str


def foreign_credential(rp_id: str) -> tuple[CredentialRecord, bytes]:
    """The record of a credential that no authenticator made, and its private key to plug in (PKCS#8)."""
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_numbers()
    x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
    record = CredentialRecord(
        credential_id=os.urandom(32),
        public_key=cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y}),
        rp_id=rp_id,
        user_handle=USER,
    )
    return record, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


class Party:
    """The Relying Party `rp` whose page is in `tab`."""

    def __init__(self, rp: RelyingParty, tab: Tab) -> None:
        self.rp = rp
        self.tab = tab

    def create(self, **asked: Any) -> Created:
        """What the client made of `asked`, the arguments of `RelyingParty.registration_options`."""
        asked = {"user_handle": USER, "user_name": "ada"} | asked
        start = self.rp.registration_options(**asked)
        kept = start.state.to_json()
        response = self.tab.create(json.loads(start.to_json()))
        return Created(RegistrationState.from_json(kept), response)

    def get(self, **asked: Any) -> Asserted:
        """What the client made of `asked`, the arguments of `RelyingParty.authentication_options`."""
        start = self.rp.authentication_options(**asked)
        kept = start.state.to_json()
        response = self.tab.get(json.loads(start.to_json()))
        return Asserted(AuthenticationState.from_json(kept), response)

    def register(self, **asked: Any) -> RegistrationOutcome:
        """A registration with the arguments `asked`, verified."""
        created = self.create(**asked)
        return self.rp.verify_registration(created.response, created.state)

    def enrol(self, **asked: Any) -> CredentialRecord:
        """The record of a registration with the arguments `asked`, as it comes back from where it was stored."""
        return CredentialRecord.from_bytes(self.register(**asked).credential.to_bytes())

    def authenticate(self, credential: CredentialRecord, **asked: Any) -> VerifiedAuthentication:
        """An authentication with the arguments `asked`, verified with the record `credential`."""
        asserted = self.get(**asked)
        return self.rp.verify_authentication(asserted.response, asserted.state, credential)
