"""QR codes over a WebSocket, against a server on a port: what a browser offers, gets, and is refused."""

import itertools
import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy.event
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from passkeycore.config.server import Limits
from passkeycore.server.authsignal.auth import Dialect
from passkeycore.server.authsignal.qr_socket import qr_socket
from passkeycore.server.authsignal.sockets import OpenSockets
from passkeycore.server.edge.limits import AddressLimits, RateLimits

from .kit import OWN, Api, Json, refused, signed

SHOP = "https://shop.example.com"
PROTOCOL = "authsignal-ws"


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    """Where the SDK connects to, of ``{base}/v1``: ``/ws-v1-challenge``."""
    with api.kit.live(api.app) as base:
        yield base.replace("http", "ws") + "/ws-v1-challenge"


@contextmanager
def opened(url: str, *protocols: str, origin: str | None = SHOP) -> Generator[ClientConnection]:
    offered = [Subprotocol(protocol) for protocol in protocols]
    with connect(url, subprotocols=offered, origin=origin) as socket:  # type: ignore[arg-type]
        assert socket.subprotocol == PROTOCOL
        yield socket


def created(socket: ClientConnection, **data: Any) -> Json:
    """The data of a new challenge."""
    socket.send(json.dumps({"type": "CREATE_CHALLENGE", "data": {"challengeType": "QR_CODE", **data}}))
    message = json.loads(socket.recv(timeout=5))
    assert message["type"] == "CHALLENGE_CREATED"
    assert message["data"].keys() == {"challengeId", "challengeType", "expiresAt", "state"}
    assert (message["data"]["challengeType"], message["data"]["state"]) == ("QR_CODE", "unclaimed")
    result: Json = message["data"]
    return result


def change(socket: ClientConnection) -> Json:
    """The data of the next change."""
    message = json.loads(socket.recv(timeout=5))
    assert message["type"] == "STATE_CHANGE"
    data: Json = message["data"]
    return data


@pytest.mark.parametrize("with_token", [True, False])
def test_a_browser_is_told_of_the_scan_and_of_the_approval(api: Api, url: str, with_token: bool) -> None:
    device, tracked = api.new_device(kind="qr-code"), api.track()
    named = f"x.authsignal.token.{tracked['token']}" if with_token else "x.authsignal.tenant.shop"
    with opened(url, PROTOCOL, named) as socket:
        id = created(socket, actionCode="transfer", custom={"amount": 5})["challengeId"]
        claimed = api.post(f"{OWN}/qr-code/challenge/claim", signed(device, id))
        assert claimed["actionCode"] == "transfer"
        assert change(socket) == {"challengeId": id, "state": "claimed"}
        api.post(f"{OWN}/qr-code/challenge", {**signed(device, id), "approved": True})
        approved = change(socket)
        assert approved["state"] == "approved"
        proof = api.validate(approved["accessToken"], userId="ada", action="transfer")
        assert proof["isValid"] is True
        assert (proof["idempotencyKey"] == tracked["idempotencyKey"]) is with_token


def test_a_browser_is_told_of_a_rejection_and_may_ask_again(api: Api, url: str) -> None:
    device = api.new_device(kind="qr-code")
    with opened(url, PROTOCOL, "x.authsignal.tenant.shop") as socket:
        id = created(socket)["challengeId"]
        api.post(f"{OWN}/qr-code/challenge/claim", signed(device, id))
        api.post(f"{OWN}/qr-code/challenge", {**signed(device, id), "approved": False})
        seen = [change(socket)["state"]]
        if seen == ["claimed"]:  # both may have happened between two looks
            seen.append(change(socket)["state"])
        assert seen[-1] == "rejected"
        assert created(socket)["challengeId"] != id


def test_the_challenge_before_is_given_up_when_another_is_asked_for(api: Api, url: str) -> None:
    device = api.new_device(kind="qr-code")
    with opened(url, PROTOCOL, "x.authsignal.tenant.shop") as socket:
        first, second = created(socket)["challengeId"], created(socket)["challengeId"]
        api.post(f"{OWN}/qr-code/challenge/claim", signed(device, first))
        api.post(f"{OWN}/qr-code/challenge/claim", signed(device, second))
        assert change(socket) == {"challengeId": second, "state": "claimed"}


