"""What a change of a tenant's settings is: which keys differ, and what its event tells of their values."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, cast

from ...config.server import TenantTable, tenant_values
from ...errors import ConfigurationError

# A list of what may be told, so that nothing is because somebody forgot it. Not among them: `webhook_url`, in whose
# path and query others put passwords.
_TOLD: Final = (
    *("hostname", "rp_id", "name", "origins", "related_origins", "android_apps", "ios_apps", "max_passkeys_per_user"),
    *("redirect_urls", "frame_origins", "cors_origins", "webhook_format", "number_matching", "default_action"),
    *("challenge_unenrolled", "default", "actions", "failure_window_s"),
)
_LONGEST_TOLD: Final = 300  # characters of a value in an event
_TOLD_BEFORE: Final = 40  # characters of them before the first that differs
_NOT_GIVEN: Final = "-"  # which is no JSON


def difference(stored: bytes | None, values: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The keys whose change these values change, those that are taken back last; None: nobody can tell."""
    try:
        before: object = json.loads(stored or b"{}")
    except ValueError:
        return None
    if not isinstance(before, dict):
        return None
    known = cast("dict[str, Any]", before)
    changed = [key for key, value in values.items() if key not in known or known[key] != value]
    return (*changed, *(key for key in known if key not in values))


def told_values(table: TenantTable, stored: bytes | None, values: bytes, changed: Collection[str]) -> dict[str, str]:
    """The old and new values of these keys, as an event tells them; only the new ones where nobody can read the old."""
    new = tenant_values(table, values)
    told: dict[str, str] = {}
    try:
        old = tenant_values(table, stored)
    except ConfigurationError:
        return {f"new_{key}": _cut(_as_told(new, key), 0) for key in _TOLD if key in changed}
    for key in _TOLD:
        if key in changed:
            texts = _as_told(old, key), _as_told(new, key)
            same = next((place for place, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), None)
            begin = max((min(map(len, texts)) if same is None else same) - _TOLD_BEFORE, 0)
            told |= {f"old_{key}": _cut(texts[0], begin), f"new_{key}": _cut(texts[1], begin)}
    return told


def _as_told(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return _NOT_GIVEN
    # Halves of characters, which JSON can hold, are none that a store takes.
    return json.dumps(values[key], ensure_ascii=False).encode(errors="replace").decode()


def _cut(text: str, begin: int) -> str:
    """The text, or what of it begins there, with a mark for each part that is left out."""
    if len(text) <= _LONGEST_TOLD:
        return text
    begin = min(begin, len(text) - _LONGEST_TOLD)
    end = begin + _LONGEST_TOLD
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"
