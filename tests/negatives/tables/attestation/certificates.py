"""Cases about odd certificates: what their fields may hold, with and without anybody who trusts them.

Rows X15 to X18 and X32. What format packed asks of its leaf stands in `packed`, where paths lead to in `paths`.
"""

from datetime import timedelta
from typing import Any, Final

from passkeycore import Code
from passkeycore.testing import LEAF_SUBJECT, AttestationCertificate, SoftwareKey, certificates, der

from ...ceremonies import NOW, SEED, Replace
from ...harness import create
from .packed import BATCH, certified
from .paths import PATH, ROOT, below

_KEY: Final = SoftwareKey.derive(SEED, -7, purpose="odd certificate")
_ECDSA, _RSA = der.oid("1.2.840.10045.4.3.2"), der.oid("1.2.840.113549.1.1.11")
_UNTRUSTED, _CERTIFICATE = Code.ATTESTATION_UNTRUSTED, Code.ATTESTATION_CERTIFICATE_INVALID
_SECOND: Final = timedelta(seconds=1)


def odd(**changes: Any) -> Replace:
    """An authenticator whose certificate by `ROOT` is different in this field."""
    usual: dict[str, Any] = {
        "subject": certificates.name(LEAF_SUBJECT),
        "subject_key": _KEY,
        "issuer": ROOT.subject,
        "issuer_key": ROOT.key,
        "serial": 7,
        "extensions": [certificates.basic_constraints(False)],
    }
    return certified(AttestationCertificate(_KEY, (certificates.certificate(**(usual | changes)),)))


def named(**attributes: bytes) -> Replace:
    """A certificate whose subject has these encoded values instead."""
    types = {"C": "2.5.4.6", "O": "2.5.4.10", "OU": "2.5.4.11", "CN": "2.5.4.3"}
    values = {name: der.utf8_string(value) for name, value in LEAF_SUBJECT.items()}
    values |= {"C": der.printable_string("AA")} | attributes
    parts = (der.set_of(der.sequence(der.oid(types[name]), value)) for name, value in values.items())
    return odd(subject=der.sequence(*parts))


def valid(before: bytes, after: bytes) -> Replace:
    """A certificate with these two encoded times."""
    return odd(validity=der.sequence(before, after))


def utc(text: str) -> bytes:
    """A UTCTime, whatever it says."""
    return der.element(b"\x17", text.encode())


def generalized(text: str) -> bytes:
    """A GeneralizedTime, whatever it says."""
    return der.element(b"\x18", text.encode())


def _trusted(outcome: Any) -> bool:
    return bool(outcome.trust.trusted)


def _many(number: int) -> list[bytes]:
    further = [certificates.extension(f"1.2.3.{n}", der.null()) for n in range(number - 1)]
    return [certificates.basic_constraints(False), *further]


def _names(number: int) -> bytes:
    return certificates.name(dict(LEAF_SUBJECT) | {f"1.2.3.{n}": "x" for n in range(number - len(LEAF_SUBJECT))})


_UNIT: Final = "Authenticator Attestation"
_SINCE, _UNTIL = utc("240101000000Z"), utc("440101000000Z")

