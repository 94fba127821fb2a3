"""``clientDataJSON``: what the client says about the ceremony, and the rules that both ceremonies have for it.

Spec: #dictdef-collectedclientdata
"""

import binascii
import re
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import Code, DecodeError, VerificationError
from .encoding import check_size, encode_base64url
from .policy import DEFAULT_POLICY, Policy
from .trail import Trail

if TYPE_CHECKING:
    from .options import AuthenticationState, RegistrationState

_PATH: Final = "response.clientDataJSON"
_BOM: Final = b"\xef\xbb\xbf"


class CollectedClientData(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The members of the client data that a Relying Party judges, with the bytes that were hashed and signed.

    Attributes:
        raw: ``clientDataJSON`` as received, the bytes that the signature covers.
        type: ``webauthn.create`` or ``webauthn.get``, if honest.
        challenge: The challenge as the client wrote it, base64url.
        origin: The caller's origin, or an app's identifier such as ``android:apk-key-hash:…``.
        cross_origin: Whether an ancestor frame had another origin; absent means False.
        top_origin: The top-level origin of a cross-origin frame, or None.
        token_binding: Whether the reserved member claims that a token binding is ``present``.
    """

    raw: bytes
    type: str
    challenge: str
    origin: str
    cross_origin: bool = False
    top_origin: str | None = None
    token_binding: bool = False

    def __repr__(self) -> str:
        return f"CollectedClientData(type={self.type!r}, origin={self.origin!r}, challenge=…)"

    @staticmethod
    def parse(raw: bytes, policy: Policy = DEFAULT_POLICY) -> "CollectedClientData":
        """The judged members of `raw`; other members are allowed and ignored.

        Raises:
            DecodeError: `too_large`, or `json_invalid`: not a JSON object, a member that is missing or of
                the wrong type, or a judged member that stands twice.
        """
        check_size(len(raw), policy.limits.client_data_bytes, _PATH)
        # msgspec takes the last of two equal members, and sees through an escaped name. So it may read the text
        # only where no name can hide: nothing is escaped, and there are no more quotes than the members need that
        # it found, or else each name stands exactly as often as allowed. It also skips malformed UTF-8 in members
        # that it does not look for.
        if raw.find(b"\\") < 0 and (policy.client_data_encoding != "strict" or raw.isascii()):
            try:
                wire = _DECODER.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass  # the slow way gives the reason, or knows better (a byte order mark, malformed UTF-8)
            else:
                cross, top = wire.crossOrigin, wire.topOrigin
                quotes = 12 if cross is None else 14
                if raw.count(b'"') == (quotes if top is None else quotes + 4) or _each_stands_once(raw):
                    return CollectedClientData(
                        raw=raw,
                        type=wire.type,
                        challenge=wire.challenge,
                        origin=wire.origin,
                        cross_origin=cross is True,
                        top_origin=top,
                    )
        return _parse_slowly(raw, policy)


class _Wire(msgspec.Struct, frozen=True):
    type: str
    challenge: str
    origin: str
    crossOrigin: bool | None = None  # noqa: N815
    topOrigin: str | None = None  # noqa: N815


_DECODER: Final = msgspec.json.Decoder(_Wire)


def _each_stands_once(raw: bytes) -> bool:
    return (
        raw.count(b'"type"') == raw.count(b'"challenge"') == raw.count(b'"origin"') == 1
        and raw.count(b'"crossOrigin"') < 2
        and raw.count(b'"topOrigin"') < 2
        and raw.count(b'"tokenBinding"') == 0
    )


_JUDGED: Final = ("type", "challenge", "origin", "crossOrigin", "topOrigin", "tokenBinding")


class _Object(list[tuple[str, Any]]):
    """The members of a JSON object in order, duplicates included."""


def _parse_slowly(raw: bytes, policy: Policy) -> CollectedClientData:
    import json  # honest clients never come here

    strict = policy.client_data_encoding == "strict"
    if strict and raw.startswith(_BOM):
        raise _malformed("a byte order mark")
    try:
        # Unless strict, this is the encoding standard's UTF-8 decode: one mark stripped, bad bytes replaced.
        text = raw.removeprefix(_BOM).decode("utf-8", "strict" if strict else "replace")
        members = json.loads(text, object_pairs_hook=_Object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _malformed("not JSON") from None
    if not isinstance(members, _Object):
        raise _malformed("not a JSON object")
    judged: dict[str, Any] = {}
    for name, value in members:
        if name in _JUDGED:
            if name in judged:
                raise _malformed(f"{name} stands twice")
            judged[name] = value
    for name in ("type", "challenge", "origin"):
        if not isinstance(judged.get(name), str):
            raise _malformed(f"{name} is missing or no string")
    if not isinstance(judged.get("crossOrigin"), (bool, type(None))):
        raise _malformed("crossOrigin is not a boolean")
    if not isinstance(judged.get("topOrigin"), (str, type(None))):
        raise _malformed("topOrigin is not a string")
    binding = judged.get("tokenBinding")
    return CollectedClientData(
        raw=raw,
        type=judged["type"],
        challenge=judged["challenge"],
        origin=judged["origin"],
        cross_origin=judged.get("crossOrigin") is True,
        top_origin=judged.get("topOrigin"),
        token_binding=isinstance(binding, _Object) and ("status", "present") in binding,
    )


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and the infinities are Python's, not JSON's


def _malformed(message: str) -> DecodeError:
    return DecodeError(Code.JSON_INVALID, message, path=_PATH, spec="#dictdef-collectedclientdata")


_USUAL: Final = re.compile(rb'\{"type":"webauthn\.(?:get|create)","challenge":"([0-9A-Za-z_-]+)"')
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def claimed_challenge(raw: bytes, policy: Policy = DEFAULT_POLICY) -> bytes | None:
    """The challenge that the client data `raw` names, to look its ceremony up by; None when it can be no challenge.

    It proves nothing, and is read leniently: `check_client_data` compares the text with the ceremony that was found.

    Raises:
        DecodeError: See `CollectedClientData.parse`.
    """
    usual = _USUAL.match(raw)  # as all clients write it; whatever else the text hides, is judged later
    text = CollectedClientData.parse(raw, policy).challenge.encode("ascii", "replace") if usual is None else usual[1]
    try:
        return binascii.a2b_base64(text.translate(_TO_STANDARD) + b"==")
    except ValueError:
        return None


def check_client_data(
    raw: bytes,
    type: str,
    state: "RegistrationState | AuthenticationState",
    policy: Policy,
    trail: Trail | None,
) -> None:
    """Returns only when the client data `raw` belongs to the ceremony `state` that this Relying Party began.

    Raises:
        DecodeError: See `CollectedClientData.parse`.
        VerificationError: `type_mismatch`, `challenge_mismatch`, `origin_not_allowed`,
            `cross_origin_not_allowed`, `top_origin_not_allowed`, `token_binding_not_allowed`.

    Spec: #sctn-registering-a-new-credential, #sctn-verifying-assertion, #sctn-validating-origin
    """
    # What most clients write is known in advance, and equal bytes need no parser: the specification's limited
    # verification (#clientdatajson-verification), for the first origin outside of frames.
    challenge = encode_base64url(state.challenge)
    if trail is None and state.origins:
        usual = f'{{"type":"{type}","challenge":"{challenge}","origin":"{state.origins[0]}","crossOrigin":false}}'
        if raw == usual.encode():
            return

    if trail is not None:
        trail.see("client data")
    client_data = CollectedClientData.parse(raw, policy)
    if trail is not None:
        trail.see("type", type, client_data.type)
    if client_data.type != type:
        raise VerificationError(
            Code.TYPE_MISMATCH,
            "the response belongs to the other ceremony",
            path=_PATH + ".type",
            expected=type,
            actual=client_data.type,
            spec="#dom-collectedclientdata-type",
        )

    if trail is not None:
        trail.see("challenge")
    if not client_data.challenge.isascii() or not compare_digest(client_data.challenge, challenge):
        raise VerificationError(
            Code.CHALLENGE_MISMATCH,
            "not the challenge that was issued",
            path=_PATH + ".challenge",
            spec="#sctn-cryptographic-challenges",
        )

    if trail is not None:
        trail.see("origin", state.origins, client_data.origin)
    if client_data.origin not in state.origins:
        raise VerificationError(
            Code.ORIGIN_NOT_ALLOWED,
            "not one of the expected origins",
            path=_PATH + ".origin",
            expected=state.origins,
            actual=client_data.origin,
            spec="#sctn-validating-origin",
        )

    if trail is not None:
        trail.see("crossOrigin", state.allow_cross_origin, client_data.cross_origin)
    # Pages that list their embedders, but do not expect embedding in general, need the client to name the embedder.
    if client_data.cross_origin and not (
        state.allow_cross_origin or (state.top_origins and client_data.top_origin is not None)
    ):
        raise VerificationError(
            Code.CROSS_ORIGIN_NOT_ALLOWED,
            "use inside a page of another origin is not expected",
            path=_PATH + ".crossOrigin",
            expected=False,
            actual=True,
            spec="#dom-collectedclientdata-crossorigin",
        )

    if trail is not None:
        trail.see("topOrigin", state.top_origins, client_data.top_origin)
    if client_data.top_origin is not None and client_data.top_origin not in state.top_origins:
        raise VerificationError(
            Code.TOP_ORIGIN_NOT_ALLOWED,
            "not one of the pages that may embed this one",
            path=_PATH + ".topOrigin",
            expected=state.top_origins,
            actual=client_data.top_origin,
            spec="#dom-collectedclientdata-toporigin",
        )

    if trail is not None:
        trail.see("tokenBinding", policy.client_data_token_binding, client_data.token_binding)
    if client_data.token_binding and policy.client_data_token_binding == "refuse":
        raise VerificationError(
            Code.TOKEN_BINDING_NOT_ALLOWED,
            "the client claims a token binding",
            path=_PATH + ".tokenBinding",
            spec="#dictdef-collectedclientdata",
        )
