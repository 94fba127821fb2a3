"""The knobs of the WebAuthn rules: size limits, and one named policy for each point where RPs rightly differ.

A policy says what to do where the specification leaves a choice or where strict reading and real clients
disagree. It never switches a rule of the specification off; names that begin with ``danger_`` weaken security.
"""

from functools import lru_cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from ..errors import ConfigurationError


def check_choices(settings: msgspec.Struct) -> None:
    """Returns only when every member that is declared as a choice of words holds one of them.

    Type checkers see a typing error in a word; a program that runs without one must not weaken a rule by it.

    Raises:
        ConfigurationError: Otherwise.
    """
    for name, choices in _members(type(settings)):
        if getattr(settings, name) not in choices:
            raise ConfigurationError(f"{getattr(settings, name)!a} is not one of {choices}", path=name)


@lru_cache(maxsize=32)  # every start of a ceremony has a state to check, and there are few kinds
def _members(kind: type[msgspec.Struct]) -> tuple[tuple[str, tuple[object, ...]], ...]:
    return tuple(
        (name, choices)
        for base in kind.__mro__
        for name, annotation in getattr(base, "__annotations__", {}).items()
        if (choices := _choices(annotation))
    )


def _choices(annotation: Any) -> tuple[object, ...]:
    origin = get_origin(annotation)
    if origin is Literal:
        return get_args(annotation)
    if origin is Union or origin is UnionType:
        parts = get_args(annotation)
        words = tuple(word for part in parts for word in _choices(part))
        return (*words, None) if words and type(None) in parts else words
    return ()


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes that are refused before any work is spent on them.

    The defaults leave room for the largest honest input: an ML-DSA-87 key is 2592 bytes, its signature 4627.

    Attributes:
        json_bytes: A whole response, as UTF-8.
        client_data_bytes: ``clientDataJSON``, decoded.
        attestation_object_bytes: ``attestationObject``, decoded.
        authenticator_data_bytes: ``authenticatorData``, decoded, also inside an attestation object.
        signature_bytes: ``signature``, decoded.
        certificates: Number of certificates in one attestation statement.
        certificate_bytes: One certificate, DER.
        statements: Number of statements inside a compound one.
        transports: Number of transports in one response.
        transport_characters: One transport.
        extensions: Number of client extension results in one response.
    """

    json_bytes: int = 131_072
    client_data_bytes: int = 8_192
    attestation_object_bytes: int = 65_536
    authenticator_data_bytes: int = 8_192
    signature_bytes: int = 8_192
    certificates: int = 8
    certificate_bytes: int = 16_384
    statements: int = 8
    transports: int = 32
    transport_characters: int = 32
    extensions: int = 32


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What to do where WebAuthn leaves the choice to the Relying Party. Every name also works in vector files.

    Attributes:
        limits: Sizes that are refused.
        sign_count_regression: What a counter that did not grow does. ``reject_single_device`` refuses it for
            credentials that cannot be backed up, where it hints at a clone, and reports it for the others and
            for unknown ones: synced passkeys have no common counter.
        backup_eligibility_change: ``reject`` because BE never changes for a credential; ``report`` for
            servers whose users' password managers changed it. An unknown stored value is learnt.
        unsolicited_extensions: Outputs of extensions that were not asked for. ``ignore`` because authenticators
            do send them and the specification has RPs cope.
        client_data_encoding: ``decode`` strips a byte order mark and reads malformed UTF-8 as U+FFFD, as the
            specification's UTF-8 decode does; ``strict`` refuses both.
        client_data_token_binding: ``ignore`` because the member is reserved; ``refuse`` refuses a status of
            ``present``.
        cbor_key_order: ``any`` because real authenticators differ; ``canonical`` demands CTAP2's order.
        cbor_max_depth: Nested containers, each counted. 6, because a compound statement with x5c needs 5.
            CTAP2's own limit is 4.
        unknown_statement_members: Members of an attestation statement that its format does not define.
            ``ignore`` because Apple's devices send an ``alg``.
        authenticator_attachment: ``hint`` because clients omit or guess it; ``enforce`` demands the one that was
            asked for.
        min_credential_id_bytes: 1, the least that identifies anything. CTAP2 credentials have 16 or more.
        root_in_x5c: ``allow`` because authenticators do send the root of their path, and it proves nothing either way;
            ``refuse`` is what conformance suites ask for.
        compound: ``all``: every statement inside a compound one has to be valid. With ``any`` one valid one suffices,
            and the others do not count.
        android_key_purpose: ``contains_sign`` because some devices list further purposes; ``only_sign`` reads the
            specification's "equal" by the letter.
        android_key_require_hardware: Count only what a trusted environment or a StrongBox enforces, and refuse keys
            that software keeps. The specification leaves it to the Relying Party.
        android_key_require_strongbox: Refuse keys outside of a StrongBox; implies `android_key_require_hardware`.
        android_key_tag_order: ``ascending`` as DER demands of the members of an authorization list; ``any`` for
            devices that write them in another order.
        fido_u2f_aaguid: ``any`` because the specification does not look at it, and its own vector has one; ``zero``
            is CTAP2's rule, which conformance suites test.
        tpm_vendor: ``any`` because the specification knows no list, and lists age. ``listed`` demands a manufacturer
            of the TCG's registry, ``listed_or_test`` also lets the one of FIDO's conformance suite pass.
        tpm_names: Where the certificate of a TPM names its maker, model and version: ``any`` takes one relative name
            with all three as well as one for each, as real chips have; ``one`` only the former, the TCG's own example.
        android_safetynet_max_age_s: How old a SafetyNet answer may be, in seconds.
        danger_allow_empty_android_key_lists: Accept an Android key whose authorization lists are both empty, so that
            nothing says that the key was made for signing. Only the specification's own vector needs it.
        danger_allow_android_safetynet: Accept SafetyNet statements. Google ended the service, so no honest client
            makes new ones.
        danger_allow_rs1: Let RSASSA-PKCS1-v1_5 with SHA-1 be configured, and TPMs attest with it or name their keys
            by SHA-1. Only old TPMs still need it, but many Windows devices have one.
    """

    limits: Limits = Limits()
    sign_count_regression: Literal["reject_single_device", "reject", "report"] = "reject_single_device"
    backup_eligibility_change: Literal["reject", "report"] = "reject"
    unsolicited_extensions: Literal["ignore", "refuse"] = "ignore"
    client_data_encoding: Literal["decode", "strict"] = "decode"
    client_data_token_binding: Literal["ignore", "refuse"] = "ignore"
    cbor_key_order: Literal["any", "canonical"] = "any"
    cbor_max_depth: int = 6
    unknown_statement_members: Literal["ignore", "refuse"] = "ignore"
    authenticator_attachment: Literal["hint", "enforce"] = "hint"
    min_credential_id_bytes: int = 1
    root_in_x5c: Literal["allow", "refuse"] = "allow"
    compound: Literal["all", "any"] = "all"
    android_key_purpose: Literal["contains_sign", "only_sign"] = "contains_sign"
    android_key_require_hardware: bool = False
    android_key_require_strongbox: bool = False
    android_key_tag_order: Literal["ascending", "any"] = "ascending"
    fido_u2f_aaguid: Literal["any", "zero"] = "any"
    tpm_vendor: Literal["any", "listed", "listed_or_test"] = "any"
    tpm_names: Literal["any", "one"] = "any"
    android_safetynet_max_age_s: int = 60
    danger_allow_empty_android_key_lists: bool = False
    danger_allow_android_safetynet: bool = False
    danger_allow_rs1: bool = False

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a word that is not one of the choices, or a number out of range."""
        check_choices(self)
        if not 1 <= self.cbor_max_depth <= 64:
            raise ConfigurationError("a depth of 1 to 64", path="cbor_max_depth")
        if not 1 <= self.min_credential_id_bytes <= 1023:
            raise ConfigurationError("a length of 1 to 1023 bytes", path="min_credential_id_bytes")
        if self.android_safetynet_max_age_s < 1:
            raise ConfigurationError("at least a second", path="android_safetynet_max_age_s")


DEFAULT_POLICY = Policy()


def conformance() -> Policy:
    """The strict forms that conformance suites ask for and that some honest clients do not meet."""
    return Policy(
        sign_count_regression="reject",
        client_data_encoding="strict",
        client_data_token_binding="refuse",
        cbor_key_order="canonical",
        cbor_max_depth=4,
        unknown_statement_members="refuse",
        authenticator_attachment="enforce",
        min_credential_id_bytes=16,
        root_in_x5c="refuse",
        android_key_purpose="only_sign",
        fido_u2f_aaguid="zero",
        tpm_vendor="listed_or_test",
        tpm_names="one",
    )
