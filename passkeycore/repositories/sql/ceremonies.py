"""What expires, of `SQLRepository`, once for both colours: ceremonies, what was spent, and the removal of both.

All of it lasts at once, whatever becomes of a transaction of the caller's.
"""

from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final

from sqlalchemy import bindparam, delete

from ...engine.records import Ceremony
from ...errors import Code, DecodeError
from .connections import Context
from .statements import OUT_OF_STEP, REALM, delete_expired, in_steps, insert_new
from .tables import ceremonies, device_challenges, spent

_GRACE: Final = timedelta(minutes=1)  # what expired is kept so long, for machines whose clocks differ

_INSERT_CEREMONY: Final = insert_new(ceremonies)
_INSERT_SPENT: Final = insert_new(spent)
_TAKE_CEREMONY: Final = (
    delete(ceremonies)
    .where(ceremonies.c.realm == REALM, ceremonies.c.challenge == bindparam("with_challenge"))
    .returning(ceremonies.c.body)
)


_DELETE_EXPIRED: Final = {
    dialect: [delete_expired(table, dialect) for table in (ceremonies, spent, device_challenges)]
    for dialect in _INSERT_CEREMONY
}


async def add_ceremony(context: Context, ceremony: Ceremony, /) -> bool:
    """See `CeremonyRepository.add_ceremony`."""
    state = ceremony.state
    values = {
        "realm": state.realm,
        "challenge": state.challenge,
        "body": ceremony.to_bytes(),
        "expires_at": state.expires_at,
    }
    return await context.own.count(_INSERT_CEREMONY[context.own.dialect], values) == 1


async def take_ceremony(context: Context, realm: str, challenge: bytes, /) -> Ceremony | None:
    """See `CeremonyRepository.take_ceremony`.

    Raises:
        DecodeError: `state_invalid`: what is stored is no ceremony, or another one; it is gone as well.
    """
    rows = await context.own.rows(_TAKE_CEREMONY, {"in_realm": realm, "with_challenge": challenge})
    if not rows:
        return None
    ceremony = Ceremony.from_bytes(rows[0][0])
    if ceremony.state.realm != realm or not compare_digest(ceremony.state.challenge, challenge):
        raise DecodeError(Code.STATE_INVALID, OUT_OF_STEP)
    return ceremony


async def remove_expired(context: Context, now: datetime, /) -> int:
    """See `CeremonyRepository.remove_expired`; removes what was spent, and device challenges, as well."""
    removed = 0
    for statement in _DELETE_EXPIRED[context.own.dialect]:
        removed += await in_steps(context.own, statement, {"before": now - _GRACE})
    return removed


async def spend(context: Context, realm: str, key: bytes, expires_at: datetime, /) -> bool:
    """See `SpentRepository.spend`."""
    values = {"realm": realm, "key": key, "expires_at": expires_at}
    return await context.own.count(_INSERT_SPENT[context.own.dialect], values) == 1