@pytest.mark.parametrize(
    "protocols",
    [
        [PROTOCOL],
        ["x.authsignal.tenant.shop"],
        [PROTOCOL, "x.authsignal.tenant.nobody"],
        [PROTOCOL, "x.authsignal.tenant."],
        [PROTOCOL, "x.authsignal.token.x"],
        [PROTOCOL, "x.authsignal.tenant.shop", "x.authsignal.tenant.bank"],
    ],
)
def test_who_is_nobody_is_refused_before_anything_is_said(url: str, protocols: list[str]) -> None:
    with pytest.raises(InvalidStatus) as caught, opened(url, *protocols):
        pass
    assert caught.value.response.status_code == 403
    assert json.loads(caught.value.response.body or b"").keys() == {"error", "errorCode", "errorDescription"}


def test_a_token_that_is_too_old_is_refused(api: Api, url: str) -> None:
    token = api.track()["token"]
    api.kit.clock.pass_(601)
    with pytest.raises(InvalidStatus), opened(url, PROTOCOL, f"x.authsignal.token.{token}"):
        pass


@pytest.mark.parametrize("origin", ["https://evil.example", "https://bank.example.com", "null"])
def test_a_foreign_page_is_refused(url: str, origin: str) -> None:
    with pytest.raises(InvalidStatus), opened(url, PROTOCOL, "x.authsignal.tenant.shop", origin=origin):
        pass


@pytest.mark.parametrize(
    "message",
    [
        "x",
        "{}",
        "[]",
        '{"type": "CREATE_CHALLENGE"}',
        '{"type": "CREATE_CHALLENGE", "data": {"challengeType": "PUSH"}}',
        '{"type": "CREATE_CHALLENGE", "data": {"challengeType": "QR_CODE", "actionCode": "a b"}}',
        '{"type": "CREATE_CHALLENGE", "data": {"challengeType": "QR_CODE", "custom": {"a": []}}}',
        '{"type": "CREATE_CHALLENGE", "data": {"challengeType": "QR_CODE", "x": "' + "x" * 20_000 + '"}}',
        b"\x00\x01",
    ],
)
def test_what_is_no_question_ends_the_socket(url: str, message: str | bytes) -> None:
    with opened(url, PROTOCOL, "x.authsignal.tenant.shop") as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(timeout=5)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008


def test_a_token_whose_action_is_over_asks_for_nothing(api: Api, url: str) -> None:
    client = api.new_passkey()
    token = api.track()["token"]
    api.sign_in(client, token=token)
    with opened(url, PROTOCOL, f"x.authsignal.token.{token}") as socket:
        socket.send(json.dumps({"type": "CREATE_CHALLENGE", "data": {"challengeType": "QR_CODE"}}))
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=5)
    refused(api.client("POST", "/client/challenge/qr-code", {}, token=token), "invalid_request")


class TestNow:
    """Who may, is asked anew: a socket outlives nothing that let it open."""

    def test_a_token_that_expires_ends_the_socket(self, api: Api, url: str) -> None:
        with opened(url, PROTOCOL, f"x.authsignal.token.{api.track()['token']}") as socket:
            created(socket)
            api.kit.clock.pass_(601)
            assert closed(socket) == 1008

    def test_a_token_whose_user_is_gone_ends_the_socket(self, api: Api, url: str) -> None:
        with opened(url, PROTOCOL, f"x.authsignal.token.{api.track()['token']}") as socket:
            api.server("DELETE", "/users/ada")
            socket.send(json.dumps({"type": "CREATE_CHALLENGE", "data": {"challengeType": "QR_CODE"}}))
            assert closed(socket) == 1008

    @pytest.mark.parametrize("when", ["before a challenge", "while one waits"])
    def test_an_origin_that_an_operator_removes_ends_the_socket(self, api: Api, url: str, when: str) -> None:
        with opened(url, PROTOCOL, "x.authsignal.tenant.shop", origin="https://www.shop.example") as socket:
            if when == "while one waits":
                created(socket)
            api.kit.run(api.kit.tenants.change("shop", {"cors_origins": []}, revision=0))
            if when == "before a challenge":
                socket.send(json.dumps({"type": "CREATE_CHALLENGE", "data": {"challengeType": "QR_CODE"}}))
            assert closed(socket) == 1008

    def test_the_word_of_an_action_is_the_tenants_of_now(self, api: Api, url: str) -> None:
        device = api.new_device(kind="qr-code")
        with opened(url, PROTOCOL, "x.authsignal.tenant.shop") as socket:
            api.kit.run(api.kit.tenants.change("shop", {"default_action": "log-in"}, revision=0))
            id = created(socket)["challengeId"]
            assert api.post(f"{OWN}/qr-code/challenge/claim", signed(device, id))["actionCode"] == "log-in"


