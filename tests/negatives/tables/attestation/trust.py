"""Cases about trust beyond paths: FIDO metadata, Google's list of revoked certificates, and rules about models.

Rows P17, P18, K10 to K15, R72, R73, X22 to X26. How metadata is loaded stands in `metadata`.
"""

import json
from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from passkeycore import Code, TrustPolicy
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    StatementMaker,
    android_key_maker,
    apple_maker,
    certificates,
    compound_maker,
    der,
    fido_u2f_maker,
    metadata_entry,
    metadata_payload,
    packed_maker,
    tpm_certificate,
    tpm_maker,
)
from passkeycore.testing.statements import make_packed_self
from passkeycore.trust import Anchor, AndroidStatusList
from passkeycore.trust.metadata import Metadata
from passkeycore.webauthn.attestation.certificate import Certificate

from ...ceremonies import NOW, SEED, Replace, Setup, authenticator
from ...harness import create
from .packed import DIRECT

_DAY: Final = timedelta(days=1)
_BEFORE, _AFTER = NOW - _DAY, NOW + _DAY
ROOT: Final = AttestationAuthority(SEED)
STRANGER: Final = AttestationAuthority("stranger")
DEVICE: Final = AttestationAuthority(SEED, parent=ROOT, common_name="device")
OTHER_AAGUID: Final = UUID(int=7)


def metadata(*entries: Any, **payload: Any) -> Metadata:
    """Metadata with these entries."""
    return Metadata.from_unsigned_payload(json.dumps(metadata_payload(*entries, **payload)).encode())


def model(aaguid: UUID | None = TEST_AAGUID, anchor: bytes = ROOT.root, **members: Any) -> Any:
    """The metadata of a model that this anchor certifies."""
    return metadata_entry(aaguid, [anchor], **members)


def trusting(maker: StatementMaker, **rules: Any) -> Setup:
    """A Relying Party that accepts what these rules trust, and an authenticator that they do trust."""
    usual: dict[str, Any] = {"untrusted": "reject"}
    return Setup(options=DIRECT, rp={"trust": TrustPolicy(**(usual | rules))}, authenticator={"attestation": maker})


def attesting(maker: StatementMaker) -> Replace:
    """An authenticator that attests in another way."""
    return authenticator(attestation=maker)


def of_model(**members: Any) -> Setup:
    """A Relying Party with the metadata of one model, which is here."""
    return trusting(packed_maker(ROOT.issue(TEST_AAGUID)), metadata=metadata(model(**members), no=1 + len(members)))


def listed(*serials: str, fetched_at: datetime = NOW, status: str = "REVOKED") -> AndroidStatusList:
    """A list with these certificates."""
    entries = {serial: {"status": status, "reason": "KEY_COMPROMISE"} for serial in serials}
    return AndroidStatusList.parse(json.dumps({"entries": entries}).encode(), fetched_at)


def android(**rules: Any) -> Setup:
    """A Relying Party that has Android's root, and a device below it."""
    return trusting(android_key_maker(DEVICE), **({"anchors": (ROOT.root,)} | rules))


def device(**changes: Any) -> Replace:
    """A device whose certificate, which certifies its keys, is different in this."""
    return attesting(android_key_maker(AttestationAuthority(SEED, parent=ROOT, common_name="another", **changes)))


def serial_of(der: bytes) -> int:
    """The serial number of a certificate."""
    return Certificate.parse(der).serial_number


_REVOKED: Final = AttestationAuthority(SEED, parent=ROOT, common_name="revoked")
_LEGACY: Final = AttestationAuthority(SEED, parent=ROOT, common_name="legacy")
_SUSPENDED: Final = AttestationAuthority(SEED, parent=ROOT, common_name="suspended")
_LIST: Final = listed(f"{serial_of(_REVOKED.certificate):x}", str(serial_of(_LEGACY.certificate)))
_PROVISIONED: Final = [certificates.extension("1.3.6.1.4.1.11129.2.1.30", b"\xa1\x01\x08")]
_STATUS, _UNTRUSTED = Code.ATTESTATION_REVOKED, Code.ATTESTATION_UNTRUSTED
_MISMATCH: Final = Code.METADATA_MISMATCH


def _trusted(outcome: Any) -> bool:
    return bool(outcome.trust.trusted)


