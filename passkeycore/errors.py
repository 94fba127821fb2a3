"""Every exception that passkeycore raises on its own account, on one page.

A class exists only where a caller would write a different ``except``; everything finer is a `Code`.

    PasskeyError
    ├── ConfigurationError       ours to mend; raised when something is built, never by remote input
    ├── DecodeError              malformed bytes or JSON, or larger than its limit; `.path` names the member
    ├── UnsupportedError         well-formed, but not implemented or not enabled
    ├── VerificationError        a check failed; `.expected` and `.actual`
    │   ├── SignatureError
    │   ├── AttestationError     the statement is invalid; `.attestation_format`
    │   └── UntrustedError       the statement is valid, policy says no; `.decision`
    ├── CeremonyError
    │   ├── ChallengeError       unknown, expired, used or bound elsewhere: deliberately one case
    │   ├── CredentialNotFound   `.signal`, for the client that offered it
    │   ├── CredentialExists
    │   ├── LimitReached         e.g. too many passkeys; `.limit` and `.current`
    │   ├── ConflictError        somebody else changed the same thing first
    │   └── ActionError          the action's state does not allow it; `.state`
    └── TokenError               a token of ours is forged, meant for something else, or expired

Any other exception out of ``parse`` or ``verify``, for any input whatsoever, is a bug. What a database or its driver
raises passes through as it is: it is no verdict.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar


class Code(StrEnum):
    """What went wrong, as a stable word for programs. Closed: a new release adds codes, it never renames one."""

    # ConfigurationError
    CONFIGURATION_INVALID = "configuration_invalid"
    # DecodeError
    TOO_LARGE = "too_large"
    JSON_INVALID = "json_invalid"
    BASE64URL_INVALID = "base64url_invalid"
    CBOR_INVALID = "cbor_invalid"
    AUTHENTICATOR_DATA_INVALID = "authenticator_data_invalid"
    PUBLIC_KEY_MALFORMED = "public_key_malformed"
    CERTIFICATE_MALFORMED = "certificate_malformed"
    EXTENSION_MALFORMED = "extension_malformed"
    STATE_INVALID = "state_invalid"
    RECORD_INVALID = "record_invalid"
    VECTOR_INVALID = "vector_invalid"
    METADATA_INVALID = "metadata_invalid"
    STATUS_LIST_INVALID = "status_list_invalid"
    NAME_INVALID = "name_invalid"
    USER_ID_INVALID = "user_id_invalid"
    CURSOR_INVALID = "cursor_invalid"
    ACTION_INVALID = "action_invalid"
    APP_ATTEST_MALFORMED = "app_attest_malformed"
    # UnsupportedError
    ALGORITHM_UNSUPPORTED = "algorithm_unsupported"
    ATTESTATION_FORMAT_UNSUPPORTED = "attestation_format_unsupported"
    # VerificationError: client data
    TYPE_MISMATCH = "type_mismatch"
    CHALLENGE_MISMATCH = "challenge_mismatch"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    CROSS_ORIGIN_NOT_ALLOWED = "cross_origin_not_allowed"
    TOP_ORIGIN_NOT_ALLOWED = "top_origin_not_allowed"
    TOKEN_BINDING_NOT_ALLOWED = "token_binding_not_allowed"
    # VerificationError: authenticator data
    RP_ID_MISMATCH = "rp_id_mismatch"
    USER_PRESENCE_REQUIRED = "user_presence_required"
    USER_VERIFICATION_REQUIRED = "user_verification_required"
    USER_VERIFICATION_UNTRUSTED = "user_verification_untrusted"
    BACKUP_FLAGS_INVALID = "backup_flags_invalid"
    BACKUP_ELIGIBILITY_CHANGED = "backup_eligibility_changed"
    ATTESTED_DATA_MISSING = "attested_data_missing"
    ATTESTED_DATA_UNEXPECTED = "attested_data_unexpected"
    SIGN_COUNT_REGRESSED = "sign_count_regressed"
    # VerificationError: credential and owner
    CREDENTIAL_TYPE_INVALID = "credential_type_invalid"
    CREDENTIAL_ID_INVALID = "credential_id_invalid"
    CREDENTIAL_ID_MISMATCH = "credential_id_mismatch"
    CREDENTIAL_NOT_ALLOWED = "credential_not_allowed"
    CREDENTIAL_NOT_DISCOVERABLE = "credential_not_discoverable"
    ATTACHMENT_NOT_ALLOWED = "attachment_not_allowed"
    USER_HANDLE_MISSING = "user_handle_missing"
    USER_HANDLE_MISMATCH = "user_handle_mismatch"
    EXTENSION_UNSOLICITED = "extension_unsolicited"
    # VerificationError: keys and signatures
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    PUBLIC_KEY_INVALID = "public_key_invalid"
    PUBLIC_KEY_WEAK = "public_key_weak"
    SIGNATURE_INVALID = "signature_invalid"
    # VerificationError: App Attest
    APP_ATTEST_INVALID = "app_attest_invalid"
    # VerificationError: webhooks
    WEBHOOK_SIGNATURE_INVALID = "webhook_signature_invalid"
    WEBHOOK_EXPIRED = "webhook_expired"
    # AttestationError
    ATTESTATION_STATEMENT_INVALID = "attestation_statement_invalid"
    ATTESTATION_CERTIFICATE_INVALID = "attestation_certificate_invalid"
    ATTESTATION_SIGNATURE_INVALID = "attestation_signature_invalid"
    ANDROID_KEY_LISTS_EMPTY = "android_key_lists_empty"
    SECURITY_LEVEL_INSUFFICIENT = "security_level_insufficient"
    # UntrustedError
    ATTESTATION_REQUIRED = "attestation_required"
    ATTESTATION_UNTRUSTED = "attestation_untrusted"
    ATTESTATION_REVOKED = "attestation_revoked"
    ATTESTATION_NOT_ALLOWED = "attestation_not_allowed"
    AUTHENTICATOR_NOT_ALLOWED = "authenticator_not_allowed"
    METADATA_MISMATCH = "metadata_mismatch"
    STATUS_LIST_MISSING = "status_list_missing"
    # VerificationError: metadata, when it is loaded
    METADATA_SIGNATURE_INVALID = "metadata_signature_invalid"
    METADATA_UNTRUSTED = "metadata_untrusted"
    METADATA_ROLLBACK = "metadata_rollback"
    # CeremonyError
    CHALLENGE_UNKNOWN = "challenge_unknown"
    CHALLENGE_EXPIRED = "challenge_expired"
    CHALLENGE_REJECTED = "challenge_rejected"
    ATTEMPTS_EXCEEDED = "attempts_exceeded"
    CREDENTIAL_EXISTS = "credential_exists"
    NO_CREDENTIAL = "no_credential"
    USER_NOT_FOUND = "user_not_found"
    USER_DISABLED = "user_disabled"
    USER_EXISTS = "user_exists"
    LIMIT_REACHED = "limit_reached"
    CONFLICT = "conflict"
    VERIFICATION_CODE_WRONG = "verification_code_wrong"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    ACTION_NOT_FOUND = "action_not_found"
    ACTION_STATE = "action_state"
    # TokenError
    TOKEN_INVALID = "token_invalid"
    TOKEN_EXPIRED = "token_expired"
    SCOPE_MISSING = "scope_missing"


_SHOWN_LENGTH = 200
_SPEC = "https://www.w3.org/TR/webauthn-3/"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def show(value: object) -> str:
    """A bounded, escaped, one-line text of a remote value: safe in a log, whatever it holds."""
    if isinstance(value, (bytes, bytearray)):
        text = bytes(value[: _SHOWN_LENGTH // 2]).hex()
    elif isinstance(value, str):
        text = ascii(value[:_SHOWN_LENGTH])
    else:
        text = ascii(value)
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."


class PasskeyError(Exception):
    """The root of everything that passkeycore raises.

    Attributes:
        code: The stable word for programs.
        message: For developers and logs: bounded, escaped, without secrets. ``str(error)`` is the same.
        public_message: For end users. The same for every failed verification, so that it is no oracle.
        http_status: What an HTTP server would usually answer.
        spec: Address of the rule in WebAuthn Level 3, or None where the rule is ours.
        path: The member at fault, such as ``response.clientDataJSON``; None where no single one is.
        expected: What the value was compared with, or None. Never a secret.
        actual: The value that was refused, or None. Never a secret.
    """

    public_message: ClassVar[str] = "The request could not be processed."
    http_status: ClassVar[int] = 400

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        path: str | None = None,
        expected: object = None,
        actual: object = None,
        spec: str | None = None,
    ) -> None:
        self.code = code
        self.message = message if path is None else f"{path}: {message}"
        self.path = path
        self.expected = expected
        self.actual = actual
        self.spec = None if spec is None else _SPEC + spec
        super().__init__(self.message)

    def to_dict(self) -> dict[str, object]:
        """The error as JSON-ready members, for logs and for machines that are trusted with details."""
        members: dict[str, object] = {
            "code": self.code.value,
            "message": self.message,
            "path": self.path,
            "spec": self.spec,
        }
        for name, seen in (("expected", self.expected), ("actual", self.actual)):
            members[name] = seen if seen is None or isinstance(seen, (bool, int)) else show(seen)
        return {name: value for name, value in members.items() if value is not None}

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (type(self), self.args, self.__dict__))


def _restore(kind: type[PasskeyError], args: tuple[object, ...], members: dict[str, object]) -> PasskeyError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(members)
    return error


class ConfigurationError(PasskeyError):
    """The application is set up wrongly. Raised when a thing is built, never because of remote input."""

    public_message = "The server is not set up correctly."
    http_status = 500

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(Code.CONFIGURATION_INVALID, message, path=path)


class DecodeError(PasskeyError):
    """Malformed, oversized or wrongly typed input. `path` names the offending member."""

    public_message = "The request is malformed."


class UnsupportedError(PasskeyError):
    """Well-formed input that asks for something not implemented here, or not enabled."""

    public_message = "The request is not supported."


class VerificationError(PasskeyError):
    """A check failed: the ceremony must not count."""

    public_message = "The passkey could not be verified."
    http_status = 403


class SignatureError(VerificationError):
    """The assertion signature does not verify under the stored public key."""


class AttestationError(VerificationError):
    """The attestation statement is invalid. `attestation_format` says which format judged it."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        attestation_format: str,
        expected: object = None,
        actual: object = None,
        spec: str | None = None,
    ) -> None:
        super().__init__(code, message, path="response.attestationObject", expected=expected, actual=actual, spec=spec)
        self.attestation_format = attestation_format


