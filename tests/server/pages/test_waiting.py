"""Pages that wait for a phone: what they hear of it, and when it counts; without a browser."""

from datetime import timedelta
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException

from passkeycore.engine.actions.records import Action
from passkeycore.engine.actions.tracking import ClientInfo
from passkeycore.errors import ChallengeError, VerificationError
from passkeycore.server.tenancy.tenants import Tenant

from .kit import SHOP, Pages, heading, pages_kit


def test_a_push_message_is_approved_once(pages: Pages) -> None:
    device = pages.new_device()
    tracked = pages.track(redirect_url=f"{SHOP}/back")
    script = pages.script(pages.open(tracked))
    started = script("/device/start", {"way": "push"})
    assert started == {"challenge": started["challenge"], "expires_in_s": started["expires_in_s"]}
    asked = {"challenge": started["challenge"]}
    assert script("/device/poll", asked) == {"state": "pending"}
    assert pages.pending(device) == started["challenge"]
    pages.answer(device, started["challenge"])
    polled = script("/device/poll", asked)
    assert polled["state"] == "approved"
    assert pages.validated(polled["ending"]["token"]) == "ada"
    assert script.refused("/device/poll", asked)["code"] == "challenge_unknown"


def test_a_rejection_ends_the_action(pages: Pages) -> None:
    device, tracked = pages.new_device(), pages.track()
    script = pages.script(pages.open(tracked))
    asked = {"challenge": script("/device/start", {"way": "push"})["challenge"]}
    pages.answer(device, asked["challenge"], "reject")
    assert script("/device/poll", asked) == {"state": "rejected"}
    assert heading(pages.open(tracked)) == "This was not confirmed"


def test_a_scan_is_seen_and_waited_for(pages: Pages) -> None:
    device = pages.new_device(method="qr-code")
    script = pages.script(pages.open(pages.track()))
    started = script("/device/start", {"way": "qr-code"})
    assert started["qr"].startswith("data:image/svg+xml;base64,")
    asked = {"challenge": started["challenge"]}
    signature = device.sign_challenge_id(started["challenge"])
    devices = pages.kit.tenant().devices
    pages.kit.run(devices.claim_challenge(started["challenge"], public_key=device.public_key, signature=signature))
    assert script("/device/poll", asked) == {"state": "claimed"}
    pages.answer(device, started["challenge"])
    assert script("/device/poll", asked)["state"] == "approved"


def test_only_the_page_that_asked_hears_the_answer(pages: Pages) -> None:
    """Whoever sees a QR code, or a challenge's id elsewhere, gets nothing for it."""
    device = pages.new_device()
    script = pages.script(pages.open(pages.track()))
    other = pages.script(pages.open(pages.track()))
    asked = {"challenge": script("/device/start", {"way": "push"})["challenge"]}
    pages.answer(device, asked["challenge"])
    assert other.refused("/device/poll", asked)["code"] == "challenge_unknown"
    assert script("/device/poll", asked)["state"] == "approved"


def test_what_was_given_up_is_not_asked_any_more_and_counts(pages: Pages) -> None:
    device, tracked = pages.new_device(), pages.track()
    script = pages.script(pages.open(tracked))
    for _ in range(5):
        asked = {"challenge": script("/device/start", {"way": "push"})["challenge"]}
        assert script("/device/cancel", asked) == {}
        devices = pages.kit.tenant().devices
        pending = devices.pending_challenge(method="push", public_key=device.public_key, signature=None)
        found = pages.kit.run(pending)
        assert found is None
    assert pages.state(tracked) == "CHALLENGE_FAILED"


def test_a_device_that_is_too_late_changes_nothing(tmp_path: Path) -> None:
    with pages_kit(tmp_path, hasty=True) as pages:
        device, tracked = pages.new_device(), pages.track()
        script = pages.script(pages.open(tracked))
        started = script("/device/start", {"way": "push"})
        assert started["expires_in_s"] == 60
        pages.kit.clock.pass_(60)
        with pytest.raises(ChallengeError):
            pages.answer(device, started["challenge"])
        assert script("/device/poll", {"challenge": started["challenge"]}) == {"state": "expired"}
        assert pages.state(tracked) == "CHALLENGE_REQUIRED"


def test_a_way_that_the_user_does_not_have(pages: Pages) -> None:
    pages.new_device()
    script = pages.script(pages.open(pages.track()))
    assert script.refused("/device/start", {"way": "qr-code"})["code"] == "method_not_allowed"
    assert script.refused("/device/start", {"way": "passkey"}, 400)["code"] == "json_invalid"


