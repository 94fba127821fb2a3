"""Pages that wait for a phone over a bad network, in Chromium: the proof, which is given out once, is not lost."""

from typing import TYPE_CHECKING

from .browsing import Tab, World

if TYPE_CHECKING:
    from playwright.sync_api import Route

_LOOK: str = "() => document.dispatchEvent(new Event('visibilitychange'))"


def look_again(tab: Tab) -> None:
    """The user comes back to the tab, and the page asks at once."""
    tab.page.evaluate(_LOOK)


def test_one_question_at_a_time(live: World) -> None:
    """Of two, one would be given the proof, and the other told that there is none."""
    device = live.pages.new_device()
    held: list[Route] = []
    with live.tab() as tab:
        tab.page.route("**/device/poll", lambda route: held.append(route))
        with tab.page.expect_request("**/device/poll"):
            tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back")))
        live.pages.answer(device, live.pages.pending(device))
        for _ in range(3):
            look_again(tab)
        tab.page.wait_for_timeout(200)
        assert len(held) == 1
        held[0].continue_()
        assert live.pages.validated(tab.arrived()) == "ada"


def test_a_proof_that_comes_while_the_page_is_left_counts(live: World) -> None:
    device = live.pages.new_device()
    held: list[Route] = []
    with live.tab() as tab:
        tab.new_passkey()
        tab.page.route("**/device/poll", lambda route: held.append(route))
        tab.page.route("**/device/cancel", lambda route: held.append(route))
        with tab.page.expect_request("**/device/poll"):
            tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back"), "&method=push"))
        live.pages.answer(device, live.pages.pending(device))
        with tab.page.expect_request("**/device/cancel"):
            tab.page.click("text=Use a passkey")
        poll, cancel = held
        poll.continue_()
        tab.page.wait_for_url(f"{live.shop}/back**")
        assert live.pages.validated(tab.arrived()) == "ada"
        cancel.abort()


def test_a_lost_answer_leaves_a_page_that_can_end(live: World) -> None:
    """The server has given the proof out, but it never came: the page says that it is confirmed, and goes on."""
    device = live.pages.new_device()
    lost: list[str] = []

    def lose(route: "Route") -> None:
        answer = route.fetch()
        if "ending" in answer.json():
            lost.append(answer.json()["ending"]["token"])
            route.abort()
        else:
            route.fulfill(response=answer)

    with live.tab() as tab:
        tab.page.route("**/device/poll", lose)
        tracked = live.pages.track(redirect_url=f"{live.shop}/back")
        with tab.page.expect_event("requestfailed", lambda request: request.url.endswith("/device/poll")):
            tab.open(live.pages.url(tracked))
            tab.page.wait_for_load_state("networkidle")
            live.pages.answer(device, live.pages.pending(device))
        assert lost
        look_again(tab)
        tab.expect("Already confirmed")
        tab.press("Continue")
        assert tab.arrived() == tracked.token
        assert live.pages.state(tracked) == "CHALLENGE_SUCCEEDED"
