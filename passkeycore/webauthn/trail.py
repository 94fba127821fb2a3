"""The trail: which checks a verification ran, in order, and what each one saw.

The procedures note a check just before they make it, so after an error the last entry is the check that failed.
"""

from typing import Any

import msgspec

from ..errors import show


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check that ran.

    Attributes:
        name: What was checked, in the specification's words.
        expected: What the value was compared with; None where that is a secret or a computation.
        actual: The value that was seen; None where it is a secret.
    """

    name: str
    expected: object = None
    actual: object = None

    def to_dict(self) -> dict[str, Any]:
        """The check as JSON-ready members; values are bounded and escaped text, numbers and booleans stay."""
        seen = {"expected": self.expected, "actual": self.actual}
        return {
            "name": self.name,
            **{k: v if isinstance(v, (bool, int)) else show(v) for k, v in seen.items() if v is not None},
        }


class Trail:
    """A list of `Check` that one verification fills; pass a fresh one to each."""

    __slots__ = ("checks",)

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def see(self, name: str, expected: object = None, actual: object = None) -> None:
        """Notes that the check `name` is about to be made."""
        self.checks.append(Check(name=name, expected=expected, actual=actual))

    def to_list(self) -> list[dict[str, Any]]:
        """Every check, JSON-ready, in the order in which they ran."""
        return [check.to_dict() for check in self.checks]

    def __repr__(self) -> str:
        return f"Trail({', '.join(check.name for check in self.checks)})"
