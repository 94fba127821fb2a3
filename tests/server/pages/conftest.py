"""A browser for the tests of this package, and the pages, live or not, over a new database for each test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import _SWITCHES
from tests.server.npm import missing, npm_packages

from .browsing import World, world
from .kit import Pages, pages_kit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PACKAGES = {"@authsignal/browser": "1.16.0", "axe-core": "4.10.3"}


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """The pages without a network."""
    with pages_kit(tmp_path) as kit:
        yield kit


@pytest.fixture(scope="package")
def browser() -> "Iterator[Browser]":
    """Chromium, headless."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        missing("Chromium is missing: apt-get install chromium, or name it in CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=[*_SWITCHES])
        yield browser
        browser.close()


@pytest.fixture
def live(tmp_path: Path, browser: "Browser") -> Iterator[World]:
    """The pages and the shop's own site, live."""
    with world(tmp_path, browser) as found:
        yield found


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose ``node_modules`` has what runs in the browser."""
    return npm_packages(tmp_path_factory, PACKAGES)
