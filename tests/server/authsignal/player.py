"""A native app that is played from a data file: it substitutes values, signs, sends, and reads as its SDK does.

A file in ``native`` says how SDKs spell things, and which requests they make in which order. ``source`` is the release
that was read, ``cites`` the chapter of the notes made of it: 1 common rules, 4 challenges, 5 passkeys, 6 keys on
devices, 7 browsers, 9 older releases. Its steps are one of these:

    {"backend": "track" | "validate", "path"?, "body"?}     the application's own server
    {"system": "create" | "get"}                            the platform's passkeys: `options` in, `credential` out
    {"app": "POST /client/...", "auth": "tenant" | "token" | "$name", "body"?, "query"?}    the SDK
    {"browser": ...}                                        likewise, whoever waits in a browser

and may have ``keep`` (names for members of the answer), ``needs`` (members that the SDK's decoder takes, by
their types), ``expect`` (their values) and ``refused`` (the code of an error). A text that begins with ``$`` stands for
a value and how it is written: ``$credential.clientDataJSON|base64``, ``$signature(challengeId)|base64``.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

from passkeycore.testing import SoftwareAuthenticator, SoftwareDevice, VirtualClient, b64url_decode, b64url_encode

from .kit import Api, Json, Platform, good, refused, secret_of

Name = Literal["ios", "android", "flutter"]
NAMES: Final[tuple[Name, ...]] = get_args(Name)

_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "array": list,
    "object": dict,
}
_WRITTEN: Final[Mapping[str, Callable[[bytes], str]]] = {
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64url": b64url_encode,
    "text": lambda data: data.decode("utf-8", "replace"),
}
_VALUE: Final = re.compile(r"\$([A-Za-z]+)(?:\(([A-Za-z]+)\))?((?:\.[A-Za-z]+)*)((?:\|[a-z0-9]+)*)")
_BINARY: Final = ("attestationObject", "authenticatorData", "clientDataJSON", "signature", "userHandle")


def apps(name: Name) -> list[Json]:
    """The apps in a data file. One that wraps another SDK makes that one's requests, but for what it says itself."""
    listed: list[Json] = []
    for data in json.loads((Path(__file__).parent / "native" / f"{name}.json").read_text())["apps"]:
        base = apps(data["requests_of"])[0] if "requests_of" in data else {}
        listed.append(base | data)
    return listed


class App:
    """An installed app. Its device has an authenticator, which several apps may share, and a key of its own."""

    def __init__(self, api: Api, data: Json, *, authenticator: SoftwareAuthenticator | None = None) -> None:
        self.api = api
        self.data = data
        self.system: Platform = data["system"]
        self.device = SoftwareDevice(f"{data['sdk']} device")
        origin = "https://shop.example.com" if self.system == "browser" else None
        self.client = VirtualClient(
            authenticator or SoftwareAuthenticator(data["sdk"]),
            origin,
            platform=self.system,
        )
        self.values: Json = {"tenant": "shop", "user": "ada"}

    def play(self, flow: str, **values: Any) -> Json:
        """What is known after the steps of a flow."""
        self.values |= values
        for number, step in enumerate(self.data["flows"][flow]):
            try:
                self.step(step)
            except AssertionError as error:
                raise AssertionError(f"{self.data['sdk']}, {flow}, step {number}: {step}") from error
        return self.values

    def step(self, step: Json) -> None:
        """Plays one step."""
        if "system" in step:
            self.values["credential"] = {"create": self.create, "get": self.get}[step["system"]]()
            return
        who = "app" if "app" in step else "browser"
        answer = self.backend(step) if "backend" in step else self.send(step, who)
        members = refused(answer, step["refused"]) if "refused" in step else good(answer)
        for path, type_name in step.get("needs", {}).items():
            value = member(members, path)
            assert isinstance(value, _TYPES[type_name]), (path, value)
            assert type_name != "integer" or not isinstance(value, bool), (path, value)
        for path, expected in step.get("expect", {}).items():
            assert member(members, path) == self.filled(expected), (path, member(members, path))
        for path in step.get("without", []):
            assert member(members, path) is None, path
        for name, path in step.get("keep", {}).items():
            self.values[name] = member(members, path)

    def backend(self, step: Json) -> Any:
        """The answer to the application's own server."""
        path = {"track": "/users/{user}/actions/{action}", "validate": "/validate"}[step["backend"]]
        path = path.format(user=self.values["user"], action=step.get("action"))
        body = self.filled(step.get("body", {}))
        return self.api.http.post(f"/v1{path}", json=body, headers=secret_of("shop"))

    def send(self, step: Json, who: str) -> Any:
        """The answer to a request, spelled as the SDK of the app, or of browsers, spells it."""
        method, path = step[who].split(" ")
        spelling = self.data["tenant"] if who == "app" else {"text": "$tenant", "written": "base64"}
        headers = dict(self.data["headers"]["values"]) if who == "app" else {}
        if step["auth"] == "tenant":
            text = spelling["text"].replace("$tenant", self.values["tenant"]).encode()
            headers["Authorization"] = "Basic " + _WRITTEN[spelling["written"]](text)
        else:
            headers["Authorization"] = f"Bearer {self.values[step['auth']]}"
        query = "&".join(f"{name}={self.filled(value)}" for name, value in step.get("query", {}).items())
        url = f"/v1{path}?{query}" if query else f"/v1{path}"  # as it is: "=" is not encoded by any SDK
        if "body" not in step:
            return self.api.http.request(method, url, headers=headers)
        return self.api.http.request(method, url, headers=headers, json=self.filled(step["body"]))

    def filled(self, template: Any) -> Any:
        """The template with the values that it stands for."""
        if isinstance(template, dict):
            return {name: self.filled(value) for name, value in template.items()}
        if isinstance(template, list):
            return [self.filled(value) for value in template]
        if not isinstance(template, str) or not template.startswith("$"):
            return template
        match = _VALUE.fullmatch(template)
        assert match is not None, template
        name, argument, path, written = match.groups()
        if name == "signature":
            value: Any = self.device.sign(str(self.values[argument]).encode())
        elif name == "removal":
            bucket = f"{int(self.api.kit.clock().timestamp()) // 600}.0"
            assert re.fullmatch(self.data["removal"]["form"], bucket)
            value = self.device.sign(bucket.encode())
        elif name == "publicKey":
            value = self.device.public_key
        else:
            value = member(self.values[name], path[1:]) if path else self.values[name]
        for encoding in filter(None, written.split("|")):
            value = _WRITTEN[encoding](value if isinstance(value, bytes) else value.encode())
        return value

    # --- the platform's passkeys ---

    def create(self) -> Json:
        """A new passkey's response, its binary members as bytes."""
        options = json.loads(json.dumps(self.values["options"]))
        if self.system == "ios":  # it takes the text for the handle itself
            options["user"]["id"] = b64url_encode(options["user"]["id"].encode())
        return _response(self.client.create(options))

    def get(self) -> Json:
        """A passkey's response, likewise."""
        options = dict(self.values["options"])
        if self.system == "ios":
            options["allowCredentials"] = []  # which it ignores
        return _response(self.client.get(options))


def member(members: Any, path: str) -> Any:
    """What stands there; None: nothing."""
    for name in filter(None, path.split(".")):
        members = members.get(name) if isinstance(members, dict) else None
    return members


def _response(credential: Json) -> Json:
    response = credential["response"]
    read = {name: b64url_decode(response[name]) for name in _BINARY if name in response}
    return {"rawId": b64url_decode(credential["rawId"]), "transports": response.get("transports"), **read}
