"""`Tamper`: one named place after another where a test can change what the kit makes.

A ceremony passes through the fields of `Tamper` in their order. Each holds a function from the right value
to the one to use instead, and everything after it is computed from the result: change the flags and the
signature is made over the changed flags; change the signature's message and only the signature is wrong. So
a test makes one change and gets a response that is otherwise valid:

    client.create(options, tamper=Tamper(client_data=lambda d: d | {"type": "webauthn.get"}))
    client.get(options, tamper=Tamper(flags=lambda flags: flags & ~UP))
    client.get(options, tamper=Tamper(sign=lambda key, message: other_key.sign(message)))

Dictionaries handed to a function are its own: it may change them in place, but has to return one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from passkeycore.testing.encoding import CborValue, JsonObject
from passkeycore.testing.keys import SoftwareKey
from passkeycore.testing.statements import Sign

T = TypeVar("T")


def _unchanged(value: T) -> T:
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Tamper:
    """What to change on the way; `Tamper()` changes nothing.

    The client applies `client_data`, `client_data_json` and, after the authenticator has answered,
    everything from `attestation` on; the authenticator what lies between. What does not apply to a ceremony
    is never called.
    """

    client_data: Callable[[JsonObject], JsonObject] = _unchanged
    """The members of the client data before they are serialised, in order."""
    client_data_json: Callable[[bytes], bytes] = _unchanged
    """The client data's bytes before they are hashed."""
    credential_id: Callable[[bytes], bytes] = _unchanged
    """The credential id inside the attested credential data only; registration only."""
    cose_key: Callable[[dict[int, CborValue]], Mapping[Any, CborValue] | bytes] = _unchanged
    """The COSE_Key inside the attested credential data, as a map or as bytes; registration only."""
    attested_credential_data: Callable[[bytes], bytes] = _unchanged
    """The attested credential data, empty in an authentication; AT is set if the result is not empty."""
    extensions: Callable[[dict[str, CborValue]], Mapping[Any, CborValue] | bytes] = _unchanged
    """The authenticator's extension outputs, as a map or as bytes; ED is set if the result is not empty."""
    rp_id_hash: Callable[[bytes], bytes] = _unchanged
    """The first 32 bytes of the authenticator data."""
    flags: Callable[[int], int] = _unchanged
    """The flag byte, AT and ED included, whatever really follows."""
    sign_count: Callable[[int], int] = _unchanged
    """The sign count sent; what the authenticator remembers stays right."""
    authenticator_data: Callable[[bytes], bytes] = _unchanged
    """The finished authenticator data before it is signed."""
    sign: Sign = SoftwareKey.sign
    """Signs, given the right key and the right message: of the assertion, or of the attestation statement."""
    attestation: Callable[[JsonObject], JsonObject] = _unchanged
    """The attestation object's `fmt`, `attStmt` and `authData`, already signed; registration only."""
    attestation_object: Callable[[bytes], bytes] = _unchanged
    """The attestation object's bytes; registration only."""
    client_extension_results: Callable[[JsonObject], JsonObject] = _unchanged
    """The client extension results in their JSON form."""
    response: Callable[[JsonObject], JsonObject] = _unchanged
    """The complete response in its JSON form."""


UNCHANGED = Tamper()
"""The `Tamper` of an honest ceremony."""
