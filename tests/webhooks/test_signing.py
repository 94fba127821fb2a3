"""Signing and verifying: the published vector, rotation, every way to be refused, and the specification's library."""

import base64
import doctest
import hmac
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from passkeycore import Code, ConfigurationError, DecodeError, PasskeyError, VerificationError, webhooks
from passkeycore.webhooks import (
    MAX_WEBHOOK_BYTES,
    Webhook,
    WebhookSecrets,
    sign_webhook,
    verify_webhook,
    webhook_secret,
)

# From the tests of the specification's own libraries, the same in each language.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT = datetime.fromtimestamp(1_614_265_330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER = webhook_secret(bytes(range(32)))
THIRD = webhook_secret(bytes(64))
SECRETS = WebhookSecrets([SECRET])
HEADERS = {"webhook-id": ID, "webhook-timestamp": "1614265330", "webhook-signature": SIGNATURE}


def test_the_published_vector() -> None:
    assert sign_webhook(SECRETS, ID, BODY, now=SENT) == HEADERS
    assert verify_webhook(SECRETS, HEADERS, BODY, now=SENT) == Webhook(id=ID, sent_at=SENT, body=BODY)


def test_names_of_headers_are_read_in_any_case_and_other_headers_are_not_looked_at() -> None:
    headers: dict[Any, Any] = {name.title(): value for name, value in HEADERS.items()}
    headers |= {"Content-Type": "text/plain", b"webhook-id": b"x", 7: "x", "x": None}
    assert verify_webhook(SECRETS, headers, BODY, now=SENT).id == ID


def test_headers_of_a_framework_are_fine() -> None:
    starlette = pytest.importorskip("starlette.datastructures", reason="starlette is not installed")
    werkzeug = pytest.importorskip("werkzeug.datastructures", reason="flask is not installed")
    for headers in (starlette.Headers(HEADERS), werkzeug.Headers(HEADERS)):
        assert verify_webhook(SECRETS, headers, BODY, now=SENT).id == ID


def test_the_zone_of_the_clock_does_not_matter_and_parts_of_a_second_do_not_count() -> None:
    now = (SENT + timedelta(microseconds=999_999)).astimezone(timezone(timedelta(hours=-7)))
    assert sign_webhook(SECRETS, ID, BODY, now=now) == HEADERS


def test_all_secrets_sign_and_any_one_verifies() -> None:
    both = WebhookSecrets([OTHER, SECRET])
    headers = sign_webhook(both, ID, BODY, now=SENT)
    assert headers["webhook-signature"].split(" ")[1] == SIGNATURE
    for receiver in ([SECRET], [OTHER], [THIRD, OTHER], [THIRD, SECRET]):
        assert verify_webhook(WebhookSecrets(receiver), headers, BODY, now=SENT).id == ID
    refused(lambda: verify_webhook(WebhookSecrets([THIRD]), headers, BODY, now=SENT), Code.WEBHOOK_SIGNATURE_INVALID)


def test_rotation_refuses_nothing_on_the_way_and_the_old_secret_at_the_end() -> None:
    sender = [[SECRET], [OTHER, SECRET], [OTHER, SECRET], [OTHER]]
    receiver = [[SECRET], [SECRET], [OTHER], [OTHER]]
    for theirs, ours in zip(sender, receiver, strict=True):
        headers = sign_webhook(WebhookSecrets(theirs), ID, BODY, now=SENT)
        verify_webhook(WebhookSecrets(ours), headers, BODY, now=SENT)
    refused(lambda: verify_webhook(WebhookSecrets([OTHER]), HEADERS, BODY, now=SENT), Code.WEBHOOK_SIGNATURE_INVALID)


def test_signatures_of_other_versions_and_other_secrets_stand_beside_ours() -> None:
    others = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
    listed = f"{others} v1a,{'A' * 86}== v2,{SIGNATURE[3:]} {SIGNATURE} {others}"
    assert verify_webhook(SECRETS, HEADERS | {"webhook-signature": listed}, BODY, now=SENT).id == ID


