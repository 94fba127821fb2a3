"""Users and events as the operator sees them, and what is done to one user reaches nobody else."""

from datetime import UTC, date, datetime, timedelta

import pytest

from passkeycore.actions import ActionState
from passkeycore.engine.records import EventCount, EventType
from passkeycore.engine.tenancy.records import Profile
from passkeycore.server.portal import events
from passkeycore.server.portal.charts import HEIGHT, draw, percent
from passkeycore.testing import VirtualClient
from tests.server.kit import TenantKit

from .kit import Operator

TENANT = "/tenants/shop"


def sign_up(kit: TenantKit, user_id: str, seed: str = "phone", tenant: str = "shop") -> VirtualClient:
    client = kit.virtual_client(tenant, f"{seed}-{user_id}-{tenant}")
    passkeys = kit.tenant(tenant).passkeys
    start = kit.run(passkeys.start_registration(user_id=user_id, user_name=f"{user_id}@example.com"))
    kit.run(passkeys.finish_registration(client.create(start.to_dict()), user_id=user_id))
    return client


def authenticators(kit: TenantKit, user_id: str, tenant: str = "shop") -> list[str]:
    found = kit.run(kit.tenant(tenant).devices.list_authenticators(user_id))
    return [one.authenticator_id for one in found]


def test_users_are_found_by_the_beginning_of_id_and_name(operator: Operator, kit: TenantKit) -> None:
    for user_id in ("ada", "adam", "ben"):
        sign_up(kit, user_id)
    sign_up(kit, "adele", tenant="bank")
    page = operator.get(f"{TENANT}/users?q=ad").text
    assert [f"user?id={name}" in page for name in ("ada", "adam", "ben", "adele")] == [True, True, False, False]
    assert "Nobody is like this" in operator.get(f"{TENANT}/users?q=zoe").text


def test_users_are_found_by_what_servers_have_told_of_them(operator: Operator, kit: TenantKit) -> None:
    now = kit.clock()
    profile = Profile(user_id="c-1", email="cleo@example.com", created_at=now, updated_at=now, realm="shop")
    kit.run(kit.storage.repository.save_profile(profile))
    assert "user?id=c-1" in operator.get(f"{TENANT}/users?q=cleo@example.com").text
    assert "cleo@example.com" in operator.get(f"{TENANT}/user?id=c-1").text


def test_users_come_in_pages(operator: Operator, kit: TenantKit) -> None:
    for number in range(51):
        kit.run(kit.tenant().passkeys.get_or_create_user(f"user-{number:02}", "x"))
    page = operator.get(f"{TENANT}/users").text
    assert "user-49" in page
    assert "user-50" not in page
    assert "after=user-49" in page
    assert "user-50" in operator.get(f"{TENANT}/users?after=user-49").text


@pytest.mark.parametrize("query", ["q=%00", "after=%00", "q=" + "x" * 300, "q=%ff"])
def test_a_search_that_nobody_can_match_is_answered(operator: Operator, query: str) -> None:
    assert operator.get(f"{TENANT}/users?{query}").status_code in (200, 400)


def test_one_authenticator_is_removed_and_no_other(operator: Operator, kit: TenantKit) -> None:
    client = sign_up(kit, "ada")
    kit.clock.pass_(1)
    sign_up(kit, "ada", "tablet")
    sign_up(kit, "ada", tenant="bank")
    one, other = authenticators(kit, "ada")
    page = operator.get(f"{TENANT}/user?id=ada").text
    assert one in page
    answer = operator.send(f"{TENANT}/user/remove", {"user": "ada", "id": one})
    assert answer.headers["location"] == "/portal/tenants/shop/user?id=ada&done=removed"
    assert authenticators(kit, "ada") == [other]
    assert len(authenticators(kit, "ada", "bank")) == 1
    again = operator.send(f"{TENANT}/user/remove", {"user": "ada", "id": one})
    assert again.status_code == 404
    start = kit.run(kit.tenant().passkeys.start_authentication(binding="b"))
    with pytest.raises(Exception, match="no such passkey"):
        kit.run(kit.tenant().passkeys.finish_authentication(client.get(start.to_dict()), binding="b"))