ANDROID: Final = (
    create("K10-revoked-intermediate", _STATUS, attesting(android_key_maker(_REVOKED)), android(android_status=_LIST)),
    create("K10.listed-in-decimal", _STATUS, attesting(android_key_maker(_LEGACY)), android(android_status=_LIST)),
    create(
        "K10.suspended-intermediate",
        _STATUS,
        attesting(android_key_maker(_SUSPENDED)),
        android(android_status=listed(f"{serial_of(_SUSPENDED.certificate):X}", status="SUSPENDED")),
    ),
    create(
        "K10.revoked-root",
        _STATUS,
        attesting(android_key_maker(STRANGER)),
        android(anchors=(ROOT.root, STRANGER.root), android_status=listed(f"{serial_of(STRANGER.root):x}")),
    ),
    create(
        "K10.unlisted-intermediate", None, attesting(android_key_maker(ROOT)), android(android_status=_LIST), _trusted
    ),
    create(
        "K11-list-required-and-stale",
        Code.STATUS_LIST_MISSING,
        Replace("finish", {"now": NOW + timedelta(minutes=2)}),
        android(
            android_status=listed(fetched_at=NOW - _DAY + timedelta(minutes=1)),
            require_android_status=True,
            android_status_max_age_s=86_400,
        ),
    ),
    create(
        "K11.last-moment-of-freshness",
        None,
        Replace("finish", {"now": NOW + timedelta(minutes=1)}),
        android(android_status=listed(fetched_at=NOW - _DAY + timedelta(minutes=1)), require_android_status=True),
        _trusted,
    ),
    create("K12-root-left-out", None, device(algorithm=-35), android(), lambda o: o.trust.path[-1] == ROOT.root),
    create("K13-provisioned-and-expired", _UNTRUSTED, device(extensions=_PROVISIONED, not_after=_BEFORE), android()),
    create("K13.provisioned", None, device(extensions=_PROVISIONED), android(), _trusted),
    create("K14-factory-and-expired", None, device(not_after=_BEFORE), android(), _trusted),
    create(
        "K14.factory-and-expired-where-that-counts",
        _UNTRUSTED,
        device(not_after=_BEFORE),
        android(android_factory_expiry="refuse"),
    ),
    create("K14.factory-not-yet-valid", _UNTRUSTED, device(not_before=_AFTER), android()),
    create("K15-software-root", _UNTRUSTED, attesting(android_key_maker(STRANGER)), android()),
)
_SELF: Final = {"attestationTypes": ["basic_surrogate"]}
SURROGATES: Final = (
    create("P17-self-of-a-model-that-has-certificates", _MISMATCH, attesting(make_packed_self), of_model()),
    create(
        "P17.self-of-a-model-that-has-both",
        None,
        attesting(make_packed_self),
        of_model(statement={"attestationTypes": ["basic_full", "basic_surrogate"]}),
        lambda o: not o.trust.trusted and o.trust.entry is not None,
    ),
    create(
        "P17.self-of-a-model-that-nobody-knows",
        None,
        Replace("authenticator", {"attestation": make_packed_self, "aaguid": OTHER_AAGUID}),
        of_model(),
        lambda o: not o.trust.trusted and o.trust.entry is None,
    ),
    create(
        "P17.certificates-of-a-model-that-has-none",
        _MISMATCH,
        attesting(packed_maker(ROOT.issue(TEST_AAGUID))),
        trusting(make_packed_self, metadata=metadata(model(statement=_SELF))),
    ),
    create(
        "P18-self-with-an-algorithm-that-the-model-lacks",
        _MISMATCH,
        Replace("authenticator", {"algorithms": (-8,)}),
        trusting(make_packed_self, metadata=metadata(model(statement=_SELF))),
    ),
)
_TWO: Final = metadata(model(), model(OTHER_AAGUID, STRANGER.root))
_WEB: Final = AttestationAuthority("web")
_U2F: Final = ROOT.issue()
_BATCH, _OTHER_BATCH = ROOT.issue(TEST_AAGUID), ROOT.issue(TEST_AAGUID, algorithm=-35)


def _key_of(certificate: bytes) -> str:
    return Certificate.parse(certificate).key_identifier.hex()


