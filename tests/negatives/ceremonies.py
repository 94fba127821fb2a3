"""Valid ceremonies of the test kit, and the ways to change one: what a negative test is made of.

What belongs here: playing, up to the moment when something is judged. What a case states and how it is checked is the
business of `harness`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import msgspec

from passkeycore import (
    AuthenticationState,
    CredentialRecord,
    RegistrationOutcome,
    RegistrationState,
    RelyingParty,
    Trail,
)
from passkeycore.testing import AttestationAuthority, SoftwareAuthenticator, Tamper, VirtualClient, derive
from passkeycore.webauthn.cose import SUPPORTED_ALGORITHMS

Json: TypeAlias = dict[str, Any]
Members: TypeAlias = Mapping[str, Any]
Kind: TypeAlias = Literal["create", "get"]

NOW: Final = datetime(2026, 1, 2, 12, tzinfo=UTC)
LIFETIME: Final = timedelta(minutes=5)
RP_ID: Final = "example.org"
ORIGIN: Final = "https://example.org"
SEED: Final = "negatives"
USER_HANDLE: Final = b"the handle of ada"
CHALLENGE: Final = b"\xfb\xff" + derive(SEED, "challenge", length=30)
"""32 bytes whose base64url has a hyphen and an underscore, so that the other alphabet makes a difference."""
CREDENTIAL_ID: Final = derive(SEED, "credential id")
"""What the authenticator calls its first credential."""

_IDLE: Final = AttestationAuthority(SEED)
_NOTHING: Final[Members] = MappingProxyType({})
_members: Final = dict[str, Any]


class HarnessError(Exception):
    """A case is wrong, or the engine's answer to it is. Never a `PasskeyError`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Setup:
    """A valid ceremony: what differs from the plainest one. Each member is keyword arguments.

    In an authentication `options` are those of the authentication, and a plain registration with the options
    `registered` comes first; then `credential` is set on the authenticator's credential and `record` on ours.
    """

    authenticator: Members = field(default_factory=_members)
    client: Members = field(default_factory=_members)
    rp: Members = field(default_factory=_members)
    options: Members = field(default_factory=_members)
    registered: Members = field(default_factory=_members)
    credential: Members = field(default_factory=_members)
    record: Members = field(default_factory=_members)
    finish: Members = field(default_factory=_members)
    allow: bool = False
    """Name the registered credential in the options of the authentication."""


PLAIN: Final = Setup()


@dataclass(frozen=True)
class Body:
    """A change to the JSON text that is posted."""

    edit: Callable[[bytes], bytes | str | Json]


@dataclass(frozen=True)
class Replace:
    """Members that are replaced in one value beside the response."""

    of: Literal["state", "record", "finish", "authenticator", "client"]
    members: Members


Change: TypeAlias = Tamper | Body | Replace


def state(**members: Any) -> Replace:
    """A change to what was remembered at the start."""
    return Replace("state", members)


def record(**members: Any) -> Replace:
    """A change to the stored credential."""
    return Replace("record", members)


def finish(**members: Any) -> Replace:
    """A change to the arguments of the finish, such as the time."""
    return Replace("finish", members)


def authenticator(**members: Any) -> Replace:
    """A change to the authenticator's settings, made before it answers."""
    return Replace("authenticator", members)


def client(**members: Any) -> Replace:
    """A change to the call of the client."""
    return Replace("client", members)


def replaced(change: Change | None, of: str) -> Members:
    """The members that `change` replaces in `of`."""
    return change.members if isinstance(change, Replace) and change.of == of else _NOTHING


@dataclass(frozen=True)
class Attempt:
    """Inputs that are ready to be judged: their digest, and the judgement itself in all its ways."""

    digest: bytes
    ways: tuple[Callable[[], object], ...]


def _parties(setup: Setup) -> tuple[RelyingParty, SoftwareAuthenticator, VirtualClient]:
    usual: Json = {"id": RP_ID, "origins": [ORIGIN], "algorithms": SUPPORTED_ALGORITHMS}
    # An authority costs as much as the rest of a ceremony; one that issues is not shared, for it counts.
    spared: Json = {} if "attestation" in setup.authenticator else {"authority": _IDLE}
    device = SoftwareAuthenticator(SEED, **(spared | dict(setup.authenticator)))
    return RelyingParty(**(usual | dict(setup.rp))), device, VirtualClient(device, **setup.client)


