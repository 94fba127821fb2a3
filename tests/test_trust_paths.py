"""Certificate paths beside the negative cases: what is remembered and what never, time, threads, dates of Android."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.resources import files
from typing import Any

import pytest

from passkeycore import ConfigurationError, TrustPolicy
from passkeycore.testing import NOT_AFTER, NOT_BEFORE, AttestationAuthority, AttestationCertificate, certificates, der
from passkeycore.testing.statements.android_key import keystore_certificate
from passkeycore.trust import Anchor, bundled, chain
from passkeycore.trust.chain import PathError, forget_paths, verified_path
from passkeycore.trust.policy import anchors_of
from passkeycore.webauthn.attestation.certificate import Certificate
from tests.ceremony import NOW

ROOT = AttestationAuthority("paths")
MIDDLE = AttestationAuthority("paths", parent=ROOT)
OTHER = AttestationAuthority("paths", parent=ROOT, common_name="other middle")
DAY = timedelta(days=1)
PROVISIONING_INFO = certificates.extension("1.3.6.1.4.1.11129.2.1.30", b"\xa1\x01\x08")


@pytest.fixture(autouse=True)
def _fresh() -> None:  # pyright: ignore[reportUnusedFunction]
    forget_paths()


def path_of(certificate: AttestationCertificate, now: datetime = NOW, format: str = "packed") -> tuple[bytes, ...]:
    return verified_path(certificate.x5c, (ROOT.root,), now, format)


def renewed(authority: AttestationAuthority, issuer: AttestationAuthority, serial: int, not_after: datetime) -> bytes:
    """Another certificate of the authority's, for the same name and key."""
    return certificates.certificate(
        subject=authority.subject,
        subject_key=authority.key,
        issuer=issuer.subject,
        issuer_key=issuer.key,
        serial=serial,
        extensions=[certificates.basic_constraints(True)],
        not_after=not_after,
    )


def test_one_chain_at_two_times_on_one_store() -> None:
    leaf = MIDDLE.issue(not_after=NOW + DAY)
    (store,) = chain.prepare((ROOT.root,)).stores
    for _ in range(2):
        assert path_of(leaf, NOW) == (*leaf.x5c, ROOT.root)
        with pytest.raises(PathError, match="not valid at"):
            path_of(leaf, NOW + 2 * DAY)
        with pytest.raises(PathError, match="not valid at"):
            path_of(leaf, NOT_BEFORE - DAY)
    assert chain.prepare((ROOT.root,)).stores == (store,)


def test_two_threads_share_a_store() -> None:
    leaves = [MIDDLE.issue(algorithm=algorithm) for algorithm in (-7, -35, -36, -257)]
    wrong = AttestationAuthority("evil").issue()

    def judge(number: int) -> bool:
        if number % 5 == 4:
            forget_paths()
            with pytest.raises(PathError):
                path_of(wrong)
            return True
        leaf = leaves[number % 4]
        return path_of(leaf, format="" if number % 2 else "packed") == (*leaf.x5c, ROOT.root)

    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(judge, range(200)))


@pytest.mark.parametrize("format", ["packed", "android-key"])
def test_a_remembered_path_answers_the_same(format: str) -> None:
    first, second = MIDDLE.issue(algorithm=-7), MIDDLE.issue(algorithm=-35)
    for leaf in (first, first, second, second):
        assert path_of(leaf, format=format) == (*leaf.x5c, ROOT.root)


def test_dates_are_judged_on_a_remembered_path_too() -> None:
    short = AttestationAuthority("paths", parent=ROOT, common_name="short", not_after=NOW)
    leaf, sibling = short.issue(), short.issue(algorithm=-35)
    path_of(leaf)
    for late in (leaf, sibling):
        with pytest.raises(PathError, match="certificate 1 of the path is not valid"):
            path_of(late, NOW + DAY)


def test_a_leaf_that_the_remembered_issuer_did_not_sign() -> None:
    path_of(MIDDLE.issue())
    stranger = AttestationAuthority("evil", parent=AttestationAuthority("evil")).issue()
    with pytest.raises(PathError, match="no path"):
        verified_path((stranger.x5c[0], *MIDDLE.path), (ROOT.root,), NOW)