SCOPES: Final = (
    create(
        "X22-anchor-of-another-model",
        _UNTRUSTED,
        attesting(packed_maker(STRANGER.issue(TEST_AAGUID))),
        trusting(packed_maker(ROOT.issue(TEST_AAGUID)), metadata=_TWO, anchors=(STRANGER.root,)),
    ),
    create(
        "X22.anchor-of-the-policy-for-an-unknown-model",
        None,
        Replace("authenticator", {"attestation": packed_maker(STRANGER.issue()), "aaguid": UUID(int=8)}),
        trusting(packed_maker(ROOT.issue(TEST_AAGUID)), metadata=_TWO, anchors=(STRANGER.root,)),
        _trusted,
    ),
    create(
        "X22.anchors-of-the-model-are-for-another-format",
        _UNTRUSTED,
        attesting(android_key_maker(STRANGER)),
        trusting(
            packed_maker(ROOT.issue(TEST_AAGUID)),
            anchors=(STRANGER.root,),
            metadata=metadata(metadata_entry(TEST_AAGUID, [ROOT.root, b"unreadable"])),
        ),
    ),
    create(
        "X22.model-whose-anchors-nobody-can-read",
        _UNTRUSTED,
        Replace("authenticator", {"aaguid": OTHER_AAGUID}),
        trusting(
            packed_maker(ROOT.issue()),
            anchors=(ROOT.root,),
            metadata=metadata(metadata_entry(OTHER_AAGUID, [b"unreadable"])),
        ),
    ),
    create(
        "X23-anchor-of-another-format",
        _UNTRUSTED,
        attesting(packed_maker(ROOT.issue(TEST_AAGUID))),
        trusting(apple_maker(ROOT), anchors=(Anchor(ROOT.root, frozenset({"apple"}), "Apple's"),)),
    ),
    create(
        "X23.tpm-under-an-anchor-for-packed",
        _UNTRUSTED,
        attesting(tpm_maker(ROOT)),
        trusting(packed_maker(ROOT.issue(TEST_AAGUID)), anchors=(Anchor(ROOT.root, frozenset({"packed"})),)),
    ),
    create(
        "X24-no-anchors-but-those-of-another-format",
        _UNTRUSTED,
        attesting(packed_maker(_WEB.issue(TEST_AAGUID))),
        trusting(android_key_maker(ROOT), anchors=(Anchor(ROOT.root, frozenset({"android-key"})),)),
    ),
    create(
        "X22.u2f-by-the-key-of-its-certificate",
        None,
        attesting(fido_u2f_maker(_U2F)),
        trusting(
            packed_maker(ROOT.issue(TEST_AAGUID)),
            metadata=metadata(
                model(),
                model(
                    None,
                    statement={"protocolFamily": "u2f"},
                    attestationCertificateKeyIdentifiers=[_key_of(_U2F.x5c[0])],
                ),
            ),
        ),
        lambda o: o.trust.trusted and o.trust.entry.protocol_family == "u2f",
    ),
)


def reported(*statuses: tuple[str, str | None], **rules: Any) -> Setup:
    """Two models of one anchor: the one that is here, and another one with these reports."""
    entries = metadata(model(statuses=[("FIDO_CERTIFIED_L2", "2024-01-01")]), model(OTHER_AAGUID, statuses=statuses))
    return trusting(packed_maker(ROOT.issue()), metadata=entries, **rules)


_COMPROMISE: Final = {
    "status": "ATTESTATION_KEY_COMPROMISE",
    "effectiveDate": "2025-01-01",
    "batchCertificate": b64encode(_OTHER_BATCH.x5c[0]).decode(),
}


_NAMELESS_MODEL: Final = Setup(
    options=DIRECT,
    authenticator={"attestation": packed_maker(ROOT.issue()), "aaguid": UUID(int=0)},
    rp={
        "trust": TrustPolicy(
            anchors=(ROOT.root,),
            metadata=metadata(model(statuses=[("ATTESTATION_KEY_COMPROMISE", "2025-01-01")])),
            untrusted="reject",
        )
    },
)


def _other(setup: Setup, id: str, code: Code | None) -> Any:
    return create(id, code, Replace("authenticator", {"aaguid": OTHER_AAGUID}), setup)


_GOOD: Final = ("FIDO_CERTIFIED_L1", "2024-01-01")
_BYPASS: Final = "USER_VERIFICATION_BYPASS"
_LEVEL_2: Final = {"require_certification": "FIDO_CERTIFIED_L2"}
_UPDATE: Final = {"status": "UPDATE_AVAILABLE", "effectiveDate": "2025-01-01", "authenticatorVersion": 5}


