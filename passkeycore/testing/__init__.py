"""Tools to test a WebAuthn server: a software authenticator, a client around it, makers of every layer.

A test lets the kit play browser and authenticator against the real server. `server` here is an HTTP client
for your application, whose two pairs of routes send options and take responses:

    from passkeycore.testing import UP, SoftwareAuthenticator, Tamper, VirtualClient

    def test_passkeys(server):
        client = VirtualClient(SoftwareAuthenticator("alice's phone"), "https://example.org")

        response = client.create(server.post("/passkeys/new").content)
        assert server.post("/passkeys", json=response).status_code == 200

        response = client.get(server.post("/login/new").content)
        assert server.post("/login", json=response).status_code == 200

        absent = Tamper(flags=lambda flags: flags & ~UP)  # one change, signed like the rest
        response = client.get(server.post("/login/new").content, tamper=absent)
        assert server.post("/login", json=response).status_code == 403

The same seed and the same calls give the same keys, credential ids and authenticator data, so failures
repeat; signatures repeat too, save those of RSA-PSS and ML-DSA. Certificates are valid from 2024 to 2044.

Below the client there are calls as in CTAP (`SoftwareAuthenticator.make_credential` and `.get_assertion`),
statement makers (`packed`, `packed_self`, `none`) with an `AttestationAuthority`, and functions that write
single structures (`authenticator_data`, `attestation_object`, `cbor`; X.509 in the modules `certificates` and
`der`). They make and never judge: nothing here is shared with the code that verifies, so a mistake there
cannot hide itself here.

`SoftwareDevice` signs what a trusted device signs, and `SoftwareAppAttest` makes what Apple's App Attest makes for it.

The keys protect nothing. Keep them out of anything but tests.
"""

from passkeycore.testing.app_attest import AppAttestTamper, SoftwareAppAttest
from passkeycore.testing.authenticator import (
    TEST_AAGUID,
    Attestation,
    AuthenticatorError,
    SoftwareAuthenticator,
)
from passkeycore.testing.certificates import (
    LEAF_SUBJECT,
    NOT_AFTER,
    NOT_BEFORE,
    OID_AAGUID,
    AttestationAuthority,
    AttestationCertificate,
)
from passkeycore.testing.client import ANDROID_ORIGIN, ANDROID_PACKAGE, VirtualClient
from passkeycore.testing.credential import EXTENSIONS, Assertion, NewCredential, SoftwareCredential
from passkeycore.testing.device import SoftwareDevice
from passkeycore.testing.encoding import (
    AT,
    BE,
    BS,
    ED,
    UP,
    UV,
    CborValue,
    EncodedCbor,
    attestation_object,
    attested_credential_data,
    authenticator_data,
    b64url_decode,
    b64url_encode,
    cbor,
    cbor_map,
    client_data_json,
)
from passkeycore.testing.extensions import prf_salt
from passkeycore.testing.keys import ALGORITHMS, SoftwareKey, derive
from passkeycore.testing.metadata import MetadataSigner, metadata_entry, metadata_payload
from passkeycore.testing.options import ClientError
from passkeycore.testing.statements import (
    AttestationRequest,
    StatementMaker,
    android_key_maker,
    android_safetynet_maker,
    apple_maker,
    compound_maker,
    fido_u2f_maker,
    key_description,
    none,
    packed,
    packed_maker,
    packed_self,
    safetynet_certificate,
    tpm_certificate,
    tpm_maker,
)
from passkeycore.testing.tamper import Tamper

__all__ = [
    "ALGORITHMS",
    "ANDROID_ORIGIN",
    "ANDROID_PACKAGE",
    "AT",
    "BE",
    "BS",
    "ED",
    "EXTENSIONS",
    "LEAF_SUBJECT",
    "NOT_AFTER",
    "NOT_BEFORE",
    "OID_AAGUID",
    "TEST_AAGUID",
    "UP",
    "UV",
    "AppAttestTamper",
    "Assertion",
    "Attestation",
    "AttestationAuthority",
    "AttestationCertificate",
    "AttestationRequest",
    "AuthenticatorError",
    "CborValue",
    "ClientError",
    "EncodedCbor",
    "MetadataSigner",
    "NewCredential",
    "SoftwareAppAttest",
    "SoftwareAuthenticator",
    "SoftwareCredential",
    "SoftwareDevice",
    "SoftwareKey",
    "StatementMaker",
    "Tamper",
    "VirtualClient",
    "android_key_maker",
    "android_safetynet_maker",
    "apple_maker",
    "attestation_object",
    "attested_credential_data",
    "authenticator_data",
    "b64url_decode",
    "b64url_encode",
    "cbor",
    "cbor_map",
    "client_data_json",
    "compound_maker",
    "derive",
    "fido_u2f_maker",
    "key_description",
    "metadata_entry",
    "metadata_payload",
    "none",
    "packed",
    "packed_maker",
    "packed_self",
    "prf_salt",
    "safetynet_certificate",
    "tpm_certificate",
    "tpm_maker",
]
