"""Level 1: a Relying Party's configuration, and the ceremonies bound to it. No storage, no sessions.

The only place below the engine that reads the clock or draws randomness, and only where the caller gave neither.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from .errors import ChallengeError, Code, ConfigurationError
from .trust import TrustDecision, TrustPolicy, judge
from .webauthn.attestation import FORMATS, AttestationResult, Verify
from .webauthn.authentication import VerifiedAuthentication, verify_authentication
from .webauthn.cose import ALGORITHMS, DEFAULT_ALGORITHMS, RS1
from .webauthn.credential import CredentialRecord
from .webauthn.extension_inputs import AuthenticationExtensions, RegistrationExtensions
from .webauthn.extensions import AuthenticatorExtensionOutputs, ClientExtensionResults
from .webauthn.options import (
    AuthenticationStart,
    AuthenticationState,
    Conveyance,
    CreationOptions,
    CredentialDescriptor,
    Preset,
    RegistrationStart,
    RegistrationState,
    RequestOptions,
    Requirement,
)
from .webauthn.origins import check_origin, check_rp_id, is_within
from .webauthn.policy import DEFAULT_POLICY, Policy, check_choices
from .webauthn.registration import VerifiedRegistration, verify_registration
from .webauthn.responses import AuthenticationResponse, RegistrationResponse
from .webauthn.trail import Trail

if TYPE_CHECKING:
    from .trust.metadata import Metadata

_V = TypeVar("_V")

_CHALLENGE_BYTES: Final = 32
_CHALLENGE_RANGE: Final = (
    16,
    128,
)  # spec: #sctn-cryptographic-challenges; some password managers refuse fewer
_LIFETIME: Final = timedelta(minutes=5)
_CONDITIONAL_LIFETIME: Final = timedelta(minutes=30)  # an autofill prompt waits for as long as the page is open
_LONGEST_MS: Final = 86_400_000  # a day: nobody is still at it, but their open challenges are
UNSAFE_CHARACTERS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Clients that do not know hints obey the attachment that goes with them. Spec: #enum-hints
_ATTACHMENT_OF_HINT: Final = {
    "security-key": "cross-platform",
    "hybrid": "cross-platform",
    "client-device": "platform",
}


class RegistrationOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A registration that is valid and that the policy accepts.

    Attributes:
        credential: The record to store, unless its id is registered already, for whichever user.
        attestation: What the attestation statement turned out to be.
        trust: Whether it proves anything about the authenticator, and why.
        user_verified: UV of this ceremony.
        client_extensions: Unsigned outputs of extensions.
        authenticator_extensions: Signed outputs of extensions.
    """

    credential: CredentialRecord
    attestation: AttestationResult
    trust: TrustDecision
    user_verified: bool
    client_extensions: ClientExtensionResults
    authenticator_extensions: AuthenticatorExtensionOutputs


