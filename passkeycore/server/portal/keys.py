"""The page of a tenant's keys: make one, which is shown once, give it a successor, and revoke it."""

import re
from hashlib import sha256
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...config.server import TenantSettings
from ...engine.tenancy.records import KeyKind
from ...errors import Code, DecodeError, LimitReached
from ..propelauth.commands import COMMANDS
from ..tenancy.keys import NewKey, create_key, revoke_key, rotate_key, text_of
from .serving import Asked, Row

_KINDS: Final[dict[str, KeyKind]] = {"api": "api", "integration": "integration"}
_KEY_ID: Final = re.compile("[0-9a-f]{16}")
_DIGITS: Final = 8  # of a digest: tells keys apart, and helps nobody to guess one
_DONE: Final = {"revoked": "The key is revoked. It opens nothing any more."}


class _FileKey(NamedTuple):
    """A key of the configuration file: which of its kind, from 1, and how its SHA-256 begins."""

    kind: KeyKind
    place: int
    digest: str
    commands: tuple[str, ...] | None


async def _show(asked: Asked) -> Response:
    return await _page(asked)


async def _create(asked: Asked) -> Response:
    kind = _KINDS.get(asked.field("kind"))
    if kind is None:
        return await _page(asked, wrong="Please choose what the key is for.", status=422)
    name = asked.field("name").strip()
    chosen = [command for command in asked.several.get("commands", ()) if command in COMMANDS]
    if kind == "integration" and not chosen:
        # An empty list would be a key for nothing, and none at all a key for everything.
        return await _page(asked, wrong="Please choose at least one command.", status=422)
    commands = chosen if kind == "integration" and len(chosen) < len(COMMANDS) else None
    try:
        made = await create_key(asked.tenant, asked.portal.settings.secrets, kind, name, commands)
    except DecodeError as error:
        if error.code is not Code.NAME_INVALID:
            raise
        return await _page(asked, wrong="Please choose a name of 1 to 64 visible characters.", status=422)
    except LimitReached:
        return await _page(asked, wrong=_TWO, status=409)
    return _made(asked, made)


async def _rotate(asked: Asked) -> Response:
    try:
        made = await rotate_key(asked.tenant, asked.portal.settings.secrets, _key_id(asked))
    except LimitReached:
        return await _page(asked, wrong=_TWO, status=409)
    return _made(asked, made, is_successor=True)


async def _revoke(asked: Asked) -> Response:
    await revoke_key(asked.tenant, _key_id(asked))
    return asked.to("keys", done="revoked")


ROWS: Final = (
    Row("GET", "/tenants/{tenant_id}/keys", _show),
    Row("POST", "/tenants/{tenant_id}/keys", _create),
    Row("POST", "/tenants/{tenant_id}/keys/rotate", _rotate),
    Row("POST", "/tenants/{tenant_id}/keys/revoke", _revoke),
)
"""The page, and its forms."""

_TWO: Final = "Two keys of this kind and name are in use already. Please revoke one of them first."


def _key_id(asked: Asked) -> str:
    key_id = asked.field("id")
    if not _KEY_ID.fullmatch(key_id):
        raise HTTPException(404, "There is no such key.")
    return key_id


def _made(asked: Asked, made: NewKey, *, is_successor: bool = False) -> Response:
    # Not after a redirect: the key would have to be kept somewhere until then.
    return asked.page("new-key.html", tab="keys", key=made.key, text=made.text, is_successor=is_successor)


def _of_file(settings: TenantSettings) -> list[_FileKey]:
    keys: list[tuple[KeyKind, list[tuple[bytes, tuple[str, ...] | None]]]] = [
        ("api", [(key, None) for key in settings.api_keys]),
        ("integration", [(each.key, each.commands) for each in settings.integration_keys]),
    ]
    return [
        _FileKey(kind, place, sha256(key).hexdigest()[:_DIGITS], commands)
        for kind, listed in keys
        for place, (key, commands) in enumerate(listed, 1)
    ]


async def _page(asked: Asked, *, wrong: str = "", status: int = 200) -> Response:
    tenant = asked.tenant
    stored = await tenant.repository.list_server_keys(tenant.tenant_id)
    present = asked.portal.settings.secrets[:1]
    return asked.page(
        "keys.html",
        status=status,
        tab="keys",
        live=[(key, text_of(present, key) is None) for key in reversed(stored) if key.revoked_at is None],
        revoked=[key for key in reversed(stored) if key.revoked_at is not None],
        of_file=_of_file(tenant.settings),
        commands=tuple(COMMANDS),
        form={"kind": asked.form.get("kind", "api"), "name": asked.form.get("name", "")},
        chosen=asked.several.get("commands", ()),
        wrong=wrong,
        done=_DONE.get(asked.query.get("done", ""), ""),
    )