def test_a_leaf_that_another_certificate_of_the_same_ones_issued() -> None:
    above = (*MIDDLE.path, *OTHER.path)
    for issuer in (MIDDLE, OTHER, MIDDLE):
        leaf = issuer.issue(algorithm=-35).x5c[0]
        assert verified_path((leaf, *above), (ROOT.root,), NOW) == (leaf, *issuer.path, ROOT.root)


def test_remembered_under_its_anchors_only() -> None:
    leaf = MIDDLE.issue()
    path_of(leaf)
    with pytest.raises(PathError):
        verified_path(leaf.x5c, (AttestationAuthority("evil").root,), NOW, "packed")


def test_name_constraints_hold_for_the_second_leaf_too() -> None:
    inside = der.explicit(0, der.sequence(der.explicit(4, certificates.name({"C": "AA", "O": "passkeycore"}))))
    constrained = AttestationAuthority(
        "paths",
        parent=ROOT,
        common_name="constrained",
        extensions=[certificates.extension("2.5.29.30", der.sequence(inside), critical=True)],
    )
    lower = AttestationAuthority("paths", parent=constrained, common_name="lower")
    good = lower.issue()
    assert len(path_of(good)) == 4
    for _ in range(2):
        with pytest.raises(PathError, match="no path"):
            path_of(lower.issue(subject={"O": "elsewhere"}))


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_REMEMBERED", 2)
    memory = chain._Memory()
    for key in "abc":
        memory.put(key, ())
    assert [memory.get(key) for key in "abc"] == [None, (), ()]


@pytest.mark.parametrize(
    "mark",
    [
        {"common_name": "Droid CA2"},
        {"extensions": [PROVISIONING_INFO]},
    ],
)
def test_certificates_of_the_factory_may_have_ended_and_provisioned_ones_not(mark: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"parent": ROOT, "not_after": NOW}
    factory = AttestationAuthority("factory", **settings).issue()
    provisioned = AttestationAuthority("provisioned", **settings | mark).issue()
    for leaf in (factory, provisioned):
        path_of(leaf, NOW, "android-key")
    assert path_of(factory, NOW + DAY, "android-key")
    with pytest.raises(PathError, match="certificate 1"):
        path_of(factory, NOW + DAY, "packed")
    with pytest.raises(PathError, match="certificate 1"):
        path_of(provisioned, NOW + DAY, "android-key")
    with pytest.raises(PathError, match="certificate 0"):
        path_of(factory, NOT_BEFORE - DAY, "android-key")


def test_an_older_self_signing_of_an_anchor_ends_at_the_anchor() -> None:
    """Google's RSA root was signed several times under one name and key; only the newest is bundled."""

    old, new = renewed(ROOT, ROOT, 1, NOW - DAY), renewed(ROOT, ROOT, 2, NOT_AFTER)
    leaf = MIDDLE.issue()
    assert verified_path((*leaf.x5c, old), (new,), NOW)[-1] == new


def test_the_bundled_roots_are_what_their_file_says() -> None:
    import tomllib

    listed = tomllib.loads(files("passkeycore.trust.roots").joinpath("roots.toml").read_text())["root"]
    anchors = bundled() + bundled("mds")
    assert sorted(root["sha256"] for root in listed) == sorted(sha256(a.certificate).hexdigest() for a in anchors)
    for root in listed:
        (anchor,) = (anchor for anchor in anchors if anchor.name == root["name"])
        certificate = Certificate.parse(anchor.certificate)
        assert (certificate.not_after, certificate.self_issued) == (root["not_after"], True)
        assert anchor.formats == frozenset(root["formats"])
        assert root["source"].startswith("https://")
        assert chain.prepare((anchor.certificate,))


@pytest.mark.parametrize(
    ("format", "names"),
    [
        ("apple", ["Apple WebAuthn Root CA"]),
        ("android-key", ["Google Hardware Attestation Root (RSA)", "Google Key Attestation CA1"]),
        ("tpm", ["Microsoft TPM Root Certificate Authority 2014"]),
        ("android-safetynet", ["GlobalSign Root CA - R1"]),
        ("mds", ["GlobalSign Root CA - R3", "GlobalSign Root R46"]),
        ("packed", []),
    ],
)
def test_the_bundled_roots_are_scoped_by_format(format: str, names: list[str]) -> None:
    assert [anchor.name for anchor in bundled(format)] == names
    policy = TrustPolicy(anchors=bundled() + bundled("mds"))
    assert [anchor.name for anchor in anchors_of(policy, format)] == names


