"""Sessions of the operator: sealed into a cookie that each process of the server reads, and ended before their time.

A session is good until it was not used for a while, and for a working day at most. It is bound to what it was opened
with: another operator secret in the file ends all, and is another operator, who has no passkeys yet; a passkey that is
removed ends those that it opened. Signing out
notes the session's digest where all processes look, until it would have ended by itself; so a copy of the cookie is
good for nothing after that.
"""

import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, cast

import msgspec

from ...engine.records import Event
from ...engine.tenancy.records import Overrides
from ...engine.tenancy.repository import AsyncTenancyRepository
from ...errors import Code, ConflictError, TokenError
from ...tokens import Tokens
from ...webauthn.encoding import encode_base64url

REALM: Final = "passkeycore/operators"
"""Whose users operators are. No tenant can be called so, or its users could become operators."""

LIFETIME: Final = timedelta(hours=8)
IDLE: Final = timedelta(minutes=30)
_RENEWED_S: Final = 60  # a cookie for every click would be one too many
_PURPOSE: Final = "passkeycore/portal-session"
_ATTEMPTS: Final = 10
_ID_BYTES: Final = 32
_SHOWN_DIGITS: Final = 16


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has signed in as the operator. Its repr shows nothing of it.

    Attributes:
        id: 43 characters of base64url, random.
        stamp: Of the operator secret that was good then.
        credential_id: The passkey that opened it; None: the operator secret did.
        ends_at: When it ends at the latest, in seconds since 1970.
        seen_at: When its cookie was made, in seconds since 1970.
    """

    id: str
    stamp: str
    credential_id: bytes | None = None
    ends_at: int
    seen_at: int

    def __repr__(self) -> str:
        return "Session(…)"

    @property
    def csrf(self) -> str:
        """What forms of this session bring along, 43 characters of base64url; no other page can know it."""
        return encode_base64url(hmac.digest(self.id.encode(), b"passkeycore portal csrf", "sha256"))

    @property
    def audit(self) -> dict[str, str]:
        """What events say of whoever does something in it: 16 digits of `digest`, and its passkey if one opened it."""
        passkey = {} if self.credential_id is None else {"passkey": encode_base64url(self.credential_id)}
        return {"by": "operator", "session": self.digest[:_SHOWN_DIGITS], **passkey}

    @property
    def digest(self) -> str:
        """By what the session is known once it has ended, in hexadecimal."""
        return sha256(self.id.encode()).hexdigest()


def new_session(random: bytes, stamp: str, credential_id: bytes | None, now: datetime) -> Session:
    """A session that begins now. `random` are 32 bytes."""
    return Session(
        id=encode_base64url(random[:_ID_BYTES]),
        stamp=stamp,
        credential_id=credential_id,
        ends_at=int((now + LIFETIME).timestamp()),
        seen_at=int(now.timestamp()),
    )


def seal_session(tokens: Tokens, session: Session, now: datetime) -> str:
    """The session for its cookie; good until it is idle for too long, or ends."""
    ends_at = datetime.fromtimestamp(session.ends_at, UTC)
    return tokens.seal(_PURPOSE, msgspec.json.encode(session), expires_at=min(ends_at, now + IDLE), now=now)


def unseal_session(tokens: Tokens, text: str, now: datetime) -> Session:
    """The session of a cookie. Whether it was ended before its time is not known here.

    Raises:
        TokenError: `token_invalid`, `token_expired`.
    """
    try:
        return msgspec.json.decode(tokens.unseal(_PURPOSE, text, now=now), type=Session)
    except msgspec.MsgspecError:
        raise TokenError(Code.TOKEN_INVALID, "no session of this release") from None


def renewed(session: Session, now: datetime) -> Session | None:
    """The session as its next cookie has it; None: the one that the browser has will do."""
    seen_at = int(now.timestamp())
    return None if seen_at - session.seen_at < _RENEWED_S else msgspec.structs.replace(session, seen_at=seen_at)


def stamp_of(operator_secret: bytes) -> str:
    """What changes with the operator secret and does not tell it."""
    return hmac.digest(operator_secret, b"passkeycore portal stamp", "sha256").hex()


def operator_of(operator_secret: bytes) -> str:
    """The only user of the realm of operators, whose passkeys open the portal: another secret has another.

    So whoever has got in by the old secret cannot come back by a passkey that they have left behind.
    """
    return "operator-" + hmac.digest(operator_secret, b"passkeycore portal operator", "sha256").hex()


async def is_ended(repository: AsyncTenancyRepository, session: Session) -> bool:
    """Whether somebody has signed out of the session."""
    return session.digest in _ended(await repository.find_overrides(REALM))


async def end_session(
    repository: AsyncTenancyRepository, session: Session, now: datetime, event: Event | None = None
) -> None:
    """Ends the session for all processes, and stores that as `event`. What has ended by itself meanwhile is forgotten.

    Raises:
        ConflictError: `conflict`: others sign out faster than it can be written.
    """
    for _ in range(_ATTEMPTS):
        found = await repository.find_overrides(REALM)
        ended = {digest: end for digest, end in _ended(found).items() if end > now.timestamp()}
        ended[session.digest] = session.ends_at
        values = json.dumps({"ended": ended}).encode()
        revision = 1 if found is None else found.revision + 1
        if await repository.replace_overrides(
            Overrides(values=values, updated_at=now, revision=revision, realm=REALM), event
        ):
            return
    raise ConflictError(Code.CONFLICT, "others sign out at the same time")


def _ended(stored: Overrides | None) -> dict[str, int]:
    """Digests of sessions that were ended, and when they would have ended by themselves."""
    return {} if stored is None else cast("dict[str, dict[str, int]]", json.loads(stored.values))["ended"]
