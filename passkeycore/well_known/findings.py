"""What is wrong with a document: every kind of finding in one table, and the reading that all documents share.

What a document of one kind has to say is not known here; each kind has a module of its own.
"""

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast

import msgspec

from ..errors import ConfigurationError, show

Level: TypeAlias = Literal["error", "warning"]

WHOLE: Final = "$"
"""The path of a document as a whole."""

MOST_FINDINGS: Final = 100
"""Of each level in one document: a file of nothing but mistakes says so no better with more."""

CONTENT_TYPE: Final = "application/json"
"""Of every document."""

_OK: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Problem(StrEnum):
    """What a finding says, as a word for programs. Closed: words are added, never renamed."""

    # Errors: some client will not take the document, or an app or site that should work does not.
    NOT_SERVED = "not_served"
    REDIRECTED = "redirected"
    CONTENT_TYPE_WRONG = "content_type_wrong"
    TOO_LARGE = "too_large"
    JSON_INVALID = "json_invalid"
    MEMBER_REPEATED = "member_repeated"
    MEMBER_MISSING = "member_missing"
    TYPE_WRONG = "type_wrong"
    APP_ID_INVALID = "app_id_invalid"
    PACKAGE_NAME_INVALID = "package_name_invalid"
    FINGERPRINT_INVALID = "fingerprint_invalid"
    FINGERPRINT_SHA1 = "fingerprint_sha1"
    FINGERPRINT_LOWER_CASE = "fingerprint_lower_case"
    RELATION_MISSING = "relation_missing"
    ORIGIN_INVALID = "origin_invalid"
    ORIGIN_INSECURE = "origin_insecure"
    ORIGIN_WITHOUT_DOMAIN = "origin_without_domain"
    LABELS_EXCEEDED = "labels_exceeded"
    URL_INVALID = "url_invalid"
    NOT_LISTED = "not_listed"
    # Warnings: clients take it, but it is hardly what was meant, or needs somebody's judgement.
    REPEATED = "repeated"
    LINKS_RELATION_MISSING = "links_relation_missing"
    LOGIN_RELATION_MISSING = "login_relation_missing"
    INCLUDED_ELSEWHERE = "included_elsewhere"
    LABELS_UNCERTAIN = "labels_uncertain"
    ORIGIN_WITHIN_RP_ID = "origin_within_rp_id"
    URL_ELSEWHERE = "url_elsewhere"
    NOT_CONFIGURED = "not_configured"