def test_a_bare_certificate_is_good_for_every_format() -> None:
    policy = TrustPolicy(anchors=[ROOT.root, Anchor(MIDDLE.certificate, frozenset({"tpm"}), "mine")])
    assert [len(anchors_of(policy, format)) for format in ("packed", "tpm")] == [1, 2]


@pytest.mark.parametrize("order", [1, -1])
def test_an_anchor_that_ended_beside_its_renewal(order: int) -> None:
    ended, living = renewed(ROOT, ROOT, 1, NOW - DAY), renewed(ROOT, ROOT, 2, NOT_AFTER)
    leaf = ROOT.issue()
    for _ in range(2):
        assert verified_path(leaf.x5c, (ended, living)[::order], NOW, "packed") == (*leaf.x5c, living)
    with pytest.raises(PathError, match="not valid"):
        verified_path(leaf.x5c, (ended,), NOW, "packed")
    with pytest.raises(PathError, match="not valid"):
        verified_path(leaf.x5c, (ended, AttestationAuthority("other").root), NOW, "packed")


def test_an_intermediate_that_ended_beside_its_renewal() -> None:
    ended, living = renewed(MIDDLE, ROOT, 1, NOW - DAY), renewed(MIDDLE, ROOT, 2, NOT_AFTER)
    leaf = MIDDLE.issue().x5c[0]
    for others in ((ended, living), (living, ended)):
        assert verified_path((leaf, *others), (ROOT.root,), NOW) == (leaf, living, ROOT.root)
    timeless = certificates.certificate(
        subject=OTHER.subject,
        subject_key=OTHER.key,
        issuer=ROOT.subject,
        issuer_key=ROOT.key,
        serial=3,
        extensions=[],
        validity=der.sequence(der.time(NOT_BEFORE), der.element(b"\x18", b"20440101000000.5Z")),
    )
    assert verified_path((leaf, ended, timeless, living), (ROOT.root,), NOW) == (leaf, living, ROOT.root)


def test_any_time_at_which_all_were_valid() -> None:
    early = AttestationAuthority("paths", parent=ROOT, common_name="early", not_after=NOW)
    assert verified_path(early.issue().x5c, (ROOT.root,), None)
    with pytest.raises(PathError, match="not valid"):
        verified_path(early.issue(not_before=NOW + DAY).x5c, (ROOT.root,), None)


@pytest.mark.parametrize("version", [1, 2])
def test_an_old_certificate_with_a_signature_whose_parameters_cannot_be_read(version: int) -> None:
    pss = der.sequence(der.oid("1.2.840.113549.1.1.10"))
    leaf = certificates.certificate(
        subject=certificates.name({"CN": "old"}),
        subject_key=MIDDLE.key,
        issuer=ROOT.subject,
        issuer_key=ROOT.key,
        serial=1,
        extensions=[],
        version=version,
        signature_algorithm=pss,
    )
    with pytest.raises(PathError):
        verified_path((leaf,), (ROOT.root,), NOW)


def test_several_anchors_of_one_name() -> None:
    """Leaves of Android name no key of their issuer, so that only trying tells which of two anchors it is."""
    twin, third = AttestationAuthority("twin"), AttestationAuthority("third")
    assert twin.subject == ROOT.subject == third.subject
    anchors = (twin.root, ROOT.root)
    assert len(chain.prepare(anchors).stores) == 2
    for authority in (ROOT, twin):
        path = keystore_certificate(authority, authority.key, []).x5c
        assert verified_path(path, anchors, NOW) == (*path, authority.root)
    with pytest.raises(PathError):
        verified_path(keystore_certificate(third, third.key, []).x5c, anchors, NOW)


def test_an_anchor_that_is_no_certificate() -> None:
    for wrong in (b"", b"0", ROOT.root + b"\0"):
        with pytest.raises(ConfigurationError, match="trust anchor"):
            TrustPolicy(anchors=[wrong])


def test_validity_is_read_in_utc() -> None:
    assert Certificate.parse(ROOT.root).not_before == NOT_BEFORE == datetime(2024, 1, 1, tzinfo=UTC)
