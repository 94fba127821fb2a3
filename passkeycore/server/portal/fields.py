"""The fields of the settings form: each is a key that an operator may change, as a text that people can edit.

What is empty, or as the file says, is no change. A list that the file gives and the operator empties is one, and so is
a text of the file that the operator switches off, where its key may be without one.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ...config.server_keys import CAN_BE_NONE, leads_out
from ...errors import ConfigurationError
from . import rules_text

RULES: Final = "rules"
"""The field of all rules, which fills `rules_text.KEYS`."""

_FAULT: Final = re.compile(r"[^:]*:(?P<line>[0-9]+): (?P<rest>.*)", re.DOTALL)
_INDEX: Final = re.compile(r"\[([0-9]+)\]")
_FINGERPRINT: Final = re.compile(r"[0-9A-Fa-f: ]{32,}")  # also one that is spelt in a way that does not go
_OF_FILE: Final = re.compile(r"origins(?:\[[0-9]+\])?: ")  # as the file has it that is made of related origins
_LABELS: Final = "more than 5 labels"
_NAMES: Final = (
    f"related origins are of {_LABELS}, the names before .com, .co.uk and the like: remove some, as browsers look at "
    "five at most"
)
_LONGEST_NUMBER: Final = 9


class Field(NamedTuple):
    """One field.

    Attributes:
        key: Of the tenant's table.
        label, hint: For people.
        kind: One of `_KINDS`.
        choices: Of a choice: value and label.
    """

    key: str
    label: str
    hint: str = ""
    kind: str = "text"
    choices: tuple[tuple[str, str], ...] = ()


class Group(NamedTuple):
    """Fields under one heading."""

    title: str
    fields: tuple[Field, ...]


GROUPS: Final = (
    Group(
        "Site",
        (
            Field("name", "Name", "What users know the site by."),
            Field("hostname", "Hostname", "Where passkeys are used, such as shop.example.com."),
            Field(
                "rp_id",
                "RP ID",
                "What passkeys are bound to, for ever: with another one, all that exist are lost. By default the "
                "hostname.",
            ),
            Field(
                "origins",
                "Origins",
                "Pages that may use the passkeys, one on each line. By default https:// and the hostname.",
                "lines",
            ),
            Field(
                "related_origins", "Related origins", "Of other domains, one on each line; at most five names.", "lines"
            ),
            Field("max_passkeys_per_user", "Passkeys of one user", "1 to 10.", "number"),
        ),
    ),
    Group(
        "Apps",
        (
            Field(
                "android_apps",
                "Android apps",
                "The package name on a line, and on the lines below it the SHA-256 fingerprints of its certificates.",
                "apps",
            ),
            Field("ios_apps", "iOS apps", "App IDs such as ABCDE12345.com.example.shop, one on each line.", "lines"),
        ),
    ),
    Group(
        "Hosted pages",
        (
            Field(
                "redirect_urls",
                "Where users are sent back to",
                "Web origins, and schemes of apps with their colon, one on each line.",
                "lines",
            ),
            Field("frame_origins", "Pages that may frame ours", "Web origins, one on each line.", "lines"),
            Field(
                "cors_origins",
                "Pages that may call the API",
                "Web origins, one on each line, besides the origins above.",
                "lines",
            ),
            Field(
                "number_matching",
                "Number matching",
                "Whether a phone that approves asks for the number on the page.",
                "truth",
                (("true", "On"), ("false", "Off")),
            ),
        ),
    ),
    Group(
        "Clients",
        (
            Field(
                "default_action",
                "Usual action",
                "The word under which an action begins whose client names none. By default sign-in.",
            ),
            Field(
                "challenge_unenrolled",
                "Challenges of users who have nothing",
                "What servers that moved here from Authsignal are told. There it is ALLOW.",
                "truth",
                (("true", "CHALLENGE_REQUIRED"), ("false", "ALLOW")),
            ),
        ),
    ),
    Group(
        "Webhooks",
        (
            Field(
                "webhook_url",
                "Webhook URL",
                "Where events are sent: https, and a host on the Internet, no local name and no private address.",
            ),
            Field(
                "webhook_format",
                "Format",
                "",
                "choice",
                (("standard", "Standard Webhooks"), ("authsignal", "As Authsignal does")),
            ),
        ),
    ),
)
"""All but the rules, which are a text of their own."""

FIELDS: Final = tuple(field for group in GROUPS for field in group.fields)


class _Kind(NamedTuple):
    show: Callable[[Any], str]
    read: Callable[[str], Any]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _show_apps(apps: list[Mapping[str, Any]]) -> str:
    return "\n".join("\n".join([app["package_name"], *app["sha256_fingerprints"]]) for app in apps)


def _read_apps(text: str) -> list[dict[str, Any]]:
    apps: list[dict[str, Any]] = []
    for line in _lines(text):
        if _FINGERPRINT.fullmatch(line) and apps:
            apps[-1]["sha256_fingerprints"].append(line)
        else:
            apps.append({"package_name": line, "sha256_fingerprints": []})
    return apps


def _read_number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else text


def _show_truth(value: object) -> str:
    return "true" if value else "false"


def _read_truth(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)


_KINDS: Final[Mapping[str, _Kind]] = {
    "text": _Kind(str, str),
    "choice": _Kind(str, str),
    "lines": _Kind("\n".join, _lines),
    "apps": _Kind(_show_apps, _read_apps),
    "number": _Kind(str, _read_number),
    "truth": _Kind(_show_truth, _read_truth),
}


def texts_of(values: Mapping[str, Any]) -> dict[str, str]:
    """The fields for a tenant's keys, JSON-ready; empty: the key is not given."""
    given = {field.key: field.kind for field in FIELDS if values.get(field.key) is not None}
    texts = {key: _KINDS[kind].show(values[key]) for key, kind in given.items()}
    return {field.key: texts.get(field.key, "") for field in FIELDS} | {RULES: rules_text.rules_text(values)}