@dataclass(frozen=True, kw_only=True)
class Played:
    """A ceremony up to the moment when it is judged."""

    rp: RelyingParty
    body: bytes | str | Json
    state: RegistrationState | AuthenticationState
    finish: Members
    record: CredentialRecord | None = None

    def judge(self, body: bytes | str | Json | None = None, *, trail: Trail | None = None) -> object:
        """The outcome, of this body instead of the client's if one is given."""
        posted = self.body if body is None else body
        if isinstance(self.state, RegistrationState):
            return self.rp.verify_registration(posted, self.state, **self.finish, trail=trail)
        if self.record is None:
            raise HarnessError("an authentication needs a record")
        return self.rp.verify_authentication(posted, self.state, self.record, **self.finish, trail=trail)

    def attempt(self) -> Attempt:
        """Both ways to judge it: the usual one, and the one that keeps a trail."""
        stored = None if self.record is None else self.record.to_bytes()
        digest = digest_of(self.rp, self.body, self.state.to_json(), stored, dict(self.finish))
        return Attempt(digest, (self.judge, lambda: self.judge(trail=Trail())))


def play(kind: Kind, setup: Setup = PLAIN, change: Change | None = None) -> Played:
    """The ceremony of `setup`, with the change if there is one."""
    return (_create if kind == "create" else _get)(setup, change)


def _create(setup: Setup, change: Change | None) -> Played:
    rp, device, browser = _parties(setup)
    usual: Json = {"user_handle": USER_HANDLE, "user_name": "ada", "challenge": CHALLENGE, "now": NOW}
    start = rp.registration_options(**(usual | dict(setup.options)))
    return Played(
        rp=rp,
        body=_post(browser.create, start.to_dict(), start.options.mediation, device, change),
        state=msgspec.structs.replace(start.state, **replaced(change, "state")),
        finish={"now": NOW, **setup.finish, **replaced(change, "finish")},
    )


def _get(setup: Setup, change: Change | None) -> Played:
    rp, device, browser = _parties(setup)
    usual: Json = {"user_handle": USER_HANDLE, "user_name": "ada", "challenge": CHALLENGE, "now": NOW}
    began = rp.registration_options(**(usual | dict(setup.registered)))
    record = rp.verify_registration(browser.create(began.to_dict()), began.state, now=NOW).credential
    for name, value in setup.credential.items():
        setattr(device.credentials[record.credential_id], name, value)
    asked: Json = {"challenge": CHALLENGE, "now": NOW, **({"allow": [record]} if setup.allow else {})}
    start = rp.authentication_options(**(asked | dict(setup.options)))
    return Played(
        rp=rp,
        body=_post(browser.get, start.to_dict(), start.options.mediation, device, change),
        state=msgspec.structs.replace(start.state, **replaced(change, "state")),
        finish={"now": NOW, **setup.finish, **replaced(change, "finish")},
        record=msgspec.structs.replace(record, **{**setup.record, **replaced(change, "record")}),
    )


def _post(
    answer: Callable[..., Json],
    options: Json,
    mediation: str | None,
    device: SoftwareAuthenticator,
    change: Change | None,
) -> bytes | str | Json:
    for name, value in replaced(change, "authenticator").items():
        setattr(device, name, value)
    tamper = change if isinstance(change, Tamper) else Tamper()
    response = answer(options, **{"mediation": mediation, "tamper": tamper, **replaced(change, "client")})
    text = json.dumps(response).encode()
    return change.edit(text) if isinstance(change, Body) else text


def digest_of(*inputs: object) -> bytes:
    """What tells these inputs from any others."""
    try:
        text = repr(inputs)
    except RecursionError:
        text = "too deep to be told from any other that is"
    return sha256(text.encode()).digest()


def registered() -> CredentialRecord:
    """The record of a plain registration."""
    outcome = play("create").judge()
    if not isinstance(outcome, RegistrationOutcome):
        raise HarnessError(repr(outcome))
    return outcome.credential
