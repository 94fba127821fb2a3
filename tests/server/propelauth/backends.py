"""Who sends commands in tests: the test itself, and the two SDKs against a server on a port. All answer alike."""

import json
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp

from passkeycore.server.propelauth import PATH, routes
from tests.server.kit import INTEGRATION_KEYS, Client, TenantKit
from tests.server.npm import NodeProcess

Json = dict[str, Any]
KEY = INTEGRATION_KEYS["shop"]
VERSIONS = {"@propelauth/byo-node": "1.0.4", "@simplewebauthn/browser": "14.0.0"}
"""The packages of npm."""


class Answer(NamedTuple):
    """What a backend was told: whether it is good, and the members of the answer or of the error."""

    good: bool
    members: Json


class Backend(Protocol):
    """Runs commands."""

    def run(self, command: str, data: Mapping[str, Any], *, key: str = KEY) -> Answer:
        """The answer to a command with this data, in the names of the wire."""
        ...


class Http:
    """The test itself, without a network."""

    def __init__(self, kit: TenantKit) -> None:
        self.client: Client = kit.client(application(kit))

    def run(self, command: str, data: Mapping[str, Any], *, key: str = KEY) -> Answer:
        return checked(self.send({"command": command, "data": data}, {"Authorization": f"Bearer {key}"}))

    def send(self, body: object, headers: Mapping[str, str | bytes], method: str = "POST") -> httpx.Response:
        """The response to a request with this body: bytes, or something for JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        encoded = {name: value if isinstance(value, bytes) else value.encode() for name, value in headers.items()}
        return self.client.request(method, PATH, content=content, headers=encoded)


class Python:
    """The Python SDK."""

    def __init__(self, kit: TenantKit, url: str) -> None:
        self._kit, self._url = kit, url
        self._sdk: Any = import_module("propelauth_byo")

    def run(self, command: str, data: Mapping[str, Any], *, key: str = KEY) -> Answer:
        client = self._sdk.create_client(self._url + "/", key)
        name = snake(command.replace("Passkey", "", 1) if command.startswith(("Start", "Finish")) else command)
        method = client.ping if command == "Ping" else getattr(client.passkeys, name)
        result = self._kit.run(method(**{snake(name): value for name, value in data.items()}))
        good = hasattr(result, "data")
        return Answer(good, (result.data if good else result.error)._to_request())


class Node:
    """The Node SDK, in a process that tests share."""

    def __init__(self, process: NodeProcess, url: str) -> None:
        self._process, self._url = process, url

    def run(self, command: str, data: Mapping[str, Any], *, key: str = KEY) -> Answer:
        name = command.replace("Passkey", "", 1) if command.startswith(("Start", "Finish")) else command
        question = {"url": self._url, "key": key, "method": name[0].lower() + name[1:], "data": data}
        return Answer(**self._process.ask(question))


def application(kit: TenantKit) -> ASGIApp:
    """The dialect alone."""
    return Starlette(routes=routes(kit.tenants))


def checked(response: httpx.Response) -> Answer:
    """An answer as every SDK can read it: JSON, by exactly 200 good, and else an error with its name."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    members: Json = response.json()
    good = response.status_code == 200
    assert good or 400 <= response.status_code < 500, response.text
    assert good is ("type" not in members)
    assert members.keys() <= {"type", "details"} or good
    assert members.get("type") != "UnexpectedError" or (isinstance(members["details"], str) and members["details"])
    return Answer(good, members)


def snake(name: str) -> str:
    """A name of the wire as the Python SDK has it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