def test_the_number_that_the_page_shows_has_to_be_typed(tmp_path: Path) -> None:
    with pages_kit(tmp_path, more="number_matching = true") as pages:
        device = pages.new_device()
        script = pages.script(pages.open(pages.track()))
        started = script("/device/start", {"way": "push"})
        with pytest.raises(VerificationError):
            pages.answer(device, started["challenge"], code="x" + started["code"][1:])
        pages.answer(device, started["challenge"], code=started["code"])
        assert script("/device/poll", {"challenge": started["challenge"]})["state"] == "approved"


@pytest.mark.parametrize("taken", [True, False])
def test_the_application_is_told_of_a_push_message_first(tmp_path: Path, taken: bool) -> None:
    """One that does not take it leaves nothing to be answered; a code to scan is nobody's business."""
    told: list[tuple[str, str, str | None]] = []
    ids: list[str] = []
    stored: list[object] = []

    async def push_created(tenant: Tenant, action: Action, challenge_id: str, client: ClientInfo) -> None:
        told.append((tenant.tenant_id, action.user_id, client.user_agent))
        ids.append(challenge_id)
        context = tenant.devices.context
        stored.append(await context.repository.find_device_challenge(context.realm, challenge_id))
        if not taken:
            raise HTTPException(502, "The application did not take it.")

    with pages_kit(tmp_path, push_created=push_created) as pages:
        device = pages.new_device()
        pages.new_device(method="qr-code", seed="scanner")
        script = pages.script(pages.open(pages.track()))
        script("/device/start", {"way": "qr-code"})
        assert told == []
        answer = script.ask("/device/start", {"way": "push"}, **{"User-Agent": "A browser"})
        assert told == [("shop", "ada", "A browser")]
        assert answer.status_code == (200 if taken else 502)
        devices = pages.kit.tenant().devices
        pending = devices.pending_challenge(method="push", public_key=device.public_key, signature=None)
        assert (pages.kit.run(pending) is not None) is taken
        assert stored == [None], "nobody can answer what the application has not taken"
        assert not taken or ids == [answer.json()["challenge"]]
        context = pages.kit.tenant().devices.context
        left = pages.kit.run(context.repository.find_device_challenge(context.realm, ids[0]))
        assert (left is not None) is taken


def test_the_application_is_not_told_of_what_cannot_begin(tmp_path: Path) -> None:
    told: list[str] = []

    async def push_created(tenant: Tenant, action: Action, challenge_id: str, client: ClientInfo) -> None:
        told.append(challenge_id)

    with pages_kit(tmp_path, push_created=push_created) as pages:
        device, tracked = pages.new_device(), pages.track()
        script = pages.script(pages.open(tracked))
        pages.answer(device, script("/device/start", {"way": "push"})["challenge"], "reject")
        assert script.refused("/device/start", {"way": "push"})["code"] == "action_state"
        assert len(told) == 1


def test_nobody_makes_a_phone_ring_more_often_than_questions_may_wait(tmp_path: Path) -> None:
    told: list[str] = []

    async def push_created(tenant: Tenant, action: Action, challenge_id: str, client: ClientInfo) -> None:
        told.append(challenge_id)

    with pages_kit(tmp_path, push_created=push_created) as pages:
        pages.new_device()
        script = pages.script(pages.open(pages.track()))
        statuses = [script.ask("/device/start", {"way": "push"}).status_code for _ in range(8)]
        assert statuses == [200] * 5 + [429] * 3
        assert len(told) == 5


def test_too_many_questions_are_told_as_such(pages: Pages) -> None:
    """Five wait for the user already, of other pages: there is nothing that they would have to remove."""
    pages.new_device()
    scripts = [pages.script(pages.open(pages.track())) for _ in range(6)]
    for script in scripts[:5]:
        script("/device/start", {"way": "push"})
    message = scripts[5].refused("/device/start", {"way": "push"}, 429)["message"]
    assert message.startswith("Several requests wait for you already.")


def test_a_device_that_has_expired_is_not_asked(pages: Pages) -> None:
    pages.new_device(expires_at=pages.kit.clock() + timedelta(seconds=60))
    script = pages.script(pages.open(pages.track()))
    pages.kit.clock.pass_(60)
    assert heading(pages.open(pages.track())) == "You need another way to confirm"
    assert script.refused("/device/start", {"way": "push"})["code"] == "method_not_allowed"
