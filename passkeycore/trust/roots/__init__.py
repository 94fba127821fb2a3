"""Trust anchors: certificates with the formats they are good for, and the roots that come with this package.

The data and where it is from stand in `roots.toml`. Nothing is trusted because it stands there: a `TrustPolicy` names
its anchors.
"""

from functools import cache

import msgspec


class Anchor(msgspec.Struct, frozen=True):
    """A certificate that paths may end at: a root, an intermediate, or an attestation certificate itself.

    Attributes:
        certificate: DER.
        formats: The attestation formats it is good for; None: every one. Many roots certify more than authenticators,
            so one that is known for one format says nothing under another.
        name: For people.
    """

    certificate: bytes
    formats: frozenset[str] | None = None
    name: str = ""


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