def test_an_authenticator_of_somebody_else_is_not_removed(operator: Operator, kit: TenantKit) -> None:
    sign_up(kit, "ada")
    sign_up(kit, "ben")
    sign_up(kit, "ada", tenant="bank")
    for identity in (*authenticators(kit, "ben"), *authenticators(kit, "ada", "bank"), "", "x" * 2000, "é"):
        answer = operator.send(f"{TENANT}/user/remove", {"user": "ada", "id": identity})
        assert answer.status_code in (400, 404)
    assert [len(authenticators(kit, *who)) for who in (("ada",), ("ben",), ("ada", "bank"))] == [1, 1, 1]


def test_a_disabled_user_cannot_sign_in_until_enabled(operator: Operator, kit: TenantKit) -> None:
    client = sign_up(kit, "ada")
    passkeys = kit.tenant().passkeys

    def sign_in() -> str:
        start = kit.run(passkeys.start_authentication(binding="b"))
        return kit.run(passkeys.finish_authentication(client.get(start.to_dict()), binding="b")).user_id

    assert operator.send(f"{TENANT}/user/disable", {"user": "ada"}).status_code == 303
    with pytest.raises(Exception, match="disabled"):
        sign_in()
    assert "disabled" in operator.get(f"{TENANT}/user?id=ada").text
    assert operator.send(f"{TENANT}/user/enable", {"user": "ada"}).status_code == 303
    assert sign_in() == "ada"


@pytest.mark.parametrize("verb", ["remove", "disable", "enable"])
@pytest.mark.parametrize("user", ["", "nobody", "\0", "x" * 300])
def test_nobody_is_nobody(operator: Operator, verb: str, user: str) -> None:
    assert operator.send(f"{TENANT}/user/{verb}", {"user": user, "id": "AAAA"}).status_code in (400, 404)
    assert operator.get(f"{TENANT}/user?id=nobody").status_code == 404
    assert operator.get(f"{TENANT}/user").status_code == 400


def test_what_is_done_to_a_user_says_who_did_it(operator: Operator, kit: TenantKit) -> None:
    """Events of the portal name its session; those of others do not."""
    sign_up(kit, "ada")
    operator.send(f"{TENANT}/user/disable", {"user": "ada"})
    operator.send(f"{TENANT}/user/enable", {"user": "ada"})
    operator.send(f"{TENANT}/user/remove", {"user": "ada", "id": authenticators(kit, "ada")[0]})
    events = kit.run(kit.tenant().passkeys.list_events()).events
    assert [event.type.value for event in events] == [
        *("passkey.removed", "user.enabled", "user.disabled", "passkey.registered"),
    ]
    assert [event.details.get("by") for event in events] == ["operator", "operator", "operator", None]
    assert len({event.details["session"] for event in events[:3]}) == 1


@pytest.mark.parametrize("verb", ["remove", "disable", "enable"])
def test_a_form_without_its_fields_is_none(operator: Operator, verb: str) -> None:
    assert operator.send(f"{TENANT}/user/{verb}", {"id": "AAAA"}).status_code == 400


def test_names_of_users_are_text_to_a_browser(operator: Operator, kit: TenantKit) -> None:
    """An id and a name are whatever the application says, and sometimes the user."""
    evil = '"><script>alert(1)</script>&'
    kit.run(kit.tenant().passkeys.get_or_create_user(evil, evil))
    kit.run(kit.tenant().passkeys.disable_user(evil))
    found = operator.get(f"{TENANT}/users")
    link = found.text.partition('<th scope="row"><a href="')[2].partition('"')[0]
    for page in (found, operator.get(f"{TENANT}/events"), operator.http.get(link.replace("&amp;", "&"))):
        assert page.status_code == 200
        assert "<script>alert" not in page.text