class RelyingParty(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are towards clients and authenticators. Immutable; share one between threads.

    Attributes:
        id: The RP ID: a domain, which the credentials are scoped to for ever.
        name: For the user's eyes; deprecated by the specification but still required by clients. None: the id.
        origins: Every origin that may use the credentials, compared byte for byte: ``https://example.com``,
            `android_origin` of an app, an iOS app's ``https://<rp id>``.
        related_origins: Web origins outside the RP ID's domain, which browsers admit because of the RP ID's
            ``/.well-known/webauthn``.
        top_origins: Pages of other origins that may embed ours and whose ``topOrigin`` is accepted.
        allow_cross_origin: Accept ``crossOrigin: true`` also from clients that do not name the embedding page.
        algorithms: COSE identifiers that are offered, in order of preference.
        attestation: The conveyance that is asked for. ``none``, as users of passkeys gain nothing by more.
        formats: The attestation formats that are accepted.
        trust: Which attestations are trusted, and whether they must be.
        policy: What to do where the specification leaves the choice.
    """

    id: str
    name: str | None = None
    origins: Sequence[str]
    related_origins: Sequence[str] = ()
    top_origins: Sequence[str] = ()
    allow_cross_origin: bool = False
    algorithms: Sequence[int] = DEFAULT_ALGORITHMS
    attestation: Conveyance = "none"
    formats: Mapping[str, Verify] = FORMATS
    trust: TrustPolicy = TrustPolicy()
    policy: Policy = DEFAULT_POLICY

    def __post_init__(self) -> None:
        """Checks the configuration, once.

        Raises:
            ConfigurationError: An RP ID that is no domain, an origin in a spelling that no client sends or that the
                RP ID does not cover, no origin at all, or an algorithm that is unknown.
        """
        check_rp_id(self.id)
        check_choices(self)
        for name in ("origins", "related_origins", "top_origins", "algorithms"):
            msgspec.structs.force_setattr(self, name, _several(getattr(self, name), name))
        self._check_origins(self.origins)
        if not self.origins:
            raise ConfigurationError("at least one origin is needed", path="origins")
        for name in ("related_origins", "top_origins"):
            _check_web(getattr(self, name), name)
        if not self.formats:
            raise ConfigurationError("at least one attestation format is needed", path="formats")
        _check_algorithms(self.algorithms, self.policy)
        check_text(self.name or self.id, "name")

    def _check_origins(self, origins: Iterable[str]) -> None:
        for origin in origins:
            host = check_origin(origin)
            if host is not None and not is_within(host, self.id) and origin not in self.related_origins:
                raise ConfigurationError(
                    f"{origin!a} is outside the RP ID {self.id}: browsers refuse it, unless as one of related_origins",
                    path="origins",
                )

    def registration_options(
        self,
        *,
        user_handle: bytes,
        user_name: str,
        user_display_name: str = "",
        exclude: Iterable[CredentialRecord | CredentialDescriptor] = (),
        preset: Preset | None = None,
        resident_key: Requirement | None = None,
        user_verification: Requirement | None = None,
        authenticator_attachment: Literal["platform", "cross-platform"] | None = None,
        hints: Sequence[str] = (),
        attestation: Conveyance | None = None,
        attestation_formats: Sequence[str] = (),
        algorithms: Sequence[int] | None = None,
        extensions: RegistrationExtensions | Mapping[str, Any] | None = None,
        mediation: Literal["conditional"] | None = None,
        origins: Sequence[str] | None = None,
        top_origins: Sequence[str] | None = None,
        timeout_ms: int | None = None,
        challenge: bytes | None = None,
        realm: str = "",
        user_id: str | None = None,
        binding: bytes | str | None = None,
        purpose: str | None = None,
        account_stamp: str | None = None,
        credential_name: str | None = None,
        now: datetime | None = None,
    ) -> RegistrationStart:
        """Options for the client and the state to keep, for a new credential of one user.

        Args:
            user_handle: ``user.id``: 1..64 bytes that stay with the account, the same for all its credentials,
                without personal data.
            user_name: What the user recognises the account by.
            user_display_name: A friendlier name, or empty.
            exclude: The user's credentials.
            preset: `sole_factor` or `second_factor`, which settle `resident_key` and `user_verification`.
            resident_key: Whether the credential shall be discoverable; ``preferred`` unless a preset says.
            user_verification: Likewise.
            authenticator_attachment: None for either; else taken from `hints` where they agree.
            hints: ``security-key``, ``client-device``, ``hybrid``, in order of preference.
            attestation: The conveyance, or None for the Relying Party's.
            attestation_formats: Preferred statement formats.
            algorithms: COSE identifiers, or None for the Relying Party's.
            extensions: Typed, or as ``AuthenticationExtensionsClientInputsJSON``.
            mediation: ``conditional`` creates without a dialog; user presence is then not demanded.
            origins: The origins that this one ceremony may come from, or None for the Relying Party's.
            top_origins: The pages that may embed it, or None for the Relying Party's. Empty: it comes from no frame.
            timeout_ms: For the client and for the state, in milliseconds; None: 5 minutes, conditional 30.
            challenge: 16..128 bytes; None: 32 fresh random ones.
            realm, user_id, purpose, account_stamp, credential_name: Kept in the state as they are.
            binding: A secret of the browser session, or the token of an action; kept hashed. Finishing repeats it.
            now: The time, aware; None: the clock.

        Raises:
            ConfigurationError: An argument that no client or authenticator can honour.

        Spec: #sctn-registering-a-new-credential, #dictionary-makecredentialoptions
        """
        now = _aware(now)
        resident_key, user_verification = _demands(preset, resident_key, user_verification)
        if extensions is None or isinstance(extensions, Mapping):
            extensions = RegistrationExtensions.from_dict(extensions or {})
        extensions.check()
        _check_user_handle(user_handle)
        if authenticator_attachment not in (None, "platform", "cross-platform"):
            raise ConfigurationError("neither platform nor cross-platform", path="authenticator_attachment")
        if user_handle == user_name.encode("utf-8", "replace"):
            raise ConfigurationError(
                "the user handle is the user's name: it must not be personal data", path="user_handle"
            )
        check_text(user_name, "user_name")
        if user_display_name:
            check_text(user_display_name, "user_display_name")
        if algorithms is not None:
            _check_algorithms(algorithms, self.policy)
        excluded = _descriptors(exclude)
        if authenticator_attachment is None:
            implied = {_ATTACHMENT_OF_HINT.get(hint) for hint in hints}
            attachment = implied.pop() if len(implied) == 1 else None
        else:
            attachment = authenticator_attachment
        challenge = _challenge(challenge)
        timeout, expires_at = _timeout(timeout_ms, mediation, now)
        options = CreationOptions(
            rp_id=self.id,
            rp_name=self.name or self.id,
            user_handle=user_handle,
            user_name=user_name,
            user_display_name=user_display_name,
            challenge=challenge,
            algorithms=tuple(self.algorithms if algorithms is None else algorithms),
            timeout_ms=timeout,
            exclude_credentials=excluded,
            authenticator_attachment=attachment,
            resident_key=resident_key,
            user_verification=user_verification,
            hints=_several(hints, "hints"),
            attestation=attestation or self.attestation,
            attestation_formats=_several(attestation_formats, "attestation_formats"),
            extensions=extensions,
            mediation=mediation,
        )
        state = RegistrationState(
            **self._begun(challenge, origins, top_origins, now, expires_at),
            user_verification=user_verification,
            usage=None if preset is None else preset.usage,
            mediation=mediation,
            extensions=tuple(extensions.to_dict()),
            user_handle=user_handle,
            realm=realm,
            user_id=user_id,
            binding=_begun_binding(binding),
            purpose=purpose,
            account_stamp=account_stamp,
            algorithms=options.algorithms,
            resident_key=resident_key,
            attestation=attestation or self.attestation,
            authenticator_attachment=authenticator_attachment,
            exclude_credentials=tuple(descriptor.id for descriptor in excluded),
            credential_name=credential_name,
        )
        check_choices(state)
        return RegistrationStart(options=options, state=state)

    def authentication_options(
        self,
        *,
        user_handle: bytes | None = None,
        allow: Iterable[CredentialRecord | CredentialDescriptor] = (),
        preset: Preset | None = None,
        user_verification: Requirement | None = None,
        require_trusted_user_verification: bool = False,
        hints: Sequence[str] = (),
        extensions: AuthenticationExtensions | Mapping[str, Any] | None = None,
        mediation: Literal["conditional"] | None = None,
        origins: Sequence[str] | None = None,
        top_origins: Sequence[str] | None = None,
        timeout_ms: int | None = None,
        challenge: bytes | None = None,
        realm: str = "",
        user_id: str | None = None,
        binding: bytes | str | None = None,
        purpose: str | None = None,
        account_stamp: str | None = None,
        now: datetime | None = None,
    ) -> AuthenticationStart:
        """Options for the client and the state to keep, for signing in or for proving presence again.

        Args:
            user_handle: The handle of the user who is to answer; None lets any user of this Relying Party answer,
                and the response must then tell which. Give it also for a user who has no credentials.
            allow: The credentials that may answer. Empty: any discoverable one.
            preset: As at registration; `sole_factor` also demands user verification that can be trusted.
            user_verification: ``preferred`` unless a preset says.
            require_trusted_user_verification: Demand UV that a thief cannot have set up, as step-up needs.
            hints, extensions, mediation, origins, timeout_ms, challenge, realm, user_id, binding, purpose,
                account_stamp, now: As in `registration_options`.

        Raises:
            ConfigurationError: An argument that no client or authenticator can honour.

        Spec: #sctn-verifying-assertion, #dictionary-assertion-options
        """
        now = _aware(now)
        sole = preset is not None and preset.usage == "sole_factor"
        if require_trusted_user_verification and user_verification is None and preset is None:
            user_verification = "required"
        _, user_verification = _demands(preset, None, user_verification)
        if extensions is None or isinstance(extensions, Mapping):
            extensions = AuthenticationExtensions.from_dict(extensions or {})
        if user_handle is not None:
            _check_user_handle(user_handle)
        allowed = _descriptors(allow)
        if preset is not None and preset.usage == "second_factor" and user_handle is None and not allowed:
            raise ConfigurationError(
                "a second factor comes after a first: name the user who gave it, or their credentials",
                path="user_handle",
            )
        ids = tuple(descriptor.id for descriptor in allowed)
        extensions.check(ids)
        challenge = _challenge(challenge)
        timeout, expires_at = _timeout(timeout_ms, mediation, now)
        options = RequestOptions(
            challenge=challenge,
            rp_id=self.id,
            timeout_ms=timeout,
            allow_credentials=allowed,
            user_verification=user_verification,
            hints=_several(hints, "hints"),
            extensions=extensions,
            mediation=mediation,
        )
        state = AuthenticationState(
            **self._begun(challenge, origins, top_origins, now, expires_at),
            user_verification=user_verification,
            usage=None if preset is None else preset.usage,
            mediation=mediation,
            extensions=tuple(extensions.to_dict()),
            user_handle=user_handle,
            realm=realm,
            user_id=user_id,
            binding=_begun_binding(binding),
            purpose=purpose,
            account_stamp=account_stamp,
            allow_credentials=ids,
            appid=extensions.appid,
            require_trusted_user_verification=require_trusted_user_verification or sole,
        )
        check_choices(state)
        return AuthenticationStart(options=options, state=state)

    def parse_registration(self, body: bytes | str | Mapping[str, Any]) -> RegistrationResponse:
        """The response that `body` holds; see `RegistrationResponse.parse`."""
        return RegistrationResponse.parse(body, self.policy)

    def parse_authentication(self, body: bytes | str | Mapping[str, Any]) -> AuthenticationResponse:
        """The response that `body` holds; its `raw_id` finds the record. See `AuthenticationResponse.parse`."""
        return AuthenticationResponse.parse(body, self.policy)

    def verify_registration(
        self,
        response: RegistrationResponse | bytes | str | Mapping[str, Any],
        state: RegistrationState,
        *,
        user_id: str | None = None,
        binding: bytes | str | None = None,
        now: datetime | None = None,
        trail: Trail | None = None,
    ) -> RegistrationOutcome:
        """The new credential, after every check of the specification and of this Relying Party's policy.

        Args:
            response: Parsed, or the body: JSON text or its members.
            state: What `registration_options` gave. Use it once: take it out of its store before this call.
            user_id, binding: What the ceremony was started with.
            now: The time, aware; None: the clock.
            trail: Filled with the checks that ran, when given.

        Raises:
            PasskeyError: As `passkeycore.webauthn.registration.verify_registration` and
                `RegistrationResponse.parse`. ChallengeError: `challenge_unknown`: another user or binding.
                UntrustedError: The attestation is valid, but not acceptable.

        Spec: #sctn-registering-a-new-credential
        """
        _check_begun(state, RegistrationState, self.id, user_id, binding)
        now = _aware(now)
        if not isinstance(response, RegistrationResponse):
            response = RegistrationResponse.parse(response, self.policy)
        verified: VerifiedRegistration = verify_registration(
            response, state, now=now, policy=self.policy, formats=self.formats, trail=trail
        )
        if trail is not None:
            trail.see("trust", len(self.trust.anchors), verified.attestation.type)
        return RegistrationOutcome(
            credential=verified.credential,
            attestation=verified.attestation,
            trust=judge(
                verified.attestation,
                self.trust,
                now,
                aaguid=verified.credential.aaguid,
                algorithm=verified.algorithm,
                registered_at=now,
            ),
            user_verified=verified.user_verified,
            client_extensions=verified.client_extensions,
            authenticator_extensions=verified.authenticator_extensions,
        )

    def reassess(
        self, credential: CredentialRecord, metadata: "Metadata | None" = None, now: datetime | None = None
    ) -> TrustDecision:
        """Whether the attestation of a stored credential would still be accepted today, offline.

        Run it over all records when metadata or a list of revoked certificates changed. What the record kept is
        judged: its certificates at the time of the registration, everything else at `now`.

        Args:
            credential: The record, with `attestation_object` and `client_data_json`; without, it counts as unproven.
            metadata: Instead of that of `trust`; None: that.
            now: The time, aware; None: the clock.

        Raises:
            PasskeyError: As `passkeycore.trust.reassess`; UntrustedError: it would be refused.
        """
        from .trust import reassess

        trust = self.trust if metadata is None else msgspec.structs.replace(self.trust, metadata=metadata)
        return reassess(credential, trust, _aware(now), policy=self.policy, formats=self.formats)

    def verify_authentication(
        self,
        response: AuthenticationResponse | bytes | str | Mapping[str, Any],
        state: AuthenticationState,
        credential: CredentialRecord,
        *,
        user_id: str | None = None,
        binding: bytes | str | None = None,
        now: datetime | None = None,
        trail: Trail | None = None,
    ) -> VerifiedAuthentication:
        """Who signed in and what to store, after every check of the specification.

        Args:
            response: Parsed (to find the record by its `raw_id`), or the body: JSON text or its members.
            state: What `authentication_options` gave. Use it once: take it out of its store before this call.
            credential: The record with the response's credential id.
            user_id, binding: What the ceremony was started with.
            now: The time, aware; None: the clock.
            trail: Filled with the checks that ran, when given.

        Raises:
            PasskeyError: As `passkeycore.webauthn.authentication.verify_authentication` and
                `AuthenticationResponse.parse`. ChallengeError: `challenge_unknown`: another user or binding.

        Spec: #sctn-verifying-assertion
        """
        _check_begun(state, AuthenticationState, self.id, user_id, binding)
        if not isinstance(response, AuthenticationResponse):
            response = AuthenticationResponse.parse(response, self.policy)
        return verify_authentication(response, state, credential, now=_aware(now), policy=self.policy, trail=trail)

    def _begun(
        self,
        challenge: bytes,
        origins: Sequence[str] | None,
        top_origins: Sequence[str] | None,
        now: datetime,
        expires_at: datetime,
    ) -> dict[str, Any]:
        """What the states of both ceremonies have from here."""
        if origins is None:
            several: tuple[str, ...] = (*self.origins, *self.related_origins)
        else:
            several = _several(origins, "origins")
            if not several:
                raise ConfigurationError("at least one origin is needed", path="origins")
            self._check_origins(several)
        if top_origins is None:
            around = tuple(self.top_origins)
        else:
            around = _several(top_origins, "top_origins")
            _check_web(around, "top_origins")
        return {
            "challenge": challenge,
            "rp_id": self.id,
            "origins": several,
            "created_at": now,
            "expires_at": expires_at,
            "allow_cross_origin": self.allow_cross_origin and (top_origins is None or around != ()),
            "top_origins": around,
        }


def _check_web(origins: Iterable[str], name: str) -> None:
    for origin in origins:
        if check_origin(origin) is None:
            raise ConfigurationError(f"{origin!a} is not a web origin", path=name)


def _check_begun(
    state: RegistrationState | AuthenticationState,
    kind: type[RegistrationState] | type[AuthenticationState],
    rp_id: str,
    user_id: str | None,
    binding: bytes | str | None,
) -> None:
    """Returns only when the state is of this ceremony, and of the one that this RP, user and binding began."""
    if isinstance(state, kind) and state.rp_id == rp_id and state.user_id == user_id:
        if state.binding is None and binding is None:
            return
        if compare_digest(state.binding or b"", hash_binding(binding) or b""):
            return
    raise ChallengeError(Code.CHALLENGE_UNKNOWN, "this ceremony was not begun here")


def _aware(now: datetime | None) -> datetime:
    if now is None:
        return datetime.now(UTC)
    if now.tzinfo is None:
        raise ConfigurationError("now is a time with its zone", path="now")
    return now


def _several(values: Sequence[_V], name: str) -> tuple[_V, ...]:
    if isinstance(values, str):
        raise ConfigurationError("a sequence of strings, not one string", path=name)
    return tuple(values)


def hash_binding(binding: bytes | str | None) -> bytes | None:
    """What a state keeps of a binding: its SHA-256, or None."""
    if binding is None:
        return None
    return sha256(binding.encode("utf-8", "surrogatepass") if isinstance(binding, str) else binding).digest()


def _begun_binding(binding: bytes | str | None) -> bytes | None:
    if binding is not None and not binding:  # as from a session that has no id
        raise ConfigurationError("an empty binding ties to nothing", path="binding")
    return hash_binding(binding)


def _demands(
    preset: Preset | None, resident_key: Requirement | None, user_verification: Requirement | None
) -> tuple[Requirement, Requirement]:
    if preset is None:
        return resident_key or "preferred", user_verification or "preferred"
    if resident_key is not None or user_verification is not None:
        raise ConfigurationError("the preset settles resident_key and user_verification", path="preset")
    return preset.resident_key, preset.user_verification


def _check_algorithms(algorithms: Sequence[int], policy: Policy) -> None:
    if not algorithms:
        raise ConfigurationError("at least one algorithm is needed", path="algorithms")
    for algorithm in algorithms:
        if algorithm not in ALGORITHMS:
            raise ConfigurationError(f"COSE algorithm {algorithm} is not supported", path="algorithms")
        if algorithm == RS1 and not policy.danger_allow_rs1:
            raise ConfigurationError("RS1 needs danger_allow_rs1", path="algorithms")


def check_text(text: str, path: str) -> None:
    """Raises ConfigurationError for a text that must not be shown to users."""
    # Control and bidirectional characters make a name look like another one in the client's dialog.
    if not text or UNSAFE_CHARACTERS.search(text):
        raise ConfigurationError("empty, or with control or bidirectional override characters", path=path)


def _check_user_handle(user_handle: bytes) -> None:
    if not 1 <= len(user_handle) <= 64:
        raise ConfigurationError("a user handle has 1 to 64 bytes", path="user_handle")


def _descriptors(
    credentials: Iterable[CredentialRecord | CredentialDescriptor],
) -> tuple[CredentialDescriptor, ...]:
    descriptors = tuple(
        CredentialDescriptor(id=credential.credential_id, transports=credential.transports)
        if isinstance(credential, CredentialRecord)
        else credential
        for credential in credentials
    )
    for descriptor in descriptors:
        if descriptor.type != "public-key" or not 1 <= len(descriptor.id) <= 1023:
            raise ConfigurationError("a credential is a public key with an id of 1 to 1023 bytes", path="credentials")
    return descriptors


def _challenge(challenge: bytes | None) -> bytes:
    if challenge is None:
        return os.urandom(_CHALLENGE_BYTES)
    if not _CHALLENGE_RANGE[0] <= len(challenge) <= _CHALLENGE_RANGE[1]:
        raise ConfigurationError("a challenge has 16 to 128 bytes", path="challenge")
    return challenge


def _timeout(timeout_ms: int | None, mediation: str | None, now: datetime) -> tuple[int | None, datetime]:
    """What to tell the client, and when the ceremony ends."""
    if timeout_ms is not None:
        check_timeout(timeout_ms, "timeout_ms")
        return timeout_ms, now + timedelta(milliseconds=timeout_ms)
    lifetime = _CONDITIONAL_LIFETIME if mediation == "conditional" else _LIFETIME
    return lifetime // timedelta(milliseconds=1), now + lifetime


def check_timeout(timeout_ms: int, path: str) -> None:
    """Raises ConfigurationError for a number of milliseconds that no ceremony can take."""
    if not isinstance(timeout_ms, int) or not 0 < timeout_ms <= _LONGEST_MS:
        raise ConfigurationError(f"a number of milliseconds up to {_LONGEST_MS}", path=path)
