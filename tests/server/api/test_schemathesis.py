"""Whatever the document allows, and whatever it does not: no request ends in a fault of the server.

Requests are made from the document, with headers, cookies and types of their own, and half of what they name is really
there. Each is sent to the whole server as it is, and as a caller who may call the route; routes of users, to an
application that is mounted. How many there are is bounded, and they are the same in every run.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

import httpx
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case as AnyCase
from schemathesis import GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from starlette.applications import Starlette
from starlette.routing import Mount

from passkeycore.server.api import openapi_document
from passkeycore.server.api.calls import Row
from passkeycore.server.api.rows import ROWS
from passkeycore.server.app import server_app
from passkeycore.server.mounted import PasskeyApp
from tests.server.api.examples import SESSION
from tests.server.api.kit import HOST_COOKIE, MORE, Api, Json, begin_session, good, refused, user_of
from tests.server.kit import API_KEYS, BASE_URL, ORIGINS, Client, tenant_kit

_EXAMPLES: Final = 10
_CALM: Final = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
_CHECKS: Final = [not_a_server_error, content_type_conformance, response_schema_conformance]
_LIMITS: Final = "\n[limits]\n" + "".join(f'per_{whom} = "1000000/second"\n' for whom in ("tenant", "address", "user"))
_OPEN: Final = {"anyone", "device"}
"""Callers who show nothing, but for what is in the body."""

Case: TypeAlias = AnyCase[Any]
SCHEMA: Final = openapi.from_dict(openapi_document())


class Place(NamedTuple):
    """Where an application serves the document's paths."""

    client: Client
    url: str


class World:
    """Somebody with everything, and callers of every kind, before both applications."""

    def __init__(self, api: Api, server: Place, host: Place, user: str) -> None:
        self.server, self.host = server, host
        api.new_passkey(user)
        api.new_device(user)
        scope = ["read:authenticators", "remove:authenticators", "add:authenticators"]
        token = api.track(user, idempotency_key="first", scope=scope)
        asked = {"user_id": user, "binding": SESSION, "purpose": "transfer:42"}
        question = api.server("/server/device-challenges/start", method="push", **asked)
        listed = api.server("/server/authenticators", user_id=user)["authenticators"]
        self.known: Json = {
            **asked,
            "action": "transfer",
            "idempotency_key": "first",
            "token": token,
            "challenge_id": question["challenge_id"],
            "credential_id": listed[0]["authenticator_id"],
            "authenticator_id": listed[1]["authenticator_id"],
            "expires_at": "9999-12-31T23:59:59-23:59",
            "since": "0001-01-01T00:00:00+23:59",
        }
        self._shown = {"token": f"Bearer {token}", "server": f"Bearer {API_KEYS['shop']}"}
        self._user = user

    def send(self, row: Row, case: Case, *, rightly: bool) -> httpx.Response:
        """The case as it is; or with what lets its caller in, in place of what it has for that itself."""
        place = self.host if row.caller == "user" else self.server
        headers, cookies = self._credentials(row, place) if rightly else ({}, {})
        sent = case.as_transport_kwargs(base_url=place.url, headers=headers)
        sent["cookies"] = {**(sent.get("cookies") or {}), **cookies}
        request = requests.Request(**sent).prepare()
        assert request.method == row.method
        raw = [(_bytes(name), _bytes(value)) for name, value in request.headers.items()]
        try:
            return place.client.request(row.method, str(request.url), content=request.body or b"", headers=raw)
        finally:
            place.client.http.cookies.clear()  # the next one has its own

    def _credentials(self, row: Row, place: Place) -> tuple[dict[str, str], dict[str, str]]:
        if row.caller in self._shown:
            return {"Authorization": self._shown[row.caller]}, {}
        if row.caller not in ("visitor", "user"):
            return {}, {}
        origin = {"Origin": ORIGINS["shop"]}
        answer = place.client.get(f"{place.url}/session", headers=origin)
        cookies = dict(place.client.http.cookies)
        place.client.http.cookies.clear()
        signed_in = {HOST_COOKIE: self._user} if row.caller == "user" else {}
        return origin | {"X-CSRF-Token": good(answer)["csrf_token"]}, cookies | signed_in


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Place, Place]]:
    with tenant_kit(tmp_path_factory.mktemp("api"), more=_LIMITS, shop_more=MORE) as kit:
        api = Api(kit, server_app(kit.tenants, kit.settings))
        shop = kit.tenant()
        app = PasskeyApp(shop.passkeys, shop.devices, shop.actions, current_user=user_of, on_sign_in=begin_session)
        host = kit.client(Starlette(routes=[Mount("/passkeys", app=app)]), base_url=ORIGINS["shop"])
        server = Place(kit.client(api.app), f"{BASE_URL}/api/shop")
        yield api, server, Place(host, f"{ORIGINS['shop']}/passkeys")


def cases(row: Row, mode: GenerationMode) -> st.SearchStrategy[Case]:
    """Requests as the document describes them, or as it does not."""
    return SCHEMA[row.path][row.method].as_strategy(generation_mode=mode)


def check(case: Case, answer: httpx.Response) -> None:
    """Returns only for what the document says of an answer, be it a success or an error."""
    if answer.status_code != 200:
        refused(answer)
    case.validate_response(Response.from_httpx(answer, verify=True), checks=_CHECKS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_request_ends_in_a_fault_of_the_server(
    places: tuple[Api, Place, Place], row: Row, mode: GenerationMode
) -> None:
    world = World(*places, f"{row.name} {mode.value}")

    @settings(max_examples=_EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=_CALM)
    @given(case=cases(row, mode), real=st.sets(st.sampled_from(sorted(world.known))))
    def attempt(case: Case, real: set[str]) -> None:
        if isinstance(case.body, dict):
            case.body = case.body | {name: world.known[name] for name in real if name in case.body}
        answer = world.send(row, case, rightly=False)
        check(case, answer)
        assert answer.status_code != 200 or row.caller in _OPEN or row.path == "/session"
        answer = world.send(row, case, rightly=True)
        check(case, answer)
        assert answer.status_code == 200 or row.asked is not None

    attempt()


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
