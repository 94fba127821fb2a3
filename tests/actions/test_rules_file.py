"""Files of rules: what they say, and that whatever is wrong names its file, line, rule and key."""

import json
from datetime import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from passkeycore import ConfigurationError
from passkeycore.actions import ActionRules, ActionSettings, Condition, DataPoint, Outcome, Rule, TimeOfDay
from passkeycore.config import Format, load_rules, parse_rules

TOML = """\
failure_window_s = 600 # ten minutes

[default]
default = "BLOCK"

[actions.transfer]
default = "ALLOW"
allowed_methods = ["passkey", "push"]
not_enrolled = "REVIEW"

[[actions.transfer.rules]]
id = "large"
outcome = "CHALLENGE"
description = "More than usual"
allowed_methods = ["passkey"]
when = { custom = { amount = { at_least = 1000, less_than = 1e6 }, country = { one_of = ["DE", "AT"] } } }

[[actions.transfer.rules]]
id = "night"
outcome = "REVIEW"

[actions.transfer.rules.when]
device_known = false
ip_address_not_in = [
  "192.0.2.0/24",
  "2001:db8::/32",
]
time_of_day = { zone = "Europe/Berlin", start = 22:30:00, end = "06:00", weekdays = ["friday"] }
any_of = [{ recent_failures_at_least = 2 }, { none_of = [{ present = ["user_agent"] }] }]

[actions.sign-in]
"""

JSONC = """\
{
  "failure_window_s": 600, // ten minutes
  "default": { "default": "BLOCK" },
  "actions": {
    "transfer": {
      "default": "ALLOW", "allowed_methods": ["passkey", "push"], "not_enrolled": "REVIEW",
      "rules": [
        {
          "id": "large",
          "outcome": "CHALLENGE",
          "description": "More than usual",
          "allowed_methods": ["passkey"],
          "when": { "custom": {
            "amount": { "at_least": 1000, "less_than": 1e6 },
            "country": { "one_of": ["DE", "AT"] },
          } },
        },
        {
          "id": "night",
          "outcome": "REVIEW",
          "when": {
            "device_known": false,
            "ip_address_not_in": ["192.0.2.0/24", "2001:db8::/32"],
            "time_of_day": { "zone": "Europe/Berlin", "start": "22:30", "end": "06:00:00", "weekdays": ["friday"] },
            "any_of": [{ "recent_failures_at_least": 2 }, { "none_of": [{ "present": ["user_agent"] }] }],
          },
        },
      ],
    },
    "sign-in": {},
  },
}
"""

SAID = ActionRules(
    failure_window_s=600,
    default=ActionSettings(default=Outcome.BLOCK),
    actions={
        "transfer": ActionSettings(
            default=Outcome.ALLOW,
            allowed_methods=("passkey", "push"),
            not_enrolled=Outcome.REVIEW,
            rules=(
                Rule(
                    id="large",
                    outcome=Outcome.CHALLENGE,
                    description="More than usual",
                    allowed_methods=("passkey",),
                    when=Condition(
                        custom={
                            "amount": DataPoint(at_least=1000, less_than=1e6),
                            "country": DataPoint(one_of=("DE", "AT")),
                        }
                    ),
                ),
                Rule(
                    id="night",
                    outcome=Outcome.REVIEW,
                    when=Condition(
                        device_known=False,
                        ip_address_not_in=("192.0.2.0/24", "2001:db8::/32"),
                        time_of_day=TimeOfDay(
                            zone="Europe/Berlin", start=time(22, 30), end=time(6), weekdays=("friday",)
                        ),
                        any_of=(
                            Condition(recent_failures_at_least=2),
                            Condition(none_of=(Condition(present=("user_agent",)),)),
                        ),
                    ),
                ),
            ),
        ),
        "sign-in": ActionSettings(),
    },
)


def said(text: str, form: Format = "toml") -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_rules(text, name="f", format=form)
    return str(caught.value)


@pytest.mark.parametrize(("text", "form"), [(TOML, "toml"), (JSONC, "jsonc")])
def test_both_languages_say_the_same(text: str, form: Format) -> None:
    assert parse_rules(text, name="f", format=form) == SAID


@pytest.mark.parametrize(("text", "form"), [("", "toml"), ("{}", "jsonc")])
def test_without_rules_everything_is_challenged(text: str, form: Format) -> None:
    assert parse_rules(text, name="f", format=form) == ActionRules()