@pytest.mark.parametrize("tolerance_s", [0, 1, 300])
def test_the_tolerance_is_kept_to_the_second_on_both_sides(tolerance_s: int) -> None:
    for sign in (-1, 1):
        now = SENT + timedelta(seconds=sign * tolerance_s)
        verify_webhook(SECRETS, HEADERS, BODY, now=now, tolerance_s=tolerance_s)
        verify = partial(verify_webhook, SECRETS, HEADERS, BODY, now=now + timedelta(seconds=sign))
        assert refused(partial(verify, tolerance_s=tolerance_s), Code.WEBHOOK_EXPIRED).path == "webhook-timestamp"


def test_the_default_tolerance_is_five_minutes() -> None:
    verify_webhook(SECRETS, HEADERS, BODY, now=SENT + timedelta(seconds=300))
    refused(lambda: verify_webhook(SECRETS, HEADERS, BODY, now=SENT + timedelta(seconds=301)), Code.WEBHOOK_EXPIRED)


def test_only_a_good_signature_is_told_that_it_expired() -> None:
    forged = HEADERS | {"webhook-signature": "v1," + "A" * 43 + "="}
    late = SENT + timedelta(days=1)
    refused(lambda: verify_webhook(SECRETS, forged, BODY, now=late), Code.WEBHOOK_SIGNATURE_INVALID)