_WARNINGS: Final = frozenset(
    {
        Problem.REPEATED,
        Problem.LINKS_RELATION_MISSING,
        Problem.LOGIN_RELATION_MISSING,
        Problem.INCLUDED_ELSEWHERE,
        Problem.LABELS_UNCERTAIN,
        Problem.ORIGIN_WITHIN_RP_ID,
        Problem.URL_ELSEWHERE,
        Problem.NOT_CONFIGURED,
    }
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a document that its owner should know.

    Attributes:
        code: The stable word for programs.
        path: Which part, such as ``[0].target.package_name``; ``$`` for the document as a whole.
        message: For people: bounded, and what it repeats of the document is escaped.
    """

    code: Problem
    path: str
    message: str

    @property
    def level(self) -> Level:
        """``error``: it will not work. ``warning``: it may be meant so. It follows from the code."""
        return "warning" if self.code in _WARNINGS else "error"


class Report:
    """Findings about one document, in the making."""

    __slots__ = ("_findings",)

    def __init__(self) -> None:
        self._findings: dict[Level, list[Finding]] = {"error": [], "warning": []}

    def add(self, code: Problem, path: str, message: str) -> None:
        """Notes a finding, unless there are enough of its level."""
        finding = Finding(code=code, path=path or WHOLE, message=message)
        if len(found := self._findings[finding.level]) < MOST_FINDINGS:
            found.append(finding)

    def findings(self) -> tuple[Finding, ...]:
        """All of them, errors first."""
        return (*self._findings["error"], *self._findings["warning"])

    @property
    def has_errors(self) -> bool:
        """Whether there is one so far."""
        return bool(self._findings["error"])

    def table(self, value: object, path: str) -> dict[str, object]:
        """`value` as a JSON object; empty, with a finding, where it is none."""
        if isinstance(value, dict):
            return cast("dict[str, object]", value)
        self.add(Problem.TYPE_WRONG, path, "a JSON object is expected here")
        return {}

    def elements(self, value: object, path: str) -> list[object]:
        """`value` as a JSON array; empty, with a finding, where it is none."""
        if isinstance(value, list):
            return cast("list[object]", value)
        self.add(Problem.TYPE_WRONG, path, "a JSON array is expected here")
        return []

    def member(self, table: dict[str, object], name: str, path: str) -> object:
        """A member that `table` has to have; None, with a finding, where it is missing."""
        if name not in table:
            self.add(Problem.MEMBER_MISSING, below(path, name), "missing")
        return table.get(name)

    def texts(self, table: dict[str, object], name: str, path: str) -> list[tuple[str, str]]:
        """The strings of a list that `table` has to have, each with its path; a finding for whatever is wrong."""
        if name not in table:
            self.member(table, name, path)
            return []
        path = below(path, name)
        texts: list[tuple[str, str]] = []
        for index, element in enumerate(self.elements(table[name], path)):
            if isinstance(element, str):
                texts.append((f"{path}[{index}]", element))
            else:
                self.add(Problem.TYPE_WRONG, f"{path}[{index}]", "a string is expected here")
        return texts

    def read(self, document: bytes, most_bytes: int) -> object:
        """What the document says; None, with a finding, where it says nothing.

        JSON's ``null`` is nothing, too: no document of ours is that.
        """
        if len(document) > most_bytes:
            self.add(Problem.TOO_LARGE, WHOLE, f"larger than {most_bytes >> 10} KiB, beyond which it is not read")
            return None
        if document.startswith(_BYTE_ORDER_MARK):
            self.add(Problem.JSON_INVALID, WHOLE, "a byte order mark at the beginning, which JSON has not")
            document = document.removeprefix(_BYTE_ORDER_MARK)
        try:
            text = document.decode()
        except UnicodeDecodeError as error:
            self.add(Problem.JSON_INVALID, WHOLE, f"not UTF-8 at byte {error.start}")
            return None
        try:
            value: object = json.loads(text, object_pairs_hook=self._object, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            comment = text[error.pos : error.pos + 2] in ("//", "/*")
            reason = "a comment, which JSON has not" if comment else error.msg.removesuffix(" at")
            self.add(Problem.JSON_INVALID, WHOLE, f"not JSON, line {error.lineno}: {reason}")
            return None
        except (ValueError, RecursionError):
            self.add(Problem.JSON_INVALID, WHOLE, "not JSON, or nested or counted beyond what anybody reads")
            return None
        if value is None:
            self.add(Problem.TYPE_WRONG, WHOLE, "null says nothing")
        return value

    def _object(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for name, value in pairs:
            if name in members:
                self.add(Problem.MEMBER_REPEATED, WHOLE, f"the member {show(name)} is there twice in one object")
            members[name] = value
        return members


def check_response(*, status: int, content_type: str | None) -> tuple[Finding, ...]:
    """What is wrong with how a document is served; empty: nothing. What it says is for the check of its kind.

    Args:
        status: Of the response to the request for the document, not to one that it was redirected to.
        content_type: The header of this name. None: there is none.
    """
    report = Report()
    kind = (content_type or "").partition(";")[0].strip().lower()
    if status in _REDIRECTS:
        report.add(Problem.REDIRECTED, WHOLE, f"status {status}: clients do not follow redirects to it")
    elif status != _OK:
        report.add(Problem.NOT_SERVED, WHOLE, f"status {status} instead of 200")
    elif kind != CONTENT_TYPE:
        shown = "none" if content_type is None else show(content_type)
        report.add(Problem.CONTENT_TYPE_WRONG, WHOLE, f"the content type has to be {CONTENT_TYPE}, but is {shown}")
    return report.findings()


def below(path: str, name: str) -> str:
    """The path of the member `name` of what is at `path`."""
    return f"{path}.{name}" if path else name


def to_bytes(document: object) -> bytes:
    """A document as it is to be served: UTF-8 JSON in ASCII, with line breaks for its readers."""
    return json.dumps(document, indent=2).encode() + b"\n"


def refuse(findings: Iterable[Finding], argument: str) -> None:
    """Returns only when what was built has no errors, and nothing twice: what is built is held to what is checked.

    Raises:
        ConfigurationError: It has; `argument` is what was given to be built.
    """
    for finding in findings:
        if finding.level == "error" or finding.code == Problem.REPEATED:
            raise ConfigurationError(f"{finding.path}: {finding.message}", path=argument)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
