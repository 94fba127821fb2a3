"""The harness of the negative tests: what a case states, and how the engine is held to it.

What belongs here: nothing about any single rule. It raises instead of asserting, so that it also works under
``python -O``, and it distrusts the cases: an unchanged ceremony has to pass, and a change has to change something.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from passkeycore import (
    ActionError,
    AttestationError,
    CeremonyError,
    ChallengeError,
    Code,
    ConfigurationError,
    ConflictError,
    CredentialExists,
    CredentialNotFound,
    DecodeError,
    LimitReached,
    PasskeyError,
    SignatureError,
    TokenError,
    UnsupportedError,
    UntrustedError,
    VerificationError,
)
from passkeycore.testing import Tamper, b64url_encode

from .ceremonies import CHALLENGE, PLAIN, Attempt, Change, HarnessError, Kind, Members, Setup, digest_of, play

_LONGEST_MESSAGE: Final = 600
_CLASSES: Final[Mapping[Code, type[PasskeyError]]] = {
    Code.CONFIGURATION_INVALID: ConfigurationError,
    **dict.fromkeys(
        (
            Code.TOO_LARGE,
            Code.JSON_INVALID,
            Code.BASE64URL_INVALID,
            Code.CBOR_INVALID,
            Code.AUTHENTICATOR_DATA_INVALID,
            Code.PUBLIC_KEY_MALFORMED,
            Code.CERTIFICATE_MALFORMED,
            Code.EXTENSION_MALFORMED,
            Code.STATE_INVALID,
            Code.RECORD_INVALID,
            Code.VECTOR_INVALID,
            Code.METADATA_INVALID,
            Code.STATUS_LIST_INVALID,
            Code.NAME_INVALID,
            Code.USER_ID_INVALID,
            Code.CURSOR_INVALID,
            Code.ACTION_INVALID,
            Code.APP_ATTEST_MALFORMED,
        ),
        DecodeError,
    ),
    **dict.fromkeys((Code.ALGORITHM_UNSUPPORTED, Code.ATTESTATION_FORMAT_UNSUPPORTED), UnsupportedError),
    Code.SIGNATURE_INVALID: SignatureError,
    **dict.fromkeys(
        (
            Code.ATTESTATION_STATEMENT_INVALID,
            Code.ATTESTATION_CERTIFICATE_INVALID,
            Code.ATTESTATION_SIGNATURE_INVALID,
            Code.ANDROID_KEY_LISTS_EMPTY,
            Code.SECURITY_LEVEL_INSUFFICIENT,
        ),
        AttestationError,
    ),
    **dict.fromkeys(
        (
            Code.ATTESTATION_REQUIRED,
            Code.ATTESTATION_UNTRUSTED,
            Code.ATTESTATION_REVOKED,
            Code.ATTESTATION_NOT_ALLOWED,
            Code.AUTHENTICATOR_NOT_ALLOWED,
            Code.METADATA_MISMATCH,
            Code.STATUS_LIST_MISSING,
        ),
        UntrustedError,
    ),
    **dict.fromkeys((Code.CHALLENGE_UNKNOWN, Code.CHALLENGE_EXPIRED), ChallengeError),
    Code.CREDENTIAL_EXISTS: CredentialExists,
    Code.NO_CREDENTIAL: CredentialNotFound,
    **dict.fromkeys(
        (Code.USER_NOT_FOUND, Code.USER_DISABLED, Code.CHALLENGE_REJECTED, Code.ATTEMPTS_EXCEEDED), CeremonyError
    ),
    **dict.fromkeys((Code.ACTION_NOT_FOUND, Code.ACTION_STATE, Code.METHOD_NOT_ALLOWED), ActionError),
    **dict.fromkeys((Code.USER_EXISTS, Code.CONFLICT), ConflictError),
    Code.LIMIT_REACHED: LimitReached,
    **dict.fromkeys((Code.TOKEN_INVALID, Code.TOKEN_EXPIRED, Code.SCOPE_MISSING), TokenError),
}


def class_of(code: Code) -> type[PasskeyError]:
    """The one class that goes with a code: the promise on which callers write ``except``."""
    return _CLASSES.get(code, VerificationError)


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A change, and what must become of it."""

    id: str
    code: Code | None
    """None: accepted all the same."""
    then: Callable[[Any], object] | None = None
    """What must be true of the outcome, or of the error."""

    @property
    def row(self) -> str:
        """The row of the matrix that the case stands for."""
        return re.split(r"[.-]", self.id)[0]

    def attempt(self, *, changed: bool) -> Attempt:
        """The inputs, with or without the change."""
        raise NotImplementedError

    @property
    def base(self) -> object:
        """What cases share that have the same unchanged inputs."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, eq=False)
class Ceremony(Case):
    """A case that is a ceremony."""

    kind: Kind
    change: Change
    setup: Setup = PLAIN

    def __post_init__(self) -> None:
        """Makes sure that a tampered ceremony is tampered with in one place."""
        if isinstance(self.change, Tamper):
            unchanged = Tamper()
            places = [f.name for f in fields(Tamper) if getattr(self.change, f.name) != getattr(unchanged, f.name)]
            if len(places) != 1:
                raise HarnessError(f"{self.id} changes {' and '.join(places) or 'nothing'}")

    @property
    def base(self) -> object:
        return self.kind, self.setup

    def attempt(self, *, changed: bool) -> Attempt:
        return play(self.kind, self.setup, self.change if changed else None).attempt()


@dataclass(frozen=True, eq=False)
class Right:
    """A call that succeeds."""

    function: Callable[..., object]
    arguments: Members


@dataclass(frozen=True, kw_only=True, eq=False)
class Call(Case):
    """A case that is one call: the right one with the single argument in `change` instead."""

    right: Right
    change: Members

    def __post_init__(self) -> None:
        """Makes sure that one argument changes."""
        if len(self.change) != 1:
            raise HarnessError(f"{self.id} changes {len(self.change)} arguments")

    @property
    def base(self) -> object:
        return self.right

    def attempt(self, *, changed: bool) -> Attempt:
        function = self.right.function
        arguments = {**self.right.arguments, **(self.change if changed else {})}
        return Attempt(digest_of(function, arguments), (lambda: function(**arguments),))


def call(id: str, code: Code | None, right: Right, then: Any = None, /, **change: Any) -> Call:
    """A case that is one call."""
    return Call(id=id, code=code, right=right, then=then, change=change)


def create(id: str, code: Code | None, change: Change, setup: Setup = PLAIN, then: Any = None) -> Ceremony:
    """A case that is a registration."""
    return Ceremony(id=id, code=code, change=change, setup=setup, then=then, kind="create")


def get(id: str, code: Code | None, change: Change, setup: Setup = PLAIN, then: Any = None) -> Ceremony:
    """A case that is an authentication."""
    return Ceremony(id=id, code=code, change=change, setup=setup, then=then, kind="get")


_baselines: dict[object, bytes] = {}


def check_unchanged(case: Case) -> bytes:
    """The digest of the unchanged inputs, which have to be accepted.

    Raises:
        HarnessError: They are not, so the case would prove nothing.
    """
    if case.base not in _baselines:
        unchanged = case.attempt(changed=False)
        try:
            for way in unchanged.ways:
                way()
        except Exception as error:
            raise HarnessError(f"{case.id}: without the change it fails already: {error!r}") from error
        _baselines[case.base] = unchanged.digest
    return _baselines[case.base]


def check(case: Case) -> None:
    """Returns only when the change, and nothing else, leads to what the case says.

    Raises:
        HarnessError: Otherwise.
        Exception: What the engine let escape that is no `PasskeyError`, as it came.
    """
    before = check_unchanged(case)
    attempt = case.attempt(changed=True)
    if attempt.digest == before:
        raise HarnessError(f"{case.id} changes nothing")
    for way in attempt.ways:
        try:
            outcome = way()
        except PasskeyError as error:
            if error.code != case.code:
                raise HarnessError(f"{case.id} ends in {error.code}, not in {case.code}: {error}") from error
            check_error(error)
            outcome = error
        else:
            if case.code is not None:
                raise HarnessError(f"{case.id} is accepted instead of ending in {case.code}")
        if case.then is not None and not case.then(outcome):
            raise HarnessError(f"{case.id}: what comes out is not as it should be: {outcome!r}")


def check_error(error: PasskeyError) -> None:
    """Returns only when the error may be shown: of its code's class, on one bounded line, without secrets.

    Raises:
        HarnessError: Otherwise.
    """
    told = json.dumps(error.to_dict())
    faults = {
        f"it is a {type(error).__name__}": type(error) is not class_of(error.code),
        "its message could forge a line in a log": not (str(error).isascii() and str(error).isprintable()),
        "its message is too long": len(str(error)) > _LONGEST_MESSAGE,
        "it tells the challenge": b64url_encode(CHALLENGE) in told or CHALLENGE.hex() in told,
        "its public message is an oracle": isinstance(error, VerificationError)
        and error.public_message != VerificationError.public_message,
    }
    if found := [fault for fault, present in faults.items() if present]:
        raise HarnessError(f"{error.code}: {' and '.join(found)}: {error!r}") from error


def check_distinct(cases: Iterable[Case]) -> None:
    """Returns only when no two cases have the same id or judge the same inputs.

    Raises:
        HarnessError: Two do.
    """
    ids: set[str] = set()
    seen: dict[bytes, str] = {}
    for case in cases:
        digest = case.attempt(changed=True).digest
        if case.id in ids or digest in seen:
            raise HarnessError(f"{case.id} is the same as {seen.get(digest, case.id)}")
        ids.add(case.id)
        seen[digest] = case.id