def _of_firmware(version: int) -> StatementMaker:
    firmware = certificates.extension("1.3.6.1.4.1.45724.1.1.5", der.integer(version))
    return packed_maker(ROOT.issue(TEST_AAGUID, extensions=[firmware]))


def _of_batch(report: Any) -> Setup:
    """A model with a compromised batch that is not the one that is here."""
    return trusting(packed_maker(_BATCH), metadata=metadata(model(statusReports=report), no=len(report)))


STATUSES: Final = (
    *(
        _other(reported(_GOOD, (word, "2025-01-01")), f"X25-{word.lower().replace('_', '-')}", _STATUS)
        for word in (
            "REVOKED",
            "ATTESTATION_KEY_COMPROMISE",
            "USER_KEY_PHYSICAL_COMPROMISE",
            "USER_KEY_REMOTE_COMPROMISE",
            "USER_VERIFICATION_BYPASS",
        )
    ),
    _other(reported(("REVOKED", "2025-01-01"), _GOOD), "X26.newest-first", _STATUS),
    _other(reported(("REVOKED", None), _GOOD), "X26.without-a-date", _STATUS),
    _other(reported(_GOOD, ("REVOKED", "2027-01-01")), "X26.not-yet-effective", None),
    _other(reported(("USER_VERIFICATION_BYPASS", "2023-01-01"), _GOOD), "X26.mended-since", None),
    _other(reported(_GOOD, ("NOBODY_KNOWS", "2025-01-01")), "X26.unknown-word", None),
    _other(reported(("REVOKED", "2023-01-01"), ("NOBODY_KNOWS", None)), "X26.undated-unknown-word-after-it", _STATUS),
    _other(reported(("REVOKED", "2023-01-01"), _GOOD), "X26.revoked-for-good", _STATUS),
    _other(reported((_BYPASS, "2023-01-01"), ("NOT_FIDO_CERTIFIED", "2024-01-01")), "X26.not-mended-by-that", _STATUS),
    _other(
        reported((_BYPASS, "2023-01-01"), ("UPDATE_AVAILABLE", "2024-01-01")), "X26.update-that-may-be-missing", _STATUS
    ),
    _other(
        reported(("FIDO_CERTIFIED_L2", "2023-01-01"), ("NOT_FIDO_CERTIFIED", "2024-01-01"), **_LEVEL_2),
        "X25.level-that-was-taken-back",
        Code.AUTHENTICATOR_NOT_ALLOWED,
    ),
    _other(reported(_GOOD, ("REVOKED", "yesterday")), "X26.date-that-is-none", _STATUS),
    _other(reported(), "X26.no-report", None),
    _other(
        reported(_GOOD, ("NOT_FIDO_CERTIFIED", "2025-01-01"), refuse_statuses={"NOT_FIDO_CERTIFIED"}),
        "X25.refused-by-the-policy",
        _STATUS,
    ),
    create("X25.compromised-batch", _STATUS, attesting(packed_maker(_OTHER_BATCH)), _of_batch([_COMPROMISE])),
    create(
        "X25.compromised-batch-of-a-model-certified-since",
        _STATUS,
        attesting(packed_maker(_OTHER_BATCH)),
        _of_batch([_COMPROMISE, {"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2025-06-01"}]),
    ),
    create(
        "X26.firmware-without-the-update",
        _STATUS,
        attesting(_of_firmware(4)),
        trusting(
            _of_firmware(5),
            metadata=metadata(model(statusReports=[{"status": _BYPASS, "effectiveDate": "2024-01-01"}, _UPDATE])),
        ),
    ),
    create("X25.revoked-model-by-way-of-u2f", _STATUS, attesting(fido_u2f_maker(_BATCH)), _NAMELESS_MODEL),
)
_MODEL, _KIND = Code.AUTHENTICATOR_NOT_ALLOWED, Code.ATTESTATION_NOT_ALLOWED
_PACKED: Final = packed_maker(ROOT.issue())
_NAMELESS: Final = ROOT.issue()  # a U2F key whose certificate says nothing about its model


def ruled(maker: StatementMaker = _PACKED, **rules: Any) -> Setup:
    """A Relying Party with rules about models."""
    return trusting(maker, **({"anchors": (ROOT.root,)} | rules))