def test_what_is_written_down_says_everything_and_is_read_again() -> None:
    written = SAID.to_dict()
    assert parse_rules(json.dumps(written), name="f", format="jsonc") == SAID
    assert written["actions"]["sign-in"] == {
        "default": "CHALLENGE",
        "allowed_methods": ["passkey", "push", "in-app", "qr-code"],
        "not_enrolled": "CHALLENGE",
        "rules": [],
    }
    assert "null" not in json.dumps(written)


def test_a_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    for suffix, text in ((".toml", TOML), (".json", JSONC), (".jsonc", JSONC)):
        path = tmp_path / f"rules{suffix}"
        path.write_text(text, "utf-8")
        assert load_rules(path) == SAID


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for name, reason in (("rules.toml", "cannot be read"), ("rules.yaml", "the suffix has to be one of")):
        with pytest.raises(ConfigurationError, match=reason):
            load_rules(tmp_path / name)
    (tmp_path / "rules.toml").write_bytes(b"# \xff")
    with pytest.raises(ConfigurationError, match=r"rules\.toml:1: not UTF-8"):
        load_rules(tmp_path / "rules.toml")


FIRST, SECOND = "actions.transfer.rules[0]", "actions.transfer.rules[1]"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("failure_window_s = 600", "failure_window_s = 0", "f:1: failure_window_s: a whole number from 1 to 31536000"),
        ("failure_window_s", "failure_windows", "f:1: failure_windows: unknown key; did you mean failure_window_s?"),
        ('"BLOCK"', '"DENY"', "f:4: default.default: one of ALLOW, BLOCK, CHALLENGE, REVIEW"),
        ("[actions.sign-in]", '[actions."sign in"]', "f:31: actions.'sign in': an action's name has 1 to 64 of "),
        ("[actions.sign-in]", "[[actions.sign-in]]", "f:31: actions.sign-in: a table of keys and values"),
        ('"push"]', '"sms"]', "f:8: actions.transfer.allowed_methods[1]: one of passkey, push, in-app, qr-code"),
        ("not_enrolled", "unenrolled", "f:9: actions.transfer.unenrolled: unknown key; did you mean not_enrolled?"),
        ('id = "large"\n', "", f"f:11: {FIRST}.id: missing"),
        ('id = "large"', "id = 1", f"f:12: {FIRST}.id: a rule's id has 1 to 64 of "),
        ('outcome = "CHALLENGE"\n', "", f"f:11: {FIRST}.outcome: missing"),
        ('outcome = "CHALLENGE"', "outcome = true", f"f:13: {FIRST}.outcome: rule large: one of ALLOW, "),
        ('["passkey"]', "[]", f"f:15: {FIRST}.allowed_methods: rule large: a list of 1 to 4 of passkey, "),
        ("at_least = 1000", "atleast = 1", f"f:16: {FIRST}.when.custom.amount.atleast: unknown key; did you mean at_"),
        ("at_least = 1000", 'at_least = "1"', f"f:16: {FIRST}.when.custom.amount.at_least: rule large: a number"),
        ("at_least = 1000", "at_least = nan", f"f:16: {FIRST}.when.custom.amount.at_least: rule large: a number"),
        ("at_least = 1000", "at_least = 1979-05-27", f"f:16: {FIRST}.when.custom.amount.at_least: rule large: a numbe"),
        ('"DE", "AT"', '"DE", "DE"', f"f:16: {FIRST}.when.custom.country.one_of[1]: rule large: twice in the list"),
        ('id = "night"', 'id = "large"', f"f:19: {SECOND}.id: rule large: another rule of the action has this id"),
        (
            "device_known = false",
            "device_knwon = false",
            f"f:23: {SECOND}.when.device_knwon: unknown key; did you mean",
        ),
        ("device_known = false", "device_known = 0", f"f:23: {SECOND}.when.device_known: rule night: true or false"),
        ("2001:db8::/32", "2001:db8::1/32", f"f:26: {SECOND}.when.ip_address_not_in[1]: rule night: an IP address or "),
        ("Europe/Berlin", "Europe/Bonn", f"f:28: {SECOND}.when.time_of_day.zone: rule night: a time zone, such as "),
        ('zone = "Europe/Berlin", ', "", f"f:28: {SECOND}.when.time_of_day.zone: missing"),
        ("22:30:00", "22:30:00.5", f"f:28: {SECOND}.when.time_of_day.start: rule night: a time of day such as 22:00"),
        ('"06:00"', '"24:00"', f"f:28: {SECOND}.when.time_of_day.end: rule night: a time of day such as 22:00"),
        ('"06:00"', '"6"', f"f:28: {SECOND}.when.time_of_day.end: rule night: a time of day such as 22:00"),
        ('"06:00"', "600", f"f:28: {SECOND}.when.time_of_day.end: rule night: a time of day such as 22:00"),
        ('"friday"', '"fri"', f"f:28: {SECOND}.when.time_of_day.weekdays[0]: rule night: one of monday, tuesday, "),
        ("at_least = 2 }", "at_least = 0 }", f"f:29: {SECOND}.when.any_of[0].recent_failures_at_least: rule night: "),
        ('["user_agent"]', '["agent"]', f"f:29: {SECOND}.when.any_of[1].none_of[0].present[0]: rule night: one of ip"),
        ('{ present = ["user_agent"] }', "", f"f:29: {SECOND}.when.any_of[1].none_of: rule night: a list of 1 to 100"),
        ("any_of = [{", "any_of = [5, {", f"f:29: {SECOND}.when.any_of[0]: a table of keys and values"),
        ("failure_window_s = 600", "failure_window_s =", "f:1: failure_window_s: not TOML: "),
        ("[actions.sign-in]", "[actions.transfer]", "f:31: actions.transfer: not TOML: "),
    ],
)
def test_what_is_wrong_names_file_line_rule_and_key(old: str, new: str, message: str) -> None:
    assert TOML.count(old) == 1 or old in {'"push"]', '["passkey"]'}
    told = said(TOML.replace(old, new, 1))
    assert told.startswith(message)
    assert len(told) < 400


