"""``additionalAllowedOrigin``: one more origin that may answer one ceremony, such as that of a preview.

It counts when the start and the finish name it. The ceremony keeps what the start named, and the engine refuses every
other origin; that the finish names it as well is judged here. A finish that names another one, or none, may still be
answered from an origin that is configured.
"""

from typing import Final

import msgspec

from ...errors import ConfigurationError, DecodeError
from ...relying_party import RelyingParty
from ...webauthn.client_data import CollectedClientData
from ...webauthn.encoding import decode_base64url
from ...webauthn.origins import check_origin, is_within
from ...webauthn.wire import decode_json
from .wire import Refused, unexpected


class _Response(msgspec.Struct, frozen=True):
    clientDataJSON: str  # noqa: N815


class _Credential(msgspec.Struct, frozen=True):
    response: _Response


_DECODER: Final = msgspec.json.Decoder(_Credential)


def check_extra_origin(origin: str | None, rp: RelyingParty) -> None:
    """Returns only when passkeys could be used on `origin`; None: there is none.

    Raises:
        Refused: ``CannotParseAdditionalAllowedOrigin``: no web origin in the one spelling that browsers send.
            ``UnexpectedError``: browsers would refuse it, as it is outside the RP ID.
    """
    if origin is None:
        return
    try:
        host = check_origin(origin)
    except ConfigurationError:
        host = None
    if host is None:
        raise Refused("CannotParseAdditionalAllowedOrigin")
    if not is_within(host, rp.id) and origin not in rp.related_origins:
        raise unexpected("additionalAllowedOrigin is not on the host of the passkeys, nor on one below it.")


def is_named(body: bytes, extra: str | None, rp: RelyingParty) -> bool:
    """Whether the origin that a response claims is configured, or is `extra`.

    True also for a response that names none: the engine refuses it.
    """
    try:
        credential = decode_json(_DECODER, body, rp.policy.limits.json_bytes)
        raw = decode_base64url(credential.response.clientDataJSON, "response.clientDataJSON")
        origin = CollectedClientData.parse(raw, rp.policy).origin
    except DecodeError:
        return True
    return origin == extra or origin in rp.origins or origin in rp.related_origins
