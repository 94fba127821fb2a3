"""The README's six quick starts, each in a real application: what they promise holds, what they must refuse is refused.

Browsers of Ada's and of a stranger's visit them with passkeys of the test kit, on the paths that the page's script has.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from passkeycore import VerificationError
from passkeycore.testing import SoftwareAuthenticator, Tamper, VirtualClient

from .blocks import section
from .sites import ADDRESS, SITES, Site, Visitor
from .yours import ADA

LEVELS = ("Level 2: start and finish", "Level 1: verify")
QUICK_STARTS = [f"{level} / {framework}" for level in LEVELS for framework in SITES]
NEW, CREATE, LOGIN_NEW, LOGIN = re.findall(r'post\("([^"]+)"', section("The page", "js")[0].code)
TOO_LATE_OR_UNKNOWN = (400, 403)
FORGED = Tamper(sign=lambda key, message: key.sign(message + b"."))


@pytest.fixture(params=QUICK_STARTS)
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)  # databases are made where the application runs
    name: str = request.param
    with SITES[name.rpartition(" / ")[2]](name) as site:
        yield site


@pytest.fixture
def phone() -> VirtualClient:
    return VirtualClient(SoftwareAuthenticator("Ada's phone"), ADDRESS)


@pytest.fixture
def ada(site: Site, phone: VirtualClient) -> Visitor:
    """Ada's browser, signed in, with a passkey on her phone."""
    visitor = site.visitor()
    visitor.sign_in_without_passkey()
    assert visitor.post(CREATE, phone.create(options(visitor, NEW))).status == 200
    return visitor


def options(visitor: Visitor, path: str) -> dict[str, Any]:
    answer = visitor.post(path)
    assert answer.status == 200, answer
    return answer.members


def test_a_passkey_signs_its_owner_in(site: Site, ada: Visitor, phone: VirtualClient) -> None:
    """After a registration the passkey alone signs its owner in, again and again, in any browser."""
    for _ in range(2):
        visitor = site.visitor()
        assert visitor.user_id() is None
        assert visitor.post(LOGIN, phone.get(options(visitor, LOGIN_NEW))).status == 200
        assert visitor.user_id() == ADA.id


def test_the_same_response_does_not_sign_in_twice(site: Site, ada: Visitor, phone: VirtualClient) -> None:
    """A replayed response is refused, in the browser that sent it and in any other."""
    visitor, stranger = site.visitor(), site.visitor()
    response = phone.get(options(visitor, LOGIN_NEW))
    assert visitor.post(LOGIN, response).status == 200
    options(stranger, LOGIN_NEW)
    for again in (visitor, stranger):
        assert again.post(LOGIN, response).status in TOO_LATE_OR_UNKNOWN
    assert stranger.user_id() is None


def test_the_same_response_does_not_register_twice(ada: Visitor) -> None:
    """A replayed registration is refused, and the user keeps the passkeys that they have."""
    tablet = VirtualClient(SoftwareAuthenticator("Ada's tablet"), ADDRESS)
    response = tablet.create(options(ada, NEW))
    assert ada.post(CREATE, response).status == 200
    assert ada.post(CREATE, response).status in TOO_LATE_OR_UNKNOWN
    assert len(options(ada, NEW)["excludeCredentials"]) == 2


def test_a_bad_signature_spends_the_challenge(site: Site, ada: Visitor, phone: VirtualClient) -> None:
    """A refused response tells nothing but that it was refused, and the good one that follows comes too late."""
    visitor = site.visitor()
    asked = options(visitor, LOGIN_NEW)
    bad = visitor.post(LOGIN, phone.get(asked, tamper=FORGED))
    assert bad.status == 403
    assert bad.members["message"] == VerificationError.public_message
    assert visitor.post(LOGIN, phone.get(asked)).status in TOO_LATE_OR_UNKNOWN
    assert visitor.user_id() is None


def test_a_sign_in_ends_in_the_browser_that_began_it(site: Site, ada: Visitor, phone: VirtualClient) -> None:
    """A response to somebody else's challenge is refused: nobody is signed in as the one who sent the link."""
    attacker, victim = site.visitor(), site.visitor()
    options(victim, LOGIN_NEW)
    assert victim.post(LOGIN, phone.get(options(attacker, LOGIN_NEW))).status in TOO_LATE_OR_UNKNOWN
    assert victim.user_id() is None


def test_only_the_user_who_is_signed_in_registers(site: Site) -> None:
    """Without a session of a user there is nothing to register; a stray response is refused, too."""
    visitor = site.visitor()
    phone = VirtualClient(SoftwareAuthenticator("a stranger's phone"), ADDRESS)
    assert visitor.post(NEW).status in (302, 401, 403)
    owner = site.visitor()
    owner.sign_in_without_passkey()
    response = phone.create(options(owner, NEW))
    assert visitor.post(CREATE, response).status in (302, 400, 401, 403)


def test_an_unknown_passkey_is_refused(site: Site) -> None:
    """A passkey that is not stored signs nobody in, and the message is the one of a bad signature."""
    owner, visitor = site.visitor(), site.visitor()
    owner.sign_in_without_passkey()
    stray = VirtualClient(SoftwareAuthenticator("stray"), ADDRESS)
    stray.create(options(owner, NEW))  # made, and never sent
    answer = visitor.post(LOGIN, stray.get(options(visitor, LOGIN_NEW)))
    assert (answer.status, answer.members["message"]) == (403, VerificationError.public_message)
    assert visitor.user_id() is None


@pytest.mark.parametrize("body", [None, {}, [], {"id": "AA"}, "text"])
def test_nonsense_is_refused_politely(site: Site, body: object) -> None:
    """What is no response gets an answer of the 400s with a message."""
    visitor = site.visitor()
    options(visitor, LOGIN_NEW)
    answer = visitor.post(LOGIN, body)
    assert 400 <= answer.status < 500
    assert answer.members["message"]


@pytest.mark.parametrize("framework", SITES)
def test_at_level_1_a_failing_store_leaves_the_state_spent(framework: str) -> None:
    """What was taken from the session does not come back when the request fails later."""
    with SITES[framework](f"Level 1: verify / {framework}") as site:
        visitor = site.visitor()
        visitor.sign_in_without_passkey()
        phone = VirtualClient(SoftwareAuthenticator("unlucky"), ADDRESS)
        response = phone.create(options(visitor, NEW))
        site.store.full = True
        with suppress(OSError):  # Flask's client lets it through
            assert visitor.post(CREATE, response).status == 500
        site.store.full = False
        assert visitor.post(CREATE, response).status == 400
        assert not site.store.rows
