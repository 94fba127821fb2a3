"""Trust anchors: certificates with the formats they are good for, and the roots that come with this package.

The data and where it is from stand in `roots.toml`. Nothing is trusted because it stands there: a `TrustPolicy` names
its anchors.
"""

from collections.abc import Collection
from functools import cache
from typing import TypeVar
from uuid import UUID

import msgspec

from ...errors import ConfigurationError

_T = TypeVar("_T")


class Anchor(msgspec.Struct, frozen=True):
    """A certificate that paths may end at: a root, an intermediate, or an attestation certificate itself.

    Attributes:
        certificate: DER.
        formats: The attestation formats it is good for; None: every one. Many roots certify more than authenticators,
            so one that is known for one format says nothing under another.
        name: For people.
        aaguids: The only models that it certifies; None: it does not say. The attestation key of ``packed`` signs the
            AAGUID, but that of Android, Apple and TPMs certifies a key, whose holder may name any model: rules about
            models accept those only below an anchor that names the model, as the anchors of metadata do.
    """

    certificate: bytes
    formats: frozenset[str] | None = None
    name: str = ""
    aaguids: frozenset[UUID] | None = None

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a text where several values belong, or values of another type."""
        for name, kind in (("formats", str), ("aaguids", UUID)):
            if getattr(self, name) is not None:
                msgspec.structs.force_setattr(
                    self, name, frozenset(several(getattr(self, name), kind, f"anchor.{name}"))
                )


def several(values: Collection[_T], kind: type | tuple[type, ...], path: str) -> Collection[_T]:
    """`values`, if all are of this kind. A text has letters, where somebody forgot the brackets around it.

    Raises:
        ConfigurationError: Otherwise.
    """
    if isinstance(values, (str, bytes)) or not all(isinstance(value, kind) for value in values):
        raise ConfigurationError("a value of another type than the members of this collection have", path=path)
    return values


def bundled(*formats: str) -> tuple[Anchor, ...]:
    """The bundled roots for these attestation formats; without any, for all of them.

    ``bundled("mds")`` are the roots of the FIDO Metadata Service, which attest nothing.
    """
    return tuple(
        anchor
        for anchor in _all()
        if anchor.formats is not None and (anchor.formats & {*formats} if formats else "mds" not in anchor.formats)
    )


@cache
def _all() -> tuple[Anchor, ...]:
    import tomllib  # only those who name these roots pay for the imports
    from importlib.resources import files
    from ssl import PEM_cert_to_DER_cert

    text = files(__name__).joinpath("roots.toml").read_text("ascii")
    return tuple(
        Anchor(PEM_cert_to_DER_cert(root["pem"].strip()), frozenset(root["formats"]), root["name"])
        for root in tomllib.loads(text)["root"]
    )