class TestEvents:
    """The feed and its filters."""

    def types(self, operator: Operator, query: str = "") -> list[str]:
        page = operator.get(f"{TENANT}/events{query}").text
        return [part.partition(">")[2].partition("<")[0] for part in page.split('<span class="mark')[1:]]

    def test_filters_are_type_user_and_days(self, operator: Operator, kit: TenantKit) -> None:
        """The day of `until` counts as a whole."""
        sign_up(kit, "ada")
        kit.clock.pass_(86_400)
        operator.sign_in()
        sign_up(kit, "ben")
        kit.run(kit.tenant().passkeys.disable_user("ben"))
        assert self.types(operator) == ["user.disabled", "passkey.registered", "passkey.registered"]
        assert self.types(operator, "?type=user.disabled") == ["user.disabled"]
        assert self.types(operator, "?user=ada") == ["passkey.registered"]
        assert self.types(operator, "?until=2026-11-03") == ["passkey.registered"]
        assert len(self.types(operator, "?from=2026-11-04")) == 2
        assert len(self.types(operator, "?from=2026-11-04&until=2026-11-04&user=ben&type=")) == 2
        assert self.types(operator, "?from=2026-11-05") == []

    def test_actions_are_found_by_their_word_and_state(self, operator: Operator, kit: TenantKit) -> None:
        """However many other events lie between; each page goes on where the one before has ended."""
        actions = kit.tenant().actions
        kit.run(actions.track("ada", "withdraw"))
        for _ in range(110):
            kit.run(actions.track("ben", "transfer"))
            kit.clock.pass_(1)
        kit.run(actions.track("ada", "withdraw"))
        assert self.types(operator, "?action=withdraw") == ["action.tracked"] * 2
        assert self.types(operator, "?action=withdraw&state=CHALLENGE_REQUIRED&user=ada") == ["action.tracked"] * 2
        for nothing in ("action=other", "action=withdraw&state=ALLOW", "action=withdraw&type=passkey.registered"):
            assert self.types(operator, f"?{nothing}") == []
        first = operator.get(f"{TENANT}/events?action=transfer&state=CHALLENGE_REQUIRED").text
        older = first.partition('<p class="more">')[2].partition('href="')[2].partition('"')[0].replace("&amp;", "&")
        assert "action=transfer" in older
        assert "state=CHALLENGE_REQUIRED" in older
        counts = [first.count(">action.tracked</span>"), len(self.types(operator, older.partition("events")[2]))]
        assert sum(counts) == 110
        assert min(counts) > 0

    def test_older_events_are_a_page_away_with_the_same_filter(self, operator: Operator, kit: TenantKit) -> None:
        kit.run(kit.tenant().passkeys.get_or_create_user("ada", "x"))
        for _ in range(26):
            kit.run(kit.tenant().passkeys.disable_user("ada"))
            kit.run(kit.tenant().passkeys.enable_user("ada"))
            kit.clock.pass_(1)
        page = operator.get(f"{TENANT}/events?user=ada").text
        older = page.partition('<p class="more">')[2].partition('href="')[2].partition('"')[0].replace("&amp;", "&")
        assert "user=ada" in older
        assert len(self.types(operator, older.partition("events")[2])) == 2

    @pytest.mark.parametrize(
        "query", ["?from=x", "?until=9999-12-31", "?from=2026-13-01", "?type=evil", "?cursor=x", "?user=%00"]
    )
    def test_filters_that_are_none_are_no_error_of_ours(self, operator: Operator, query: str) -> None:
        assert operator.get(f"{TENANT}/events{query}").status_code in (200, 400)


