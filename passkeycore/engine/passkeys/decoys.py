"""Credentials that do not exist, for users who have none: nobody shall learn from a start who has an account.

They are the same each time, look like real ones, and a response that names one fails like a bad signature. They hide
whether there is an account from whoever asks; somebody who knows what the user's credentials look like is not deceived.
Spec: #sctn-username-enumeration, #sctn-credential-id-privacy-leak
"""

import hmac
from typing import Final

from ...webauthn.options import CredentialDescriptor

_SYNCED: Final = ("hybrid", "internal")
_INTERNAL: Final = ("internal",)
_KEY: Final = ("nfc", "usb")
_USB: Final = ("usb",)
# Lengths of ids and transports as the common authenticators have them, one line for every sixteenth of the users.
_KINDS: Final = (
    *(((20, _SYNCED),) * 4),  # iCloud Keychain
    *(((16, _SYNCED),) * 3),  # Google Password Manager and others that synchronise
    *(((32, _INTERNAL),) * 3),  # Windows Hello
    *(((16, _INTERNAL),) * 1),  # managers of passwords
    *(((48, _KEY),) * 2),  # security keys with their key inside the id
    *(((64, _USB),) * 2),
    *(((64, ()),) * 1),  # from before transports were kept
)
_COUNTS: Final = (*((1,) * 8), *((2,) * 4), *((3,) * 2), 4, 5)  # likewise


def decoys(secret: bytes, realm: str, user_id: str) -> tuple[bytes, tuple[CredentialDescriptor, ...]]:
    """A user handle (32 bytes) and one to five credentials for somebody who has none, always the same ones.

    Args:
        secret: At least 32 bytes that nobody else knows; with another secret come other decoys, which tells them
            from real credentials. Keep it, and share it between servers.
        realm, user_id: Who was asked for.
    """

    def draw(label: str, length: int) -> bytes:
        # No two triples spell the same text, as each part is preceded by its length.
        parts = b"".join(len(part).to_bytes(4, "big") + part for part in map(_bytes, (label, realm, user_id)))
        return hmac.digest(secret, parts, "sha512")[:length]

    choice = draw("count", 1)[0]
    descriptors: list[CredentialDescriptor] = []
    for number in range(_COUNTS[choice % len(_COUNTS)]):
        length, transports = _KINDS[draw(f"kind {number}", 1)[0] % len(_KINDS)]
        descriptors.append(CredentialDescriptor(id=draw(f"id {number}", length), transports=transports))
    return draw("user handle", 32), tuple(descriptors)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
