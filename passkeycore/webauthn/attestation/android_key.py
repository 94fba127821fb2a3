"""The ``android-key`` format: the Android Keystore certifies the credential's own key and describes it.

Spec: #sctn-android-key-attestation
"""

from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Any, Final

from ...errors import AttestationError, Code
from ..encoding import CBOR
from ..policy import Policy
from .certificate import Certificate, certificate_error
from .key_description import FORMAT, OID, AuthorizationList, KeyDescription
from .statement import (
    AttestationCeremony,
    AttestationResult,
    Verify,
    attestation_key,
    certificates_of,
    check_signature,
    members_of,
    statement_error,
)

_MEMBERS: Final = frozenset({"alg", "sig", "x5c"})
_GENERATED: Final = 0  # of KeyMint's KeyOrigin
_SIGN: Final = 2  # of KeyMint's KeyPurpose
_PURPOSES: Final = ("encrypt", "decrypt", "sign", "verify", "derive_key", "wrap_key", "agree_key", "attest_key")
_HARDWARE: Final = frozenset({"trusted_environment", "strongbox"})
_STRONGBOX: Final = frozenset({"strongbox"})


def verify(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result for a statement, ``basic``, whose claims repeat what the Keystore says about the key.

    Raises:
        AttestationError: `attestation_statement_invalid`: not of this form, another key, another challenge, a key for
            all applications, imported, or not for signing. `attestation_signature_invalid`.
            `attestation_certificate_invalid`: the key description is missing, stands in a further certificate, or
            breaks its rules. `android_key_lists_empty`: nothing is said about the key, unless the policy allows
            that. `security_level_insufficient`: the key is not kept where the policy requires it.
        DecodeError: `too_large`, `certificate_malformed`; for every certificate of the path, since each is looked at.
    """
    members = members_of(statement, FORMAT, _MEMBERS, frozenset(), policy)
    algorithm, signature = members["alg"], members["sig"]
    if type(algorithm) is not int or not isinstance(signature, bytes):
        raise statement_error(FORMAT, "alg is not an integer or sig not a byte string")
    path = certificates_of(members["x5c"], FORMAT, policy)

    leaf = Certificate.parse(path[0])
    key = attestation_key(algorithm, leaf.public_key, FORMAT, policy)
    check_signature(key, signature, ceremony.authenticator_data.raw + ceremony.client_data_hash, FORMAT)
    if key.key != ceremony.public_key.key:
        raise statement_error(FORMAT, "the certificate is not for the credential's key")

    description = KeyDescription.of(leaf, policy.android_key_tag_order)
    # Whoever has a genuine attested key can sign certificates with it. Such a certificate would make the same
    # extension say what he likes, below a path that is otherwise genuine.
    if any(OID in Certificate.parse(der).extensions for der in path[1:]):
        raise certificate_error(FORMAT, "a certificate above the key's own has a key description")
    if not compare_digest(description.challenge, ceremony.client_data_hash):
        raise statement_error(FORMAT, "the attestation challenge is not the hash of the client data")
    _check_security_level(description, policy)
    return AttestationResult(format=FORMAT, type="basic", trust_path=path, claims=_judge(description, policy))


def _check_security_level(description: KeyDescription, policy: Policy) -> None:
    if policy.android_key_require_strongbox:
        enough = _STRONGBOX
    elif policy.android_key_require_hardware:
        enough = _HARDWARE
    else:
        return
    if not {description.security_level, description.keymint_security_level} <= enough:
        raise AttestationError(
            Code.SECURITY_LEVEL_INSUFFICIENT,
            "the key, or its attestation, is not kept where the policy requires it",
            attestation_format=FORMAT,
            expected=sorted(enough),
            actual=[description.security_level, description.keymint_security_level],
            spec="#sctn-android-key-attestation",
        )


def _judge(description: KeyDescription, policy: Policy) -> Mapping[str, object]:
    """The claims of a description whose authorizations allow the key to be a credential's."""
    software, hardware = description.software, description.hardware
    claims: dict[str, object] = {
        "attestation_version": description.attestation_version,
        "security_level": description.security_level,
        "keymint_security_level": description.keymint_security_level,
    }
    if software.all_applications or hardware.all_applications:
        raise statement_error(FORMAT, "the key is for all applications, not for one Relying Party")
    if software.is_empty and hardware.is_empty:
        if policy.danger_allow_empty_android_key_lists:
            return claims
        raise AttestationError(
            Code.ANDROID_KEY_LISTS_EMPTY,
            "both authorization lists are empty: nothing says that the key was made for signing",
            attestation_format=FORMAT,
            spec="#sctn-android-key-attestation",
        )
    enforced = policy.android_key_require_hardware or policy.android_key_require_strongbox
    lists = (hardware,) if enforced else (hardware, software)
    if _stated(lists, "origin") != _GENERATED:
        raise statement_error(FORMAT, "nothing says that the key was made in the Keystore")
    purposes: frozenset[int] = _stated(lists, "purposes") or frozenset()
    if _SIGN not in purposes or (policy.android_key_purpose == "only_sign" and len(purposes) > 1):
        raise statement_error(FORMAT, "the key is not for signing, or not for that only")
    claims["origin"] = "generated"
    claims["purposes"] = tuple(_PURPOSES[n] if n < len(_PURPOSES) else str(n) for n in sorted(purposes))
    return claims | _device_claims(lists)


def _stated(lists: Sequence[AuthorizationList], name: str) -> Any:
    """What the lists say together, or None when none says anything.

    Raises:
        AttestationError: `attestation_statement_invalid`: they contradict each other.
    """
    said = {value for authorizations in lists if (value := getattr(authorizations, name)) is not None}
    if len(said) > 1:
        raise statement_error(FORMAT, f"the authorization lists contradict each other about {name}")
    return said.pop() if said else None


def _device_claims(lists: Sequence[AuthorizationList]) -> dict[str, object]:
    """What the first list that has it says about the system: nothing is judged by it, so a second may differ."""
    found: dict[str, Any] = {}
    for authorizations in reversed(lists):
        for name in ("os_version", "os_patch_level", "root_of_trust"):
            if (value := getattr(authorizations, name)) is not None:
                found[name] = value
    root = found.pop("root_of_trust", None)
    if root is None:
        return found
    return {**found, "verified_boot_state": root.verified_boot_state, "device_locked": root.device_locked}
