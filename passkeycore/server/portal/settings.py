"""The page of a tenant's settings: what is edited, what is wrong with it, and what follows from it.

Stored is only what differs from the file. Whoever saves says which revision they have seen: when somebody else was
first, nothing is stored, and the page shows what they changed.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from ...config import Config
from ...config.server import TenantSettings, TenantTable, tenant_settings, tenant_values
from ...config.well_known import well_known_files
from ...errors import ConfigurationError, ConflictError
from .fields import FIELDS, GROUPS, RULES, Wrong, changes_of, texts_of, wrong_of
from .serving import Asked, Row

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
    done = "saved" if asked.query.get("done") == "saved" else ""
    return _page(asked, texts_of(shown), revision, settings, shown, wrong=wrong, done=done)


async def _save(asked: Asked) -> Response:
    table, texts = _table(asked), {field: _as_written(asked.form.get(field, "")) for field in _ALL}
    text = asked.form.get("revision", "")
    seen = int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_REVISION else 0
    changes, wrong = changes_of(texts, tenant_values(table))
    try:
        # Judged before it is stored: who asks for such a file must not meet the mistake.
        well_known_files(tenant_settings(table, json.dumps(changes).encode(), revision=seen + 1).config)
        if not wrong:
            await asked.portal.tenants.change(asked.tenant.tenant_id, changes, revision=seen)
            return asked.to("settings", done="saved")
    except ConfigurationError as error:
        wrong.insert(0, wrong_of(error))
    except ConflictError:
        stored, revision = await _stored(asked)
        shown = _merged(table, stored)
        theirs = {field: text for field, text in texts_of(shown).items() if _plain(text) != _plain(texts[field])}
        return _page(asked, texts, revision, asked.tenant.settings, shown, theirs=theirs, status=409)
    stored, _ = await _stored(asked)
    shown = _merged(table, stored)
    return _page(asked, texts, seen, asked.tenant.settings, shown, wrong=wrong, rules=texts[RULES], status=422)


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
    return tenant_values(table, values)


def _page(
    asked: Asked,
    texts: Mapping[str, str],
    revision: int,
    settings: TenantSettings,
    shown: Mapping[str, Any],
    *,
    wrong: list[Wrong] | None = None,
    theirs: Mapping[str, str] | None = None,
    rules: str = "",
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
        wrong: What keeps the form from being stored.
        theirs: What somebody else has stored meanwhile, by fields.
        rules: The text in which `wrong` names a line.
        done: What has just been done.
        status: Of the answer.
    """
    of_file = texts_of(tenant_values(_table(asked)))
    in_force = texts_of(shown)
    return asked.page(
        "settings.html",
        status=status,
        tab="settings",
        groups=GROUPS,
        texts=texts,
        revision=revision,
        changed={field: of_file[field] for field in _ALL if in_force[field] != of_file[field]},
        labels=_LABELS,
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
    try:
        return [(f"https://{config.rp_id}{path}", file[1].decode()) for path, file in well_known_files(config).items()]
    except ConfigurationError:  # of a file that was edited; `passkeycore serve` says so
        return []


def _plain(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]