class Wrong(NamedTuple):
    """What is wrong with a form.

    Attributes:
        field: Where; empty: nowhere in particular.
        message: In words.
        line: Of the rules, from 1; 0: it is not about them.
    """

    field: str
    message: str
    line: int = 0


def changes_of(
    form: Mapping[str, str], of_file: Mapping[str, Any], none: Collection[str] = ()
) -> tuple[dict[str, Any], list[Wrong]]:
    """What a form changes of what the file says, JSON-ready, and what is wrong with it that the portal alone judges.

    Whether the other values go is judged by the configuration. Rules that are wrong are left out.

    Args:
        form: Fields by their keys.
        of_file: The keys of the file.
        none: Keys that are switched off, whatever the file says.
    """
    given: dict[str, Any] = {}
    wrong: list[Wrong] = []
    for field in FIELDS:
        text = form[field.key].strip()
        if field.key in none and field.key in CAN_BE_NONE:
            if text:
                wrong.append(Wrong(field.key, "either a value, or none"))
            elif field.key in of_file:
                given[field.key] = None
        elif text:
            given[field.key] = _KINDS[field.kind].read(text)
        elif isinstance(of_file.get(field.key), list):
            given[field.key] = []
    wrong += _wrong_apps(given.get("android_apps", ()))
    try:
        rules = rules_text.read_rules(form[RULES])
    except ConfigurationError as error:
        wrong.append(wrong_of(error))
    else:
        emptied: dict[str, Any] = {key: {} for key in ("default", "actions") if key in of_file}
        given |= emptied | rules
    changes = {key: value for key, value in given.items() if key not in of_file or value != of_file[key]}
    webhook_url = changes.get("webhook_url")
    # Who looks after the portal does not look after the server's network; who writes the file does.
    if webhook_url is not None and not leads_out(webhook_url):
        wrong.append(Wrong("webhook_url", "https, and a host on the Internet: no local name, no private address"))
    return changes, wrong


def _wrong_apps(apps: Sequence[Mapping[str, Any]]) -> list[Wrong]:
    """What is wrong with what stands on which line, which the configuration knows nothing of; at most one."""
    for place, app in enumerate(apps, 1):
        if not app["sha256_fingerprints"]:
            name = app["package_name"]
            words = (
                "the package name of the Android app has to stand on the line above this fingerprint"
                if _FINGERPRINT.fullmatch(name)
                else "no SHA-256 fingerprint of the Android app's certificate stands on the line below the package name"
            )
            return [Wrong("android_apps", f"entry {place}: {words}")]
        for number, fingerprint in enumerate(app["sha256_fingerprints"], 1):
            if " " in fingerprint:
                words = "the fingerprint of the Android app is spelt with spaces: write colons, or nothing, instead"
                return [Wrong("android_apps", f"entry {place}, fingerprint {number}: {words}")]
    return []


def wrong_of(error: ConfigurationError) -> Wrong:
    """An error of the configuration, at its field."""
    found, path = _FAULT.fullmatch(error.message), error.path or ""
    reason = (error.message if found is None else found["rest"]).removeprefix(f"{path}: ")
    key = re.split(r"[.\[]", path, maxsplit=1)[0]
    if key in rules_text.KEYS or error.message.startswith(f"{rules_text.NAME}:"):
        line = int(found["line"]) if found is not None and error.message.startswith(f"{rules_text.NAME}:") else 0
        place = [f"line {line}"] if line else []
        return Wrong(RULES, ": ".join([*place, *([path] if path else []), reason]), line)
    if key == "related_origins":
        reason = _NAMES if _LABELS in reason else _OF_FILE.sub("", reason, count=1)
    indexes = zip(("entry", "fingerprint"), _INDEX.findall(path), strict=False)
    place = [", ".join(f"{word} {int(index) + 1}" for word, index in indexes)]
    return Wrong(key if key in _KEYS else "", ": ".join([*filter(None, place), reason]))


_KEYS: Final = frozenset(field.key for field in FIELDS)
