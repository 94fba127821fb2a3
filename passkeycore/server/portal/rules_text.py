"""Rules of actions as the operator writes them: TOML made of stored values, and values read from TOML.

Stored are values alone, so that comments of a text do not survive; the form says so.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from ...config.files import read_text
from ...config.rules import RULE_KEYS, parse_rules

KEYS: Final = tuple(RULE_KEYS)
"""Of a tenant's table, those that the text has."""

NAME: Final = "rules"
"""What errors call the text."""

_BARE: Final = re.compile("[A-Za-z0-9_-]+")


def rules_text(values: Mapping[str, Any]) -> str:
    """The rules among a tenant's keys, JSON-ready, as TOML; empty: there are none."""
    lines: list[str] = []
    if "failure_window_s" in values:
        lines += [f"failure_window_s = {_inline(values['failure_window_s'])}", ""]
    if "default" in values:
        lines += _settings("default", values["default"])
    for name, settings in values.get("actions", {}).items():
        lines += _settings(f"actions.{_key(name)}", settings)
    return "\n".join(lines).strip()


def read_rules(text: str) -> dict[str, Any]:
    """The keys that a text gives, JSON-ready.

    Raises:
        ConfigurationError: See `passkeycore.config.parse_rules`; its message begins with ``rules:<line>:``.
    """
    parse_rules(text, name=NAME, format="toml")
    return {key: node.as_json() for key, node in read_text(text, name=NAME, format="toml").members().items()}


def _settings(header: str, settings: Mapping[str, Any]) -> list[str]:
    lines = [f"[{header}]"]
    lines += [f"{_key(name)} = {_inline(value)}" for name, value in settings.items() if name != "rules"]
    for rule in settings.get("rules", ()):
        lines += ["", f"[[{header}.rules]]", *(f"{_key(name)} = {_inline(value)}" for name, value in rule.items())]
    return [*lines, ""]


def _inline(value: object) -> str:
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        inner = ", ".join(f"{_key(name)} = {_inline(member)}" for name, member in members.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, cast('list[object]', value)))}]"
    # As JSON writes it, except that TOML takes neither DEL as it is nor the halves of a character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _inline(name)
