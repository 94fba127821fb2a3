"""Which page an action wants: by its state, by what the user has, and by what they came for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from passkeycore.actions.states import METHODS, ActionState
from passkeycore.engine.actions.records import Action
from passkeycore.server.pages.opened import Opened, Proof
from passkeycore.server.pages.views import device_method, goes_on, rights_of, view_of, ways_of

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
ADD = ("add:authenticators",)
READ = ("read:authenticators",)
SETTINGS = {"settings": True}
FORCED = {"enrolment": True}
PROOF = Proof(
    realm="shop", token="T", user_id="ada", word="transfer", idempotency_key="1", authenticator_id="A", ends_at=0
)
MET = {"proof": PROOF}  # on the page before
MET_SETTINGS = {**SETTINGS, **MET}


def action(state: str, scope: tuple[str, ...] = (), methods: Any = METHODS) -> Action:
    return Action(
        user_id="ada",
        action="transfer",
        idempotency_key="1",
        state=ActionState(state),
        allowed_methods=methods,
        scope=scope,
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=10),
        state_updated_at=NOW,
    )


@pytest.mark.parametrize(
    ("state", "kind", "scope", "enrolled", "opened", "view"),
    [
        ("BLOCK", "track", ADD, (), FORCED, "blocked"),
        ("REVIEW_REQUIRED", "track", ADD, (), SETTINGS, "review"),
        ("REVIEW_FAILED", "track", (), (), {}, "refused"),
        ("CHALLENGE_FAILED", "track", ADD, ("passkey",), SETTINGS, "failed"),
        ("CHALLENGE_SUCCEEDED", "track", ADD, ("passkey",), SETTINGS, "confirmed"),
        ("CHALLENGE_REQUIRED", "track", (), ("passkey",), {}, "challenge"),
        ("CHALLENGE_REQUIRED", "track", READ, ("passkey",), SETTINGS, "challenge"),  # before anything is shown
        ("CHALLENGE_REQUIRED", "track", ADD, ("passkey",), FORCED, "challenge"),
        ("CHALLENGE_REQUIRED", "track", (), (), {}, "enrolment"),
        ("CHALLENGE_REQUIRED", "track", (), ("in-app",), {}, "challenge"),
        ("ALLOW", "track", (), (), {}, "enrolment"),
        ("ALLOW", "track", (), ("push",), {}, "nothing"),
        ("ALLOW", "track", ADD, ("passkey",), {}, "enrolment"),
        ("ALLOW", "track", (), ("passkey",), FORCED, "nothing"),  # the token does not allow it
        ("ALLOW", "track", ADD, ("passkey",), FORCED, "enrolment"),
        ("ALLOW", "track", READ, ("passkey",), SETTINGS, "settings"),
        ("ALLOW", "track", (), ("passkey",), SETTINGS, "nothing"),
        ("REVIEW_SUCCEEDED", "track", READ, ("passkey",), SETTINGS, "settings"),
        ("CHALLENGE_SUCCEEDED", "success", (), ("passkey",), SETTINGS, "nothing"),  # of whoever has the token
        ("CHALLENGE_SUCCEEDED", "success", READ, ("passkey",), SETTINGS, "settings"),
        ("CHALLENGE_SUCCEEDED", "success", (), ("passkey",), MET_SETTINGS, "settings"),
        ("BLOCK", "success", (), ("passkey",), MET_SETTINGS, "blocked"),
        ("CHALLENGE_SUCCEEDED", "success", (), ("passkey",), FORCED, "enrolment"),
        ("CHALLENGE_SUCCEEDED", "success", (), ("passkey",), {}, "nothing"),
        ("CHALLENGE_SUCCEEDED", "success", ADD, ("push",), {}, "enrolment"),
        ("CHALLENGE_SUCCEEDED", "success", ADD, ("passkey",), {}, "nothing"),
    ],
)
def test_the_page_for_an_action(state: str, kind: Any, scope: Any, enrolled: Any, opened: Any, view: str) -> None:
    found = action(state, scope)
    ways = ways_of(found, enrolled, passkeys=True)
    page = Opened(realm="shop", token="T", **opened)
    assert view_of(page, kind, found, enrolled, ways, passkeys=True) == view
    if page.proof is not None and state == "CHALLENGE_SUCCEEDED":
        assert goes_on(page, found, enrolled, passkeys=True)


@pytest.mark.parametrize("opened", [{}, SETTINGS, FORCED])
@pytest.mark.parametrize("scope", [(), READ, ADD])
@pytest.mark.parametrize("enrolled", [("passkey",), ("push",)])
def test_a_challenge_leads_to_another_page_only_where_there_is_one(opened: Any, scope: Any, enrolled: Any) -> None:
    found = action("CHALLENGE_SUCCEEDED", scope)
    for passkeys in (True, False):
        page = Opened(realm="shop", token="T", **opened)
        after = Opened(realm="shop", token="T", proof=PROOF, **opened)
        view = view_of(after, "success", found, enrolled, (), passkeys=passkeys)
        assert goes_on(page, found, enrolled, passkeys=passkeys) is (view != "nothing")


def test_a_user_whose_methods_do_not_meet_the_challenge_is_told_so() -> None:
    found = action("CHALLENGE_REQUIRED", methods=("push",))
    assert view_of(Opened(realm="shop"), "track", found, {"passkey"}, (), passkeys=True) == "no-method"


@pytest.mark.parametrize(
    ("methods", "enrolled", "view"),
    [
        (METHODS, (), "address"),
        (METHODS, ("passkey",), "address"),
        (("push",), ("passkey",), "no-method"),
        (("push",), ("passkey", "push"), "challenge"),
    ],
)
def test_where_passkeys_do_not_work_a_challenge_that_needs_them_says_so(methods: Any, enrolled: Any, view: str) -> None:
    """Never that everything is done."""
    found = action("CHALLENGE_REQUIRED", methods=methods)
    ways = ways_of(found, enrolled, passkeys=False)
    assert view_of(Opened(realm="shop"), "track", found, enrolled, ways, passkeys=False) == view


@pytest.mark.parametrize(
    ("methods", "enrolled", "passkeys", "ways"),
    [
        (METHODS, METHODS, True, ("passkey", "push", "qr-code")),
        (METHODS, METHODS, False, ("push", "qr-code")),
        (("push",), METHODS, True, ("push",)),
        (METHODS, ("in-app",), True, ("push",)),  # an app that looks by itself is asked like one that is told
        (METHODS, (), True, ()),
    ],
)
def test_a_challenge_is_met_by_what_is_allowed_and_there(
    methods: Any, enrolled: Any, passkeys: bool, ways: Any
) -> None:
    assert ways_of(action("CHALLENGE_REQUIRED", methods=methods), enrolled, passkeys=passkeys) == ways


def test_a_device_is_asked_as_it_hears_of_it() -> None:
    found = action("CHALLENGE_REQUIRED")
    assert device_method("push", found, {"push", "in-app"}) == "push"
    assert device_method("push", found, {"in-app"}) == "in-app"
    assert device_method("qr-code", found, {"push"}) is None
    assert device_method("passkey", found, METHODS) is None


@pytest.mark.parametrize(
    ("state", "kind", "scope", "enrolled", "rights"),
    [
        ("CHALLENGE_SUCCEEDED", "success", ("remove:authenticators",), ("passkey",), "read add remove"),
        ("CHALLENGE_SUCCEEDED", "success", ("update:authenticators",), ("passkey",), "read add rename"),
        ("BLOCK", "success", ("remove:authenticators",), ("passkey",), ""),
        ("ALLOW", "track", (), ("passkey",), ""),
        ("ALLOW", "track", READ, ("passkey",), "read"),
        ("ALLOW", "track", ADD, ("passkey",), "read add"),
        ("ALLOW", "track", ("update:authenticators",), ("passkey",), "read rename"),
        ("ALLOW", "track", ("remove:authenticators",), ("passkey",), "read remove"),
        ("ALLOW", "track", (), (), "add"),
        ("CHALLENGE_REQUIRED", "track", (*ADD, "remove:authenticators", "update:authenticators"), ("passkey",), ""),
        ("CHALLENGE_REQUIRED", "track", (), (), "add"),
        ("CHALLENGE_FAILED", "track", ADD, ("passkey",), ""),
        ("BLOCK", "track", ("remove:authenticators",), ("passkey",), ""),
        ("CHALLENGE_SUCCEEDED", "track", ADD, ("passkey",), ""),
        ("CHALLENGE_SUCCEEDED", "success", (), ("passkey",), "add"),
    ],
)
def test_what_a_token_lets_its_holder_do(state: str, kind: Any, scope: Any, enrolled: Any, rights: str) -> None:
    """What the action was tracked for, and nothing else: any browser may bring a token."""
    assert rights_in(Opened(realm="shop", token="T"), kind, action(state, scope), enrolled) == rights


def test_who_met_the_challenge_on_a_page_manages_everything_on_the_next() -> None:
    page = Opened(realm="shop", token="T", proof=PROOF)
    assert rights_in(page, "success", action("CHALLENGE_SUCCEEDED"), ("passkey",)) == "read add rename remove"
    assert rights_in(page, "success", action("BLOCK"), ("passkey",)) == ""


def rights_in(opened: Opened, kind: Any, found: Action, enrolled: Any) -> str:
    rights = rights_of(opened, kind, found, enrolled)
    return " ".join(name for name in ("read", "add", "rename", "remove") if getattr(rights, name))