def test_what_rules_do_not_take_is_rejected(api: Api, url: str) -> None:
    device = api.new_device(kind="qr-code")
    with opened(url, PROTOCOL, "x.authsignal.tenant.shop") as socket:
        id = created(socket, actionCode="sign-in")["challengeId"]
        api.post(f"{OWN}/qr-code/challenge/claim", signed(device, id))
        assert change(socket)["state"] == "claimed"
        block = {"sign-in": {"default": "BLOCK"}}
        api.kit.run(api.kit.tenants.change("shop", {"actions": block}, revision=0))
        api.post(f"{OWN}/qr-code/challenge", {**signed(device, id), "approved": True})
        assert change(socket) == {"challengeId": id, "state": "rejected"}


class TestHiccups:
    """What a database raises for a while ends nothing, and is told in the log once, without its words."""

    def test_a_challenge_is_looked_at_again(self, api: Api, caplog: pytest.LogCaptureFixture) -> None:
        was_seen = threading.Event()
        device = api.new_device(kind="qr-code")
        engine, looks = api.kit.storage.database._engine, itertools.count()

        def fail(*execution: Any) -> None:
            if "FROM passkey_device_challenges" in execution[2] and not was_seen.is_set():
                if next(looks) == 2:
                    was_seen.set()
                raise RuntimeError("words of a driver")

        with served(api, poll_s=0.01) as url, opened(url, PROTOCOL, "x.authsignal.tenant.shop") as socket:
            id = created(socket)["challengeId"]
            sqlalchemy.event.listen(engine, "before_cursor_execute", fail)
            assert was_seen.wait(5)
            sqlalchemy.event.remove(engine, "before_cursor_execute", fail)
            api.post(f"{OWN}/qr-code/challenge/claim", signed(device, id))
            assert change(socket) == {"challengeId": id, "state": "claimed"}
        (line,) = [record.getMessage() for record in caplog.records if record.name == "passkeycore.server"]
        assert "RuntimeError" in line
        assert "words of a driver" not in line


@contextmanager
def served(api: Api, limits: RateLimits | None = None, **bounds: Any) -> Generator[str]:
    """The socket alone, with bounds of its own."""
    endpoint = qr_socket(Dialect(tenants=api.kit.tenants, settings=api.kit.settings, hooks=None), **bounds)
    app: ASGIApp = Starlette(routes=[WebSocketRoute("/", endpoint)])
    if limits is not None:
        app = AddressLimits(app, limits, refused=lambda *_: Response())
    with api.kit.live(app) as base:
        yield base.replace("http", "ws") + "/"


def test_a_socket_that_asks_for_nothing_is_closed(api: Api) -> None:
    with served(api, idle_s=0.05) as url, opened(url, PROTOCOL, "x.authsignal.tenant.shop") as socket:
        assert closed(socket) == 1000


def test_a_socket_ends_whatever_it_asks_for(api: Api) -> None:
    with served(api, lifetime_s=0.2) as url, opened(url, PROTOCOL, "x.authsignal.tenant.shop") as socket:
        created(socket)
        assert closed(socket) == 1000


@pytest.mark.parametrize("bounds", [{"most_of_address": 2}, {"most_of_tenant": 2}])
def test_so_many_are_open_and_no_more_until_one_closes(api: Api, bounds: dict[str, int]) -> None:
    sockets = OpenSockets(**bounds)
    with served(api, sockets=sockets) as url, opened(url, PROTOCOL, "x.authsignal.tenant.shop") as first:
        with opened(url, PROTOCOL, "x.authsignal.tenant.shop") as second:
            with pytest.raises(InvalidStatus), opened(url, PROTOCOL, "x.authsignal.tenant.shop"):
                pass
            second.close()
        created(first)
        with opened(url, PROTOCOL, "x.authsignal.tenant.shop") as again:
            created(again)


def test_each_challenge_counts_as_a_request(api: Api) -> None:
    limits = RateLimits(Limits(per_tenant="3/hour"), monotonic=lambda: 0.0)
    with served(api, limits) as url, opened(url, PROTOCOL, "x.authsignal.tenant.shop") as socket:
        for _ in range(2):
            created(socket)
        socket.send(json.dumps({"type": "CREATE_CHALLENGE", "data": {"challengeType": "QR_CODE"}}))
        assert closed(socket) == 1008


def closed(socket: ClientConnection) -> int:
    """With which code the server closes it."""
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=5)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code