def _signed(id: str, timestamp: str, body: bytes = BODY) -> dict[str, str]:
    """A good signature over members that may be malformed."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signature = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


def _without(name: str) -> dict[str, str]:
    return {known: value for known, value in HEADERS.items() if known != name}


NEGATIVES: dict[str, tuple[Any, bytes]] = {
    "the body has one byte less": (HEADERS, BODY[:-1]),
    "the body has another byte": (HEADERS, BODY.replace(b"4", b"5")),
    "the body is empty": (HEADERS, b""),
    "another id": (HEADERS | {"webhook-id": ID + "x"}, BODY),
    "another timestamp": (HEADERS | {"webhook-timestamp": "1614265331"}, BODY),
    "the signature is of another version": (HEADERS | {"webhook-signature": "v2" + SIGNATURE[2:]}, BODY),
    "the signature is of no version": (HEADERS | {"webhook-signature": SIGNATURE[3:]}, BODY),
    "the signature is cut": (HEADERS | {"webhook-signature": SIGNATURE[:-1]}, BODY),
    "the signature is longer": (HEADERS | {"webhook-signature": SIGNATURE + "A"}, BODY),
    "the signature is in base64url": (HEADERS | {"webhook-signature": SIGNATURE.replace("/", "_")}, BODY),
    "the signature has set unused bits": (HEADERS | {"webhook-signature": SIGNATURE.replace("E=", "F=")}, BODY),
    "signatures are joined by commas": (HEADERS | {"webhook-signature": f"{SIGNATURE},{SIGNATURE}"}, BODY),
    "the signature is empty": (HEADERS | {"webhook-signature": ""}, BODY),
    "the signature is white space": (HEADERS | {"webhook-signature": "   "}, BODY),
    "the signature is not ASCII": (HEADERS | {"webhook-signature": "v1,\udcff\u2603"}, BODY),
    "no id": (_without("webhook-id"), BODY),
    "no timestamp": (_without("webhook-timestamp"), BODY),
    "no signature": (_without("webhook-signature"), BODY),
    "no headers": ({}, BODY),
    "a header is there twice": (HEADERS | {"Webhook-Signature": SIGNATURE}, BODY),
    "a header is bytes": (HEADERS | {"webhook-id": ID.encode()}, BODY),
    "the id is empty": (_signed("", "1614265330"), BODY),
    "the id is too long": (_signed("x" * 257, "1614265330"), BODY),
    "the id has a line break": (_signed("x\n", "1614265330"), BODY),
    "the timestamp is empty": (_signed(ID, ""), BODY),
    "the timestamp is a fraction": (_signed(ID, "1614265330.0"), BODY),
    "the timestamp is negative": (_signed(ID, "-1"), BODY),
    "the timestamp has a sign": (_signed(ID, "+1614265330"), BODY),
    "the timestamp has a leading zero": (_signed(ID, "01614265330"), BODY),
    "the timestamp has a space": (_signed(ID, " 1614265330"), BODY),
    "the timestamp has other digits": (_signed(ID, "١٦١٤٢٦٥٣٣٠"), BODY),
    "the timestamp is huge": (_signed(ID, "1" * 4_000), BODY),
    "the timestamp is a word": (_signed(ID, "nan"), BODY),
    # The same signed bytes, cut in another place.
    "the id takes the timestamp, and the timestamp the body": (
        _signed("a", "1614265330", b"1614265330.x") | {"webhook-id": "a.1614265330"},
        b"x",
    ),
}


@pytest.mark.parametrize("name", NEGATIVES)
def test_what_is_refused_as_not_signed(name: str) -> None:
    headers, body = NEGATIVES[name]
    refused(lambda: verify_webhook(SECRETS, headers, body, now=SENT), Code.WEBHOOK_SIGNATURE_INVALID)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    error = refused(lambda: verify_webhook(SECRETS, _without(name), BODY, now=SENT), Code.WEBHOOK_SIGNATURE_INVALID)
    assert error.path == name


def test_bounds_come_before_work() -> None:
    def listed(count: int, length: int = 47) -> dict[str, str]:
        return HEADERS | {"webhook-signature": " ".join(["v2,".ljust(length, "A")] * (count - 1) + [SIGNATURE])}

    assert verify_webhook(SECRETS, listed(32), BODY, now=SENT).id == ID
    too_large(lambda: verify_webhook(SECRETS, listed(33), BODY, now=SENT), "webhook-signature")
    too_large(lambda: verify_webhook(SECRETS, listed(2, 4_096), BODY, now=SENT), "webhook-signature")
    longest = bytes(MAX_WEBHOOK_BYTES)
    headers = sign_webhook(SECRETS, ID, longest, now=SENT)
    assert verify_webhook(SECRETS, headers, longest, now=SENT).body == longest
    too_large(lambda: verify_webhook(SECRETS, HEADERS, longest + b"x", now=SENT), "body")
    too_large(lambda: sign_webhook(SECRETS, ID, longest + b"x", now=SENT), "body")


MISUSE: dict[str, tuple[Callable[[], object], str]] = {
    "verifying at a time without a zone": (
        lambda: verify_webhook(SECRETS, HEADERS, BODY, now=SENT.replace(tzinfo=None)),
        "now",
    ),
    "verifying a text": (lambda: verify_webhook(SECRETS, HEADERS, BODY.decode(), now=SENT), "body"),  # type: ignore[arg-type]
    "a negative tolerance": (lambda: verify_webhook(SECRETS, HEADERS, BODY, now=SENT, tolerance_s=-1), "tolerance_s"),
    "signing at a time without a zone": (
        lambda: sign_webhook(SECRETS, ID, BODY, now=SENT.replace(tzinfo=None)),
        "now",
    ),
    "signing before 1970": (lambda: sign_webhook(SECRETS, ID, BODY, now=datetime(1969, 1, 1, tzinfo=UTC)), "now"),
    "signing an id with a dot": (lambda: sign_webhook(SECRETS, "a.b", BODY, now=SENT), "id"),
    "signing an empty id": (lambda: sign_webhook(SECRETS, "", BODY, now=SENT), "id"),
    "signing an id that ends a header": (lambda: sign_webhook(SECRETS, "a\r\nb: c", BODY, now=SENT), "id"),
    "no secret": (lambda: WebhookSecrets([]), "secrets"),
    "one secret that is not in a list": (lambda: WebhookSecrets(SECRET), "secrets"),
    "secrets that are none": (lambda: WebhookSecrets(None), "secrets"),  # type: ignore[arg-type]
    "too many secrets": (lambda: WebhookSecrets([webhook_secret(bytes([n] * 32)) for n in range(9)]), "secrets"),
    "the same secret twice": (lambda: WebhookSecrets([SECRET, SECRET]), "secrets[1]"),
    "a secret as bytes": (lambda: WebhookSecrets([SECRET.encode()]), "secrets[0]"),  # type: ignore[list-item]
    "a secret without its prefix": (lambda: WebhookSecrets([SECRET.removeprefix("whsec_")]), "secrets[0]"),
    "a secret with another prefix": (lambda: WebhookSecrets([SECRET.replace("whsec_", "whpk_")]), "secrets[0]"),
    "a secret in base64url": (lambda: WebhookSecrets(["whsec_" + "-_" * 20]), "secrets[0]"),
    "a secret without padding": (lambda: WebhookSecrets([OTHER.rstrip("=")]), "secrets[0]"),
    "a secret with a line break": (lambda: WebhookSecrets([SECRET + "\n"]), "secrets[0]"),
    "a secret that is not ASCII": (lambda: WebhookSecrets(["whsec_\udcff"]), "secrets[0]"),
    "a short secret": (lambda: WebhookSecrets(["whsec_" + base64.b64encode(bytes(23)).decode()]), "secrets[0]"),
    "a long secret": (lambda: WebhookSecrets(["whsec_" + base64.b64encode(bytes(65)).decode()]), "secrets[0]"),
    "too few random bytes": (lambda: webhook_secret(bytes(23)), "random"),
    "too many random bytes": (lambda: webhook_secret(bytes(65)), "random"),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_told_and_no_secret_with_it(name: str) -> None:
    call, path = MISUSE[name]
    with pytest.raises(ConfigurationError) as caught:
        call()
    assert caught.value.path == path
    assert "MfKQ9r8" not in str(caught.value)
    assert caught.value.__cause__ is None or "MfKQ9r8" not in str(caught.value.__cause__)


def test_secrets_of_24_to_64_bytes_are_fine() -> None:
    for length in (24, 32, 64):
        WebhookSecrets([webhook_secret(bytes(range(length)))])


def test_secrets_are_shown_by_nothing_and_changed_by_nobody() -> None:
    assert repr(WebhookSecrets([SECRET, OTHER])) == "WebhookSecrets(2)"
    with pytest.raises(AttributeError):
        SECRETS._keys = ()
    with pytest.raises(AttributeError):
        del SECRETS._keys


def test_comparing_takes_as_long_for_every_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every signature is compared with every secret's, by the function made for that, whichever matches."""
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def seen(given: bytes, expected: bytes) -> bool:
        compared.append((given, expected))
        return compare(given, expected)

    monkeypatch.setattr("passkeycore.webhooks.hmac.compare_digest", seen)
    headers = HEADERS | {"webhook-signature": f"{SIGNATURE} v1,x v2,y"}
    verify_webhook(WebhookSecrets([SECRET, OTHER]), headers, BODY, now=SENT)
    assert len(compared) == 6