def test_json_has_lines_too() -> None:
    assert said(JSONC.replace('"DE", "AT"', '"DE", null'), "jsonc") == (
        f"f:15: {FIRST}.when.custom.country.one_of[1]: null is no value"
    )
    twice = JSONC.replace('"id": "night",', '"id": "night", "id": "night",')
    assert said(twice, "jsonc") == f"f:19: {SECOND}.id: given twice, first on line 19"


def test_a_member_that_is_null_is_not_taken_for_one_that_is_left_out() -> None:
    """Or a rule would ask less than it seems to."""
    broader = '"recent_failures_at_least": 2, "device_known": null'
    told = said(JSONC.replace('"recent_failures_at_least": 2', broader), "jsonc")
    assert told == f"f:25: {SECOND}.when.any_of[0].device_known: null is no value"


def test_a_list_that_is_empty_is_not_taken_for_one_that_is_left_out() -> None:
    told = said(TOML.replace("device_known = false", "user_agent_contains = []"))
    assert told.startswith(f"f:23: {SECOND}.when.user_agent_contains: rule night: a list of 1 to 1000 ")


def test_conditions_nest_in_a_file_as_deep_as_they_may() -> None:
    def nested(levels: int, inner: str) -> str:
        for _ in range(levels):
            inner = f'{{"any_of": [{inner}]}}'
        return f'{{"actions": {{"a": {{"rules": [{{"id": "r", "outcome": "ALLOW", "when": {inner}}}]}}}}}}'

    deepest = nested(3, '{"custom": {"a": {"one_of": [1]}}}')
    assert len(parse_rules(deepest, name="f", format="jsonc").actions["a"].rules) == 1
    assert "nested more than 3 deep" in said(nested(4, '{"device_known": true}'), "jsonc")
    assert "nested more than 16 deep" in said(nested(5_000, "{}"), "jsonc")


@settings(deadline=None)
@given(st.text(max_size=80))
@example("actions = 1")
@example("actions.a = 1")
@example("actions.a.rules = {}")
@example("actions.a.rules = [1]")
@example("[[actions.a.rules]]\nid = 'r'\noutcome = 'ALLOW'\nwhen = 1")
@example("[[actions.a.rules]]\nid = 'r'\noutcome = 'ALLOW'\nwhen.custom = []")
@example("[[actions.a.rules]]\nid = 'r'\noutcome = 'ALLOW'\nwhen.time_of_day = []")
@example("default = []")
def test_whatever_a_file_says_it_is_read_or_refused(text: str) -> None:
    forms: tuple[Format, ...] = ("toml", "jsonc")
    for form in forms:
        try:
            parse_rules(text, name="f", format=form)
        except ConfigurationError as error:
            assert str(error).startswith("f:")