class TestCharts:
    """Counts per day, and the share of success."""

    def test_a_chart_has_every_day_and_says_how_many_succeeded(self, operator: Operator, kit: TenantKit) -> None:
        client = sign_up(kit, "ada")
        passkeys = kit.tenant().passkeys
        start = kit.run(passkeys.start_authentication(binding="b"))
        kit.run(passkeys.finish_authentication(client.get(start.to_dict()), binding="b"))
        start = kit.run(passkeys.start_authentication(binding="b"))
        with pytest.raises(Exception, match="not begun here"):
            kit.run(passkeys.finish_authentication(client.get(start.to_dict()), binding="other"))
        page = operator.get(TENANT).text
        chart = page.partition(">Uses of passkeys</h2>")[2].partition("</section>")[0]
        assert "<strong>50.0 %</strong>" in chart
        assert chart.count("<tr>") == 1 + 14
        assert chart.count("<rect") == 2
        assert operator.get(f"{TENANT}?days=7").text.count("<tr>") < page.count("<tr>")
        for odd in ("x", "-1", "999999999999"):
            assert operator.get(f"{TENANT}?days={odd}").status_code == 200

    def test_actions_have_a_share_of_success(self, operator: Operator, kit: TenantKit) -> None:
        """Of those that came to an end, each once, on the day of its last change; others wait, and count as begun."""
        rules = '[default]\ndefault = "REVIEW"'
        page = f"{TENANT}/settings"
        operator.send(page, {**operator.fields(page), "rules": rules})
        for state in ("REVIEW_SUCCEEDED", "REVIEW_SUCCEEDED", "REVIEW_FAILED", None):
            tracked = kit.run(kit.tenant().actions.track("ada", "transfer"))
            if state is not None:
                key = tracked.action.idempotency_key
                kit.run(kit.tenant().actions.update_action("ada", "transfer", key, state=ActionState(state)))
        chart = operator.get(TENANT).text.partition(">Actions</h2>")[2].partition("</section>")[0]
        assert "<strong>66.7 %</strong>" in chart
        assert "Succeeded <b>2</b>" in chart
        assert "Those that were answered" in chart
        begun = operator.get(TENANT).text.partition(">Actions begun</h2>")[2].partition("</section>")[0]
        assert "Begun <b>4</b>" in begun
        waiting = operator.get(TENANT).text.partition(">Actions without an answer</h2>")[2].partition("</section>")[0]
        assert "Waiting or expired <b>1</b>" in waiting

    def test_days_of_which_not_all_is_read_are_not_drawn_as_empty(
        self, operator: Operator, kit: TenantKit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Five actions a day, and room for twelve events: two days are known, the one before is not, nor any older."""
        monkeypatch.setattr(events, "_MANY", 4)
        monkeypatch.setattr(events, "_MOST_OF_ACTIONS", 12)

        def day(fails: int) -> None:
            actions = kit.tenant().actions
            for number in range(5):
                action = kit.run(actions.track("ada", "transfer")).action
                state = ActionState.REVIEW_FAILED if number < fails else ActionState.REVIEW_SUCCEEDED
                assert kit.run(actions.update_action("ada", "transfer", action.idempotency_key, state=state))

        def shown(title: str = "Actions") -> str:
            operator.sign_in()
            return operator.get(f"{TENANT}?days=7").text.partition(f">{title}</h2>")[2].partition("</section>")[0]

        page = f"{TENANT}/settings"
        operator.send(page, {**operator.fields(page), "rules": '[default]\ndefault = "REVIEW"'})
        day(5)
        chart = shown()
        assert ("<strong>0 %</strong>" in chart, "Counted from" in chart) == (True, False)
        kit.clock.pass_(86_400)
        day(0)
        chart = shown()
        assert chart.partition("Counted from ")[2].partition(":")[0] == "4 Nov 2026 on"
        assert ("<strong>100 %</strong>" in chart, "Succeeded <b>5</b>" in chart) == (True, True)
        assert chart.count(">not counted</td>") == 6
        assert chart.count("<tr>") == 1 + 7
        assert "–" not in chart
        assert chart.count('class="uncounted"') == 1
        assert shown("Actions without an answer").count(">not counted</td>") == 0  # nothing is drawn of it at all
        assert "Nothing since then" in shown("Actions without an answer")
        assert "Begun <b>10</b>" in shown("Actions begun")
        day(1)
        chart = shown()
        assert "cannot count it" in chart
        assert ("<strong>" in chart, "<rect" in chart, "Nothing in" in chart) == (False, False, False)

    def test_bars_stay_within_their_picture(self) -> None:
        today = date(2026, 11, 3)
        good, bad = EventType.AUTHENTICATION_SUCCEEDED, EventType.AUTHENTICATION_FAILED
        counts = [
            EventCount(day=today - timedelta(days=back), type=kind, count=count)
            for back, (one, other) in enumerate([(999, 1), (1, 0), (0, 1_000), (3, 3)])
            for kind, count in ((good, one), (bad, other))
        ]
        drawn = draw(counts, today, 7)[0]
        assert drawn.top == 1_000
        assert [day.day for day in drawn.days] == [today - timedelta(days=back) for back in range(6, -1, -1)]
        assert all(day.good_height + day.bad_height <= HEIGHT for day in drawn.days)
        assert drawn.days[-2].good_height >= 2
        assert (drawn.good, drawn.bad) == (1_003, 1_004)

    @pytest.mark.parametrize(
        ("good", "bad", "said"),
        [(0, 0, ""), (1, 0, "100 %"), (0, 1, "0 %"), (1, 1, "50.0 %"), (99_999, 1, "99.9 %"), (1, 99_999, "0.1 %")],
    )
    def test_a_share_is_never_rounded_to_all_or_nothing(self, good: int, bad: int, said: str) -> None:
        assert percent(good, bad) == said


def test_days_are_of_utc() -> None:
    """The feed and the charts count the same days, whatever the machine's own zone is."""
    from passkeycore.server.portal.events import _begin

    assert _begin(date(2026, 11, 3)) == datetime(2026, 11, 3, tzinfo=UTC)