class UntrustedError(VerificationError):
    """The attestation statement is valid, but the policy does not accept it.

    `decision` is the `passkeycore.trust.TrustDecision` with the reasons.
    """

    def __init__(self, code: Code, message: str, *, decision: object) -> None:
        super().__init__(code, message, path="response.attestationObject", spec="#sctn-registering-a-new-credential")
        self.decision = decision


class CeremonyError(PasskeyError):
    """The ceremony as a whole cannot go on: its challenge, its credential or a limit says no."""

    public_message = VerificationError.public_message
    http_status = 403


class ChallengeError(CeremonyError):
    """The challenge is unknown, expired, used or bound elsewhere; which of these is nobody's business."""


class CredentialNotFound(CeremonyError):  # noqa: N818 - reads as what happened, like FileNotFoundError's root
    """There is no credential to verify with, or none of this user's by that id.

    `signal` is the argument of ``PublicKeyCredential.signalUnknownCredential()``, JSON-ready, which lets the client
    forget the passkey; None unless the client itself chose the credential, in a ceremony that named nobody.
    """

    def __init__(self, message: str, *, path: str | None = None, signal: dict[str, str] | None = None) -> None:
        super().__init__(Code.NO_CREDENTIAL, message, path=path)
        self.signal = signal


class CredentialExists(CeremonyError):  # noqa: N818
    """The credential is already registered."""

    public_message = "This passkey is already registered."
    http_status = 409


class LimitReached(CeremonyError):  # noqa: N818
    """There are as many as may be. `limit` is the most that are allowed, `current` how many there are."""

    public_message = "There are too many already."
    http_status = 409

    def __init__(self, message: str, *, limit: int, current: int) -> None:
        super().__init__(Code.LIMIT_REACHED, message)
        self.limit = limit
        self.current = current


class ConflictError(CeremonyError):
    """Somebody else changed the same thing at the same time, or first. Begin again."""

    public_message = "Something changed in the meantime. Please try again."
    http_status = 409


class ActionError(CeremonyError):
    """The action is in a state in which this is not done, such as a challenge that was not met. `state` names it."""

    public_message = "This step has not been confirmed."

    def __init__(self, code: Code, message: str, *, state: str | None = None) -> None:
        super().__init__(code, message)
        self.state = state


class TokenError(PasskeyError):
    """A token is none of ours, is meant for something else, or has expired."""

    public_message = "The link or code is not valid any more."
    http_status = 403


def show_path(path: Sequence[str | int]) -> str:
    """Where something stands, in one line, such as ``actions.transfer.rules[0].when``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _PLAIN_NAME.fullmatch(part) else show(part[:64]))
    return text