ALGORITHMS: Final = (
    create("X15.ecdsa-with-null", None, odd(signature_algorithm=der.sequence(_ECDSA, der.null())), PATH, _trusted),
    create(
        "X15.ecdsa-with-other-parameters",
        _UNTRUSTED,
        odd(signature_algorithm=der.sequence(_ECDSA, der.integer(1))),
        PATH,
    ),
    create("X15.rsa-where-ecdsa-signed", _UNTRUSTED, odd(signature_algorithm=der.sequence(_RSA, der.null())), PATH),
    create("X15.rsa-without-null", _UNTRUSTED, odd(signature_algorithm=der.sequence(_RSA)), PATH),
    create("X15.no-algorithm", _UNTRUSTED, odd(signature_algorithm=der.sequence()), PATH),
)
SERIALS: Final = (
    create("X16.negative-serial", None, odd(serial=-7), PATH, _trusted),
    create("X16.serial-of-zero", None, odd(serial=0), PATH, _trusted),
    create("X16.serial-of-25-bytes", None, odd(serial=1 << 199), PATH, _trusted),
    create("X16.serial-of-64-bytes", None, odd(serial=(1 << 512) - 1), PATH, _trusted),
    create("X16.serial-of-65-bytes", Code.CERTIFICATE_MALFORMED, odd(serial=1 << 512), PATH),
    create("X16.version-5", Code.CERTIFICATE_MALFORMED, odd(version=5), PATH),
    create("X16.version-0", Code.CERTIFICATE_MALFORMED, odd(version=0), PATH),
    create("X12.65-extensions", Code.CERTIFICATE_MALFORMED, odd(extensions=_many(65)), PATH),
    create("X12.64-extensions", None, odd(extensions=_many(64)), PATH, _trusted),
    create("X12.65-names", Code.CERTIFICATE_MALFORMED, odd(subject=_names(65)), PATH),
)
NAMES: Final = (
    create("X17.nul-in-the-common-name", None, named(CN=der.utf8_string("a\0b")), PATH, _trusted),
    create(
        "X17.bmp-string-as-organization", None, named(O=der.element(b"\x1e", "Ö".encode("utf-16-be"))), PATH, _trusted
    ),
    create("X17.unit-with-nul", _CERTIFICATE, named(OU=der.utf8_string(_UNIT + "\0")), PATH),
    create("X17.unit-as-bmp-string", _CERTIFICATE, named(OU=der.element(b"\x1e", _UNIT.encode("utf-16-be"))), PATH),
    create("X17.unit-as-teletex-string", None, named(OU=der.element(b"\x14", _UNIT.encode())), PATH, _trusted),
    create("X17.country-as-utf8-string", _CERTIFICATE, named(C=der.utf8_string("AA")), PATH),
)
DATES: Final = (
    create("X18.until-9999", None, valid(_SINCE, generalized("99991231235959Z")), PATH, _trusted),
    create("X18.since-1950", None, valid(utc("500101000000Z"), _UNTIL), PATH, _trusted),
    create("X18.until-2049", None, valid(_SINCE, utc("491231235959Z")), PATH, _trusted),
    create("X18.since-2049", _UNTRUSTED, valid(utc("490101000000Z"), generalized("20500101000000Z")), PATH),
    create("X18.fraction-of-a-second", _UNTRUSTED, valid(_SINCE, generalized("20440101000000.5Z")), PATH),
    create("X18.time-with-a-zone", _UNTRUSTED, valid(_SINCE, generalized("20440101000000+0100")), PATH),
    create("X18.time-without-a-zone", _UNTRUSTED, valid(_SINCE, generalized("20440101000000")), PATH),
    create("X18.utc-time-without-seconds", _UNTRUSTED, valid(_SINCE, utc("4401010000Z")), PATH),
    create("X18.month-13", _UNTRUSTED, valid(_SINCE, utc("441301000000Z")), PATH),
    create("X18.letters-as-a-time", _UNTRUSTED, valid(_SINCE, utc("44010100000zZ")), PATH),
    create("X18.time-of-15-characters-as-text", _UNTRUSTED, valid(_SINCE, der.utf8_string("20440101000000Z")), PATH),
    create("X18.generalized-time-like-utc-time", _UNTRUSTED, valid(_SINCE, generalized("440101000000Z")), PATH),
    create("X18.time-as-text", _UNTRUSTED, valid(_SINCE, der.utf8_string("440101000000Z")), PATH),
    create(
        "X18.a-time-that-nobody-reads", None, valid(_SINCE, utc("441302000000Z")), BATCH, lambda o: not o.trust.trusted
    ),
    create("X32.second-after-the-end", _UNTRUSTED, below(ROOT, not_after=NOW - _SECOND), PATH),
    create("X32.second-before-the-start", _UNTRUSTED, below(ROOT, not_before=NOW + _SECOND), PATH),
)
CASES: Final = (*ALGORITHMS, *SERIALS, *NAMES, *DATES)
