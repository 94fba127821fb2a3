"""Rules of actions from a file, TOML or JSON with comments.

    # rules.toml
    failure_window_s = 3600

    [actions.transfer]
    default = "ALLOW"
    allowed_methods = ["passkey", "push"]

    [[actions.transfer.rules]]
    id = "large"
    outcome = "CHALLENGE"
    when = { custom = { amount = { at_least = 1000 } } }

    [[actions.transfer.rules]]
    id = "night"
    outcome = "REVIEW"
    when = { time_of_day = { zone = "Europe/Berlin", start = "22:00", end = "06:00" }, device_known = false }

Names and meanings are those of `ActionRules`, `ActionSettings`, `Rule`, `Condition`, `DataPoint` and `TimeOfDay`;
``[default]`` is for actions that are not listed. What values are good is theirs to say. Here it is only known how they
are written, and on which line.
"""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import time
from typing import Any, Final, TypeAlias

import msgspec

from ..actions import ActionRules, ActionSettings, Condition, DataPoint, Outcome, Rule, TimeOfDay
from ..actions.checks import Fault
from ..actions.evaluating import compile_rules
from .checks import Check, Key, by_name, read_table, table
from .files import Format, read_file, read_text
from .source import Node

_TIME: Final = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_NOTHING: Final = ActionRules()

_Read: TypeAlias = Callable[[Node], Any]


def load_rules(path: str | os.PathLike[str]) -> ActionRules:
    """The rules in a file: TOML in ``.toml``, JSON with comments in ``.json`` and ``.jsonc``.

    Raises:
        ConfigurationError: The file cannot be read, has another suffix, is larger than 256 KiB or not UTF-8; and as
            `parse_rules`.
    """
    text, form = read_file(path)
    return parse_rules(text, name=os.fspath(path), format=form)


def parse_rules(text: str, *, name: str, format: Format) -> ActionRules:
    """The rules that a text says.

    Args:
        text: At most 256 KiB in UTF-8. A byte order mark does not count.
        name: Of the file, for messages.
        format: ``jsonc``, which plain JSON is, too, or ``toml``.

    Raises:
        ConfigurationError: A syntax error, a key that is unknown, missing or given twice, or a value that `ActionRules`
            does not take. Its message names file, line, key and rule; `path` is the key, such as
            ``actions.transfer.rules[0].when.ip_address_in[1]``; None where no key is at fault.
    """
    root = read_text(text, name=name, format=format)
    return make_rules(root.child, read_table(root, RULE_KEYS))


def make_rules(place: Callable[[str], Node], given: Mapping[str, Any]) -> ActionRules:
    """The rules that `RULE_KEYS` were read as; other members of `given` are left alone.

    Args:
        place: Where a key stands, for errors.
        given: What a table gave.

    Raises:
        ConfigurationError: A value that `ActionRules` does not take.
    """
    fields: dict[str, Any] = {key: given.get(key, getattr(_NOTHING, key)) for key in RULE_KEYS}
    try:
        compile_rules(**fields)
    except Fault as fault:
        key, *within = fault.place
        node = place(str(key))
        raise Node(node.source, (*node.path, *within), None).fault(fault.message) from None
    return ActionRules(**fields)


def _as_written(node: Node) -> Any:
    """What stands there, lists as tuples. Whether it is good is for `ActionRules` to say."""
    if node.value is None:  # which `ActionRules` would take for a key that is left out
        raise node.fault("null is no value")
    elements = node.elements()
    return node.value if elements is None else tuple(map(_as_written, elements))


def _time(node: Node) -> Any:
    """A time of day: TOML's own, or a text as JSON needs it."""
    if isinstance(node.value, str) and _TIME.fullmatch(node.value):
        with suppress(ValueError):
            return time.fromisoformat(node.value)
    return _as_written(node)


def _outcome(node: Node) -> Any:
    value = _as_written(node)
    return Outcome(value) if isinstance(value, str) and value in {*Outcome} else value


def _list_of(check: Check) -> _Read:
    def read(node: Node) -> Any:
        elements = node.elements()
        return _as_written(node) if elements is None else tuple(map(check.read, elements))

    return read


def _by_name(check: Check) -> _Read:
    return lambda node: {name: check.read(member) for name, member in node.members().items()}


def _table(kind: type[msgspec.Struct], **read: _Read) -> Check:
    """A table with the members of `kind`, each as it is written unless `read` says how to read it."""
    keys = by_name(
        *(
            Key(field.name, Check("it has no default", read.get(field.name, _as_written)), "", required=field.required)
            for field in msgspec.structs.fields(kind)
        )
    )
    return table(keys, lambda fields: kind(**fields))


def _inner(node: Node) -> Any:
    return _CONDITION.read(node)


_CONDITIONS: Final = _list_of(Check("", _inner))
_CONDITION: Final = _table(
    Condition,
    custom=_by_name(_table(DataPoint)),
    time_of_day=_table(TimeOfDay, start=_time, end=_time).read,
    any_of=_CONDITIONS,
    none_of=_CONDITIONS,
)
_RULE: Final = _table(Rule, outcome=_outcome, when=_CONDITION.read)
_SETTINGS: Final = _table(ActionSettings, default=_outcome, not_enrolled=_outcome, rules=_list_of(_RULE))
RULE_KEYS: Final = by_name(
    Key("failure_window_s", Check("", _as_written), "For how long a failed challenge is a recent failure."),
    Key("default", _SETTINGS, "How actions are decided that are not listed."),
    Key("actions", Check("", _by_name(_SETTINGS)), "How each action is decided, by its name."),
)
"""The keys of rules, which may stand in a table beside others."""
