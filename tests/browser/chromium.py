"""Chromium, its tabs and the virtual authenticators plugged into them.

What belongs here: everything that speaks to the browser. Options go into a page and responses come out of it as
WebAuthn JSON; nothing here knows the engine.
"""

import base64
import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .sites import Sites

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Frame

_SWITCHES: Final = (
    "--no-sandbox",  # Chromium has none as root, which containers run it as
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_MS: Final = 20_000  # for an authenticator that never answers

# The credential crosses as the text that a page would post.
_CREATE: Final = """async ({options, patience}) => {
    try {
        const credential = await navigator.credentials.create({
            publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
            mediation: options.mediation,
            signal: AbortSignal.timeout(patience),
        });
        return {text: JSON.stringify(credential)};
    } catch (error) {
        return {refusal: [error.name, error.message]};
    }
}"""
_GET: Final = _CREATE.replace("parseCreationOptions", "parseRequestOptions").replace(
    "credentials.create", "credentials.get"
)
_EMBED: Final = """([url, allow]) => new Promise(resolve => {
    const frame = document.createElement("iframe");
    Object.assign(frame, {src: url, allow: allow, onload: resolve});
    document.body.append(frame);
})"""

Traits: TypeAlias = dict[str, bool | str]

PLATFORM: Final[Traits] = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
}
"""A phone or computer that unlocks itself for its user."""
SECURITY_KEY: Final[Traits] = {**PLATFORM, "transport": "usb"}
U2F_KEY: Final[Traits] = {"protocol": "u2f", "transport": "usb"}


class UnavailableError(Exception):
    """There is no browser here, or nothing to drive it with."""


class RefusalError(Exception):
    """The client itself ended a ceremony, with a DOMException: `name` is its name."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class Device:
    """A virtual authenticator in one tab."""

    def __init__(self, session: "CDPSession", traits: Traits) -> None:
        self._session = session
        self._id: str | None = None
        self._id = self._send("addVirtualAuthenticator", options=dict(traits))["authenticatorId"]

    def unplug(self) -> None:
        """Takes the authenticator away, with all its credentials."""
        self._send("removeVirtualAuthenticator")

    def lie(self, **bits: bool) -> None:
        """Lets it answer wrongly from now on: ``isBogusSignature``, ``isBadUV``, ``isBadUP``; without any, rightly."""
        self._send("setResponseOverrideBits", **bits)

    def recognise(self, user: bool) -> None:
        """Says whether user verification succeeds from now on."""
        self._send("setUserVerified", isUserVerified=user)

    def insert(self, credential_id: bytes, **members: bool | bytes | int | str) -> None:
        """Puts a credential into it whose ``privateKey`` (PKCS#8) somebody else made."""
        self._send("addCredential", credential=_wire({"credentialId": credential_id, **members}))

    def change(self, credential_id: bytes, **members: bool | int) -> None:
        """Changes ``signCount``, ``backupEligibility`` or ``backupState`` of one of its credentials."""
        self._send("setCredentialProperties", **_wire({"credentialId": credential_id, **members}))

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        if self._id is not None:
            parameters["authenticatorId"] = self._id
        return _send(self._session, method, parameters)


def _send(session: "CDPSession", method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    untyped: Any = session  # it answers with a bare Dict
    answer: dict[str, Any] = untyped.send(f"WebAuthn.{method}", parameters)
    return answer


def _wire(members: Mapping[str, bool | bytes | int | str]) -> dict[str, bool | int | str]:
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in members.items()
    }


class Tab:
    """A page, or a frame in one, and the authenticators plugged into it."""

    def __init__(self, frame: "Frame", session: "CDPSession") -> None:
        self._frame = frame
        self._session = session

    def plug(self, traits: Traits, **more: bool | str) -> Device:
        """A new authenticator, empty."""
        return Device(self._session, {**traits, **more})

    def create(self, options: Mapping[str, Any]) -> str:
        """The JSON text of what ``navigator.credentials.create()`` returned for options in JSON.

        Raises:
            RefusalError: It threw.
        """
        return self._run(_CREATE, options)

    def get(self, options: Mapping[str, Any]) -> str:
        """The JSON text of what ``navigator.credentials.get()`` returned for options in JSON.

        Raises:
            RefusalError: It threw.
        """
        return self._run(_GET, options)

    def embed(self, origin: str, allow: str) -> "Tab":
        """A frame with a page of `origin` in this page, with the permissions policy `allow`."""
        self._frame.evaluate(_EMBED, [origin + "/", allow])
        return Tab(self._frame.child_frames[-1], self._session)

    def _run(self, script: str, options: Mapping[str, Any]) -> str:
        answer = self._frame.evaluate(script, {"options": options, "patience": _PATIENCE_MS})
        if "refusal" in answer:
            raise RefusalError(*answer["refusal"])
        text: str = answer["text"]
        return text


class Chromium:
    """A running Chromium."""

    def __init__(self, browser: "Browser", sites: Sites) -> None:
        self._page = browser.new_page()
        self._session = self._page.context.new_cdp_session(self._page)
        self.sites = sites
        self.version = browser.version

    @contextmanager
    def tab(self, origin: str) -> Generator[Tab]:
        """The one tab, with a new page of `origin` and no authenticators."""
        self._page.goto(origin + "/")
        _send(self._session, "enable", {})
        try:
            yield Tab(self._page.main_frame, self._session)
        finally:
            _send(self._session, "disable", {})  # and with it goes every authenticator


@contextmanager
def launch(sites: Sites) -> Generator[Chromium]:
    """Chromium on the path or named by the environment's CHROMIUM, headless, with a profile of its own.

    Raises:
        UnavailableError: It is not installed, or Playwright is not.
    """
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        raise UnavailableError("Chromium is missing: apt-get install chromium, or name it in CHROMIUM")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise UnavailableError(
            "Playwright is missing: pip install playwright (and apt-get install chromium for a browser)"
        ) from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=[*_SWITCHES, *sites.switches])
        try:
            yield Chromium(browser, sites)
        finally:
            browser.close()