def test_the_example_of_the_module_is_right() -> None:
    assert doctest.testmod(webhooks) == doctest.TestResults(failed=0, attempted=8)


# --- The specification's own library ---


def test_what_we_sign_the_specifications_library_verifies_and_the_other_way_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = pytest.importorskip("standardwebhooks.webhooks", reason="standardwebhooks is not installed")

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls.fromtimestamp(SENT.timestamp(), tz)

    monkeypatch.setattr(library, "datetime", Clock)
    for secrets in ([SECRET], [OTHER, SECRET], [THIRD, OTHER]):
        headers = sign_webhook(WebhookSecrets(secrets), ID, BODY, now=SENT)
        for secret in secrets:
            assert library.Webhook(secret).verify(BODY, headers) == {"test": 2432232314}
            theirs = HEADERS | {"webhook-signature": library.Webhook(secret).sign(ID, SENT, BODY.decode())}
            assert verify_webhook(WebhookSecrets([secret]), theirs, BODY, now=SENT).id == ID


def refused(call: Callable[[], object], code: Code) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        call()
    assert caught.value.code is code
    _tells_nothing(caught.value, ("MfKQ9r8", SIGNATURE[3:]))
    return caught.value


def too_large(call: Callable[[], object], path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        call()
    assert (caught.value.code, caught.value.path) == (Code.TOO_LARGE, path)


def _tells_nothing(error: PasskeyError, secrets: Iterable[str]) -> None:
    for secret in secrets:
        assert secret not in str(error)
        assert secret not in str(error.to_dict())
