"""Whatever the document allows, and whatever it does not: no request ends in a fault of the server.

Requests are made from the document, by callers who may call the route; half of what they name is really there. How many
there are is bounded, and they are the same in every run.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case as AnyCase
from schemathesis import GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from passkeycore.server.api import openapi_document
from passkeycore.server.api.calls import Row
from passkeycore.server.api.rows import ROWS
from tests.server.api.examples import SESSION
from tests.server.api.kit import MORE, Api, Browser, Json, good, refused
from tests.server.kit import API_KEYS, tenant_kit

_EXAMPLES: Final = 10
_CALM: Final = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
_CHECKS: Final = [not_a_server_error, content_type_conformance, response_schema_conformance]
Case: TypeAlias = AnyCase[Any]
SCHEMA: Final = openapi.from_dict(openapi_document())


class World:
    """Somebody with everything, and callers of every kind."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.client = api.new_passkey("ada")
        api.new_device("ada")
        scope = ["read:authenticators", "remove:authenticators", "add:authenticators"]
        self.token = api.track("ada", idempotency_key="first", scope=scope)
        asked = {"user_id": "ada", "binding": SESSION, "purpose": "transfer:42"}
        question = api.server("/server/device-challenges/start", method="push", **asked)
        listed = api.server("/server/authenticators", user_id="ada")["authenticators"]
        self.known: Json = {
            **asked,
            "action": "transfer",
            "idempotency_key": "first",
            "token": self.token,
            "challenge_id": question["challenge_id"],
            "credential_id": listed[0]["authenticator_id"],
            "authenticator_id": listed[1]["authenticator_id"],
            "expires_at": "9999-12-31T23:59:59-23:59",
            "since": "0001-01-01T00:00:00+23:59",
        }
        self.visitor, self.user = api.browser(), api.host_browser("ada")
        self.visitor.begin()
        self.user.begin()

    def send(self, row: Row, body: bytes) -> httpx.Response:
        """As a caller who may."""
        browser: Browser | None = {"visitor": self.visitor, "user": self.user}.get(row.caller)
        client, path, headers = self.api.http, f"/api/shop{row.path}", {"Content-Type": "application/json"}
        if browser is not None:
            client, path = browser.client, browser.prefix + row.path
            headers |= {"Origin": browser.origin, "X-CSRF-Token": browser.csrf}
        bearer = {"token": self.token, "server": API_KEYS["shop"]}.get(row.caller)
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        return client.request(row.method, path, content=body, headers=headers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with tenant_kit(tmp_path_factory.mktemp("api"), shop_more=MORE) as kit:
        yield World(Api(kit))


def cases(row: Row, mode: GenerationMode) -> st.SearchStrategy[Case]:
    """Requests as the document describes them, or as it does not."""
    return SCHEMA[row.path][row.method].as_strategy(generation_mode=mode)


def check(case: Case, answer: httpx.Response) -> None:
    """Returns only for what the document says of an answer, be it a success or an error."""
    if answer.status_code != 200:
        refused(answer)
    case.validate_response(Response.from_httpx(answer, verify=True), checks=_CHECKS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("row", [row for row in ROWS if row.asked is not None], ids=lambda row: row.name)
def test_no_request_ends_in_a_fault_of_the_server(world: World, row: Row, mode: GenerationMode) -> None:
    @settings(max_examples=_EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=_CALM)
    @given(case=cases(row, mode), real=st.sets(st.sampled_from(sorted(world.known))))
    def attempt(case: Case, real: set[str]) -> None:
        body = case.body
        if isinstance(body, dict):
            body = body | {name: world.known[name] for name in real if name in body}
        answer = world.send(row, body if isinstance(body, bytes) else json.dumps(body, default=str).encode())
        check(case, answer)

    attempt()


@pytest.mark.parametrize("row", [row for row in ROWS if row.asked is None], ids=lambda row: row.name)
def test_what_reads_nothing_answers_as_the_document_says(world: World, row: Row) -> None:
    case = SCHEMA[row.path][row.method].Case()
    answer = world.send(row, b"")
    good(answer)
    check(case, answer)
