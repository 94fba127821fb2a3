"""The browser that the tests of this package share, and a tab of its own for each of them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from passkeycore import RelyingParty

from .ceremonies import Party
from .chromium import Chromium, Tab, UnavailableError, launch
from .sites import serve


@pytest.fixture(scope="package")
def chromium() -> Iterator[Chromium]:
    with ExitStack() as stack:
        sites = stack.enter_context(serve())
        try:
            browser = stack.enter_context(launch(sites))
        except UnavailableError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield browser


@pytest.fixture
def tab(chromium: Chromium) -> Iterator[Tab]:
    with chromium.tab(chromium.sites.localhost) as tab:
        yield tab


@pytest.fixture
def party(chromium: Chromium, tab: Tab) -> Party:
    """A Relying Party on localhost with a tab of its site; no authenticator is plugged in yet."""
    return Party(RelyingParty(id="localhost", origins=[chromium.sites.localhost]), tab)
