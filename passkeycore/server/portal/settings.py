"""The page of a tenant's settings: what is edited, what is wrong with it, and what follows from it.

Stored is only what differs from the file. Whoever saves says which revision they have seen: when somebody else was
first, nothing is stored, and the page shows what they changed. What would make the passkeys of users useless has to be
said twice.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...config import Config
from ...config.server import CAN_BE_NONE, TenantSettings, TenantTable, tenant_settings, tenant_values
from ...config.well_known import well_known_files
from ...errors import ConfigurationError, ConflictError
from .fields import FIELDS, GROUPS, RULES, Wrong, changes_of, texts_of, wrong_of
from .serving import Asked, Row

_DONE: Final[Mapping[str, str]] = {
    "saved": "The settings are saved, and in force.",
    "same": "Nothing was changed, and nothing is saved.",
}
_AROUND: Final = 1  # lines of the rules that are shown before and after a wrong one
_LONGEST_REVISION: Final = 9


async def _show(asked: Asked) -> Response:
    values, revision = await _stored(asked)
    table = _table(asked)
    shown = _merged(table, values)
    wrong: list[Wrong] = []
    try:
        settings = tenant_settings(table, values, revision=revision)
    except ConfigurationError as error:  # somebody has edited the file since
        settings, wrong = asked.tenant.settings, [wrong_of(error)]
    none = [key for key in CAN_BE_NONE if key in shown and shown[key] is None]
    return _page(
        asked,
        texts_of(shown),
        revision,
        settings,
        shown,
        none=none,
        wrong=wrong,
        done=_DONE.get(asked.query.get("done", ""), ""),
    )


async def _save(asked: Asked) -> Response:
    table, texts = _table(asked), {field: _as_written(asked.field(field)) for field in _ALL}
    seen, none = _revision(asked), asked.several.get("none", ())
    changes, wrong = changes_of(texts, tenant_values(table), none)
    new_rp_id = ""
    try:
        rp_id = tenant_settings(table, json.dumps(changes).encode(), revision=seen + 1).config.rp_id
        if await _needs_confirmation(asked, rp_id):
            new_rp_id = rp_id
            wrong.append(Wrong("rp_id", f"all passkeys are lost that are not of {rp_id}: confirm that below"))
        if not wrong:
            context = asked.tenant.passkeys.context
            tenant = await asked.portal.tenants.change(asked.tenant.tenant_id, changes, revision=seen, context=context)
            return asked.to("settings", done="same" if tenant.settings.revision == seen else "saved")
    except ConfigurationError as error:
        wrong.insert(0, wrong_of(error))
    except ConflictError:
        stored, revision = await _stored(asked)
        shown = _merged(table, stored)
        theirs = {field: text for field, text in texts_of(shown).items() if _plain(text) != _plain(texts[field])}
        return _page(asked, texts, revision, asked.tenant.settings, shown, none=none, theirs=theirs, status=409)
    stored, _ = await _stored(asked)
    shown = _merged(table, stored)
    return _page(
        asked,
        texts,
        seen,
        asked.tenant.settings,
        shown,
        none=none,
        wrong=wrong,
        rules=texts[RULES],
        new_rp_id=new_rp_id,
        status=422,
    )


ROWS: Final = (
    Row("GET", "/tenants/{tenant_id}/settings", _show),
    Row("POST", "/tenants/{tenant_id}/settings", _save),
)
"""The page, and its form."""

_ALL: Final = (*(field.key for field in FIELDS), RULES)
_LABELS: Final[Mapping[str, str]] = {**{field.key: field.label for field in FIELDS}, RULES: "Rules"}


def _table(asked: Asked) -> TenantTable:
    return asked.portal.settings.tenants[asked.tenant.tenant_id]


async def _stored(asked: Asked) -> tuple[bytes | None, int]:
    found = await asked.portal.tenants.changes_of(asked.tenant.tenant_id)
    return (None, 0) if found is None else (found.values, found.revision)


def _as_written(text: str) -> str:
    # Forms end lines in their own way; no other character ends one, as TOML has it.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _merged(table: TenantTable, values: bytes | None) -> dict[str, Any]:
    try:
        return tenant_values(table, values)
    except ConfigurationError:  # what is stored is not even JSON; the page says so, and saving it replaces that
        return tenant_values(table)


def _revision(asked: Asked) -> int:
    text = asked.field("revision")
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_REVISION):
        raise HTTPException(400, "The form cannot be read.")
    return int(text)


async def _needs_confirmation(asked: Asked, rp_id: str) -> bool:
    """Whether there are users whose passkeys and devices another RP ID would make useless, and nobody said so yet."""
    tenant = asked.tenant
    if tenant.settings.config.rp_id == rp_id or asked.form.get("confirm_rp_id", "").strip() == rp_id:
        return False
    return bool((await tenant.repository.list_users(tenant.tenant_id, "", None, 1)).users)


def _page(
    asked: Asked,
    texts: Mapping[str, str],
    revision: int,
    settings: TenantSettings,
    shown: Mapping[str, Any],
    *,
    none: Collection[str] = (),
    wrong: list[Wrong] | None = None,
    theirs: Mapping[str, str] | None = None,
    rules: str = "",
    new_rp_id: str = "",
    done: str = "",
    status: int = 200,
) -> Response:
    """The page.

    Args:
        asked: For whom.
        texts: What stands in the fields.
        revision: Of the changes that they begin with.
        settings: From which the rest of the page follows: as they are in force.
        shown: The keys of these.
        none: Keys that are switched off.
        wrong: What keeps the form from being stored.
        theirs: What somebody else has stored meanwhile, by fields.
        rules: The text in which `wrong` names a line.
        new_rp_id: What has to be confirmed; empty: nothing.
        done: What has just been done.
        status: Of the answer.
    """
    given = tenant_values(_table(asked))
    of_file, in_force = texts_of(given), texts_of(shown)
    return asked.page(
        "settings.html",
        status=status,
        tab="settings",
        groups=GROUPS,
        texts=texts,
        revision=revision,
        changed={field: of_file[field] for field in _ALL if in_force[field] != of_file[field]},
        labels=_LABELS,
        can_be_none=[key for key in CAN_BE_NONE if key in given],
        switched_off=none,
        new_rp_id=new_rp_id,
        wrong={one.field: one.message for one in wrong or ()},
        excerpt=[line for one in wrong or () if one.line for line in _excerpt(rules, one.line)],
        theirs=theirs or {},
        origins=settings.config.origins,
        certificates=_certificates(settings.config),
        files=_files(settings.config),
        done=done,
    )


def _excerpt(text: str, line: int) -> list[tuple[int, str, bool]]:
    """The lines around one: number, text, and whether it is the one."""
    numbered = list(enumerate(text.split("\n"), 1))
    return [(number, one, number == line) for number, one in numbered[max(line - 1 - _AROUND, 0) : line + _AROUND]]


def _certificates(config: Config) -> list[tuple[str, str, str]]:
    """Package, fingerprint, and the origin that it becomes."""
    return [
        (app.package_name, fingerprint, origin)
        for app in config.android_apps
        for fingerprint, origin in zip(app.sha256_fingerprints, app.origins(), strict=True)
    ]


def _files(config: Config) -> list[tuple[str, str]]:
    return [(f"https://{config.rp_id}{path}", file[1].decode()) for path, file in well_known_files(config).items()]


def _plain(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]