_ALLOWED: Final = ruled(allow_aaguids=[TEST_AAGUID])
_DENIED: Final = ruled(deny_aaguids=[OTHER_AAGUID])
_TPM: Final = ruled(tpm_maker(ROOT), formats={"tpm"})
_ZEROS: Final = UUID(int=0)
# Who holds the key that these certify may put any AAGUID into what it signs.
_KEYS_OF_OTHERS: Final = {
    "tpm": tpm_maker(tpm_certificate(ROOT)),
    "android-key": android_key_maker(ROOT),
    "apple": apple_maker(ROOT),
}
RULES: Final = (
    create("R72.listed-model-under-none", Code.ATTESTATION_REQUIRED, authenticator(attestation="none"), _ALLOWED),
    create("R72.listed-model-under-self", Code.ATTESTATION_REQUIRED, attesting(make_packed_self), _ALLOWED),
    create("R72.model-that-is-not-listed", _MODEL, Replace("authenticator", {"aaguid": OTHER_AAGUID}), _ALLOWED),
    create("R73-zeros-where-a-model-is-wanted", _MODEL, Replace("authenticator", {"aaguid": _ZEROS}), _ALLOWED),
    create("R72.denied-model", _MODEL, Replace("authenticator", {"aaguid": OTHER_AAGUID}), _DENIED),
    create("R72.u2f-that-claims-a-listed-model", _MODEL, attesting(fido_u2f_maker(_NAMELESS)), _ALLOWED),
    create(
        "R72.u2f-that-says-nothing-where-models-are-denied",
        _MODEL,
        attesting(fido_u2f_maker(_NAMELESS)),
        _DENIED,
    ),
    *(
        create(f"R72.{name}-that-claims-a-listed-model", _MODEL, attesting(maker), _ALLOWED)
        for name, maker in _KEYS_OF_OTHERS.items()
    ),
    create(
        "R72.android-key-below-an-anchor-that-names-the-model",
        None,
        attesting(android_key_maker(ROOT)),
        ruled(anchors=(Anchor(ROOT.root, aaguids=frozenset({TEST_AAGUID})),), allow_aaguids=[TEST_AAGUID]),
        _trusted,
    ),
    create(
        "R72.android-key-below-the-anchor-of-its-metadata",
        None,
        attesting(android_key_maker(ROOT)),
        ruled(anchors=(), metadata=metadata(model()), allow_aaguids=[TEST_AAGUID]),
        _trusted,
    ),
    create(
        "X22.anchor-that-names-another-model",
        _UNTRUSTED,
        Replace("authenticator", {"aaguid": OTHER_AAGUID}),
        ruled(anchors=(Anchor(ROOT.root, aaguids=frozenset({TEST_AAGUID})),)),
    ),
    create(
        "R72.u2f-whose-certificate-names-a-listed-model",
        None,
        attesting(fido_u2f_maker(ROOT.issue(TEST_AAGUID))),
        _ALLOWED,
        _trusted,
    ),
    create(
        "R72.u2f-whose-certificate-names-no-model-in-due-form",
        Code.CERTIFICATE_MALFORMED,
        Replace(
            "authenticator",
            {
                "attestation": fido_u2f_maker(ROOT.issue(TEST_AAGUID, aaguid_extension=der.octet_string(bytes(15)))),
                "aaguid": _ZEROS,
            },
        ),
        _ALLOWED,
    ),
    create(
        "R72.format-that-is-not-acceptable", _KIND, attesting(make_packed_self), ruled(tpm_maker(ROOT), formats={"tpm"})
    ),
    create("R72.type-that-is-not-acceptable", _KIND, attesting(make_packed_self), ruled(types={"basic"})),
    create(
        "R72.format-inside-of-another",
        _KIND,
        attesting(compound_maker(_PACKED, tpm_maker(ROOT))),
        ruled(formats={"packed", "compound"}),
    ),
    *(
        _other(
            reported((word, "2024-01-01"), require_certification="FIDO_CERTIFIED_L2"), f"X25.level-{word[15:]}", code
        )
        for word, code in (
            ("FIDO_CERTIFIED_L1", _MODEL),
            ("FIDO_CERTIFIED_L1plus", _MODEL),
            ("FIDO_CERTIFIED_L2plus", None),
            ("FIDO_CERTIFIED_L3", None),
        )
    ),
)
CASES: Final = (*ANDROID, *SURROGATES, *SCOPES, *STATUSES, *RULES)
