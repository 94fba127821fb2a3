"""Passkeys on pages: what is met, made and refused, and where a page leads then; without a browser."""

from passkeycore.testing import SoftwareAuthenticator, VirtualClient, b64url_encode

from .kit import SHOP, Pages, heading


def test_a_challenge_is_met_and_leads_where_the_action_says(pages: Pages) -> None:
    client = pages.new_passkey()
    tracked = pages.track(redirect_url=f"{SHOP}/back?order=17#top")
    ending = pages.script(pages.open(tracked)).meet(client)
    assert ending == {"token": ending["token"], "redirect": f"{SHOP}/back?order=17&token={ending['token']}#top"}
    assert pages.validated(ending["token"]) == "ada"
    assert heading(pages.open(tracked)) == "Already confirmed"


def test_a_passkey_whose_sdk_took_the_text_of_the_handle_for_it_is_good(pages: Pages) -> None:
    """As iOS has done. That of another user's handle is not, in whatever form."""
    clients: list[VirtualClient] = []
    for user_id in ("ada", "eve"):
        script = pages.script(pages.open(pages.track(user_id, "profile")))
        options = script("/enrolment/start")
        options["user"]["id"] = b64url_encode(options["user"]["id"].encode())
        client = VirtualClient(SoftwareAuthenticator(f"{user_id}'s iPhone"), pages.server.origin)
        script("/enrolment/finish", client.create(options))
        clients.append(client)
    ada, eve = clients
    assert pages.script(pages.open(pages.track("ada"))).meet(ada)["token"]
    script = pages.script(pages.open(pages.track("ada")))
    hers = eve.get({**script("/passkey/start"), "allowCredentials": []})["response"]["userHandle"]
    for other in (hers, "eHh4"):
        script = pages.script(pages.open(pages.track("ada")))
        credential = ada.get(script("/passkey/start"))
        credential["response"]["userHandle"] = other
        script.refused("/passkey/finish", credential, 403)


def test_another_users_passkey_meets_nothing_and_counts(pages: Pages) -> None:
    pages.new_passkey()
    eve = pages.new_passkey("eve", "eve's phone")
    tracked = pages.track()
    script = pages.script(pages.open(tracked))
    for _ in range(5):
        options = script("/passkey/start")
        options["allowCredentials"] = []
        script.refused("/passkey/finish", eve.get(options), 403)
    assert pages.state(tracked) == "CHALLENGE_FAILED"
    assert script.refused("/passkey/start", {}, 403)["code"] == "action_state"


def test_a_second_tab_cannot_finish_what_the_first_has_finished(pages: Pages) -> None:
    client = pages.new_passkey()
    tracked = pages.track()
    first, second = (pages.script(pages.open(tracked)) for _ in range(2))
    credential = client.get(second("/passkey/start"))
    first.meet(client)
    assert second.refused("/passkey/finish", credential, 403)["code"] == "action_state"


def test_only_what_began_in_a_frame_may_end_in_one(pages: Pages) -> None:
    """With the tenant's exact top origins; a page of its own is under no other, whatever the address says."""
    pages.new_passkey()
    phone = SoftwareAuthenticator("framed phone")
    framed = VirtualClient(phone, pages.server.origin, cross_origin=True, top_origin=SHOP)
    foreign = VirtualClient(phone, pages.server.origin, cross_origin=True, top_origin="https://foreign.localhost")
    unnamed = VirtualClient(phone, pages.server.origin, cross_origin=True)
    popup = "&mode=popup"
    for user_id, client, more, dest, status in (
        ("a", framed, popup, "iframe", 200),
        ("b", framed, popup, "document", 403),
        ("c", framed, "", "iframe", 403),
        ("d", framed, "", "document", 403),
        ("e", foreign, popup, "iframe", 403),
        ("f", unnamed, popup, "iframe", 403),
    ):
        opened = pages.open(pages.track(user_id, "profile"), more, **{"sec-fetch-dest": dest})
        script = pages.script(opened)
        answer = script.ask("/enrolment/finish", client.create(script("/enrolment/start")))
        assert answer.status_code == status, (user_id, answer.text)
    for client, dest, status in ((framed, "document", 403), (foreign, "iframe", 403), (framed, "iframe", 200)):
        opened = pages.open(pages.track("a"), popup, **{"sec-fetch-dest": dest})
        script = pages.script(opened)
        assert script.ask("/passkey/finish", client.get(script("/passkey/start"))).status_code == status


def test_a_first_passkey_takes_any_token_and_a_further_one_takes_more(pages: Pages) -> None:
    client = VirtualClient(SoftwareAuthenticator("first"), pages.server.origin)
    tracked = pages.track("new", "profile")
    script = pages.script(pages.open(tracked))
    answer = script("/enrolment/finish", client.create(script("/enrolment/start")))
    assert answer["ending"] == {"token": tracked.token}
    assert script.refused("/enrolment/start")["code"] == "scope_missing"
    asked = pages.track("new", scope=["add:authenticators"])
    further = pages.script(pages.open(asked, "&force_enrollment=true"))
    assert further.refused("/enrolment/start")["code"] == "scope_missing"  # the challenge comes first
    following = further.meet(client)
    assert following.keys() == {"page"}
    assert pages.kit.run(pages.kit.tenants.by_token(following["page"].partition("token=")[2])) is None  # none of these
    second = pages.http.get(following["page"])
    assert heading(second) == "Add another passkey"
    script = pages.script(second)
    other = VirtualClient(SoftwareAuthenticator("second"), pages.server.origin)
    ending = script("/enrolment/finish", other.create(script("/enrolment/start")))["ending"]
    assert pages.validated(ending["token"]) == "new"


def test_an_app_gets_its_token_by_its_scheme(pages: Pages) -> None:
    client = pages.new_passkey()
    script = pages.script(pages.open(pages.track(), "&nativeScheme=authsignal"))
    ending = script.meet(client)
    assert ending["redirect"] == f"authsignal://auth?token={ending['token']}"


def test_an_address_does_not_change_where_the_tenant_leads(pages: Pages) -> None:
    """A scheme of an app, added to the address of a page by whoever passes it on, takes no token anywhere else."""
    client = pages.new_passkey()
    script = pages.script(pages.open(pages.track(redirect_url=f"{SHOP}/back"), "&nativeScheme=authsignal"))
    assert script.data["leave"]["redirect"].startswith(f"{SHOP}/back?token=")
    ending = script.meet(client)
    assert ending["redirect"] == f"{SHOP}/back?token={ending['token']}"


def test_where_a_page_leads_is_judged_again_at_its_end(pages: Pages) -> None:
    """The operator may have taken it back meanwhile."""
    client = pages.new_passkey()
    script = pages.script(pages.open(pages.track(redirect_url=f"{SHOP}/back")))
    pages.kit.run(pages.kit.tenants.change("shop", {"redirect_urls": []}, revision=0))
    assert script.meet(client).keys() == {"token"}


def test_a_popup_leads_nowhere(pages: Pages) -> None:
    client = pages.new_passkey()
    script = pages.script(pages.open(pages.track(redirect_url=f"{SHOP}/back"), "&mode=popup"))
    assert script.data["origins"] == [SHOP]
    assert script.data["leave"].keys() == {"token"}
    assert script.meet(client).keys() == {"token"}
