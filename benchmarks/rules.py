"""Rules: what deciding an action by 50 of them costs, beside the signature check that a challenge would cost anyway.

One set has rules of one question each, of which none holds. The rules of the other ask two or three things each, some
of them of conditions within conditions, and half of them hold. The third is the second when nobody sent anything: then
many are undecided, and have to be settled. Facts are made anew for each call, outside of the timed region: those of a
request are new.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import cycle
from typing import Final

from passkeycore.actions import ActionRules, ActionSettings, Condition, DataPoint, Facts, Outcome, Rule, TimeOfDay
from passkeycore.webauthn.cose import ES256

from .cases import authentication_cases
from .measure import Call, Contender, interleave, ratio
from .peers import Peer
from .report import Section, bound, raw, samples, share, table, verdict

ACTION: Final = "transfer"
_RULES: Final = 50
_TIMED: Final = 10
_LEAD_IN: Final = 5
_BOUND: Final = 0.25
_BOUNDED: Final = ("none holds", "half hold")
_FLOOR: Final = "ES256 floor"
_NOW: Final = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


def failing(number: int) -> Condition:
    """What does not hold, one question, of another kind for each of ten numbers, and never the same twice."""
    return (
        Condition(ip_address_in=(f"10.{number}.0.0/16", "192.168.0.0/16", f"2001:db8:{number:x}::/48")),
        Condition(user_agent_contains=(f"curl/{number}", "HeadlessChrome")),
        Condition(device_known=False),
        Condition(custom={"amount": DataPoint(at_least=10_000 * (number + 1))}),
        Condition(custom={"country": DataPoint(one_of=("KP", "IR", f"X{number}"))}),
        Condition(time_of_day=TimeOfDay(zone="Europe/Berlin", start=time(22, number), end=time(6))),
        Condition(enrolled_none_of=("passkey", "push")),
        Condition(user_not_verified_within_s=3_600 + number),
        Condition(recent_failures_at_least=3 + number),
        Condition(any_of=(Condition(device_id_in=(f"lost {number}",)), Condition(missing=("ip_address",)))),
    )[number % 10]


def mixed(number: int) -> Condition:
    """Two or three questions, of other kinds for each of ten numbers. Half of them hold."""
    return (
        Condition(ip_address_not_in=(f"198.51.{number}.0/24", "2001:db8::/32"), device_known=True),
        Condition(ip_address_in=("203.0.113.0/24",), custom={"country": DataPoint(not_equals="DE")}),
        Condition(custom={"amount": DataPoint(at_least=100 + number, less_than=1_000)}, recent_failures_at_least=1),
        Condition(device_known=True, user_agent_contains=("curl", "wget")),
        Condition(user_agent_contains=("firefox",), enrolled_any_of=("passkey",)),
        Condition(custom={"vip": DataPoint(equals=True)}, user_verified_within_s=60 + number),
        Condition(
            time_of_day=TimeOfDay(zone="Europe/Berlin", start=time(8, number), end=time(18)), enrolled_at_least=2
        ),
        Condition(time_of_day=TimeOfDay(zone="Europe/Berlin", weekdays=("sunday",)), present=("ip_address",)),
        Condition(
            any_of=(Condition(custom={"country": DataPoint(one_of=("DE", "AT"))}), Condition(device_known=False))
        ),
        Condition(none_of=(Condition(ip_address_in=("203.0.113.7",)), Condition(user_agent_contains=("bot",)))),
    )[number % 10]


def sent() -> Facts:
    """The facts of one request, new objects."""
    return Facts(
        now=_NOW,
        ip_address="203.0.113.7",
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        device_id="3f9f5be2-8b1e-4b0e-9a59-0f6f5c7d1a11",
        device_known=True,
        custom={"amount": 250, "country": "DE", "vip": False},
        enrolled_methods=frozenset({"passkey", "push"}),
        user_verified_at=_NOW - timedelta(minutes=10),
        recent_failures=1,
    )


def unsent() -> Facts:
    """The same where nobody said anything."""
    return Facts(now=_NOW)


def rules_of(condition: Callable[[int], Condition]) -> ActionRules:
    """As many rules as are measured, each with its own condition."""
    outcomes = cycle((Outcome.CHALLENGE, Outcome.ALLOW, Outcome.REVIEW))
    rules = tuple(Rule(id=f"rule-{number}", outcome=next(outcomes), when=condition(number)) for number in range(_RULES))
    return ActionRules(actions={ACTION: ActionSettings(rules=rules)})


CASES: Final[Mapping[str, tuple[ActionRules, Callable[[], Facts]]]] = {
    "none holds": (rules_of(failing), sent),
    "half hold": (rules_of(mixed), sent),
    "nothing was sent": (rules_of(mixed), unsent),
}


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Measures for `rounds` rounds of ten calls of each contender."""
    ready = [case.floor() for case in authentication_cases(ES256, _LEAD_IN + _TIMED)]
    contenders = [Contender(_FLOOR, lambda: ready, _LEAD_IN)]
    contenders += [Contender(name, partial(_batch, *case), _LEAD_IN) for name, case in CASES.items()]
    series = interleave(contenders, rounds)
    found = {name: ratio(series[name], series[_FLOOR]) for name in CASES}
    limits = {name: _BOUND if name in _BOUNDED else None for name in found}
    rows = [(name, share(figure), verdict(figure.value, limits[name])) for name, figure in found.items()]
    text = (
        f"{table((f'{_RULES} rules', 'in bare ES256 checks', 'bound'), rows)}\n\n"
        "in brackets, what fifths of the run say.\n\n" + samples(series)
    )
    data = {
        "unit": _FLOOR,
        "rules": _RULES,
        "cost": {name: figure.to_dict() for name, figure in found.items()},
        "bounds": {name: bound(figure.value, limits[name]) for name, figure in found.items()},
        "series": raw(series),
    }
    return Section("rules", text, data)


def _batch(rules: ActionRules, facts: Callable[[], Facts]) -> list[Call]:
    return [partial(rules.evaluate, ACTION, facts()) for _ in range(_LEAD_IN + _TIMED)]
