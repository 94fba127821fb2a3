"""An operator at the portal, over a new database for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.kit import TenantKit
from tests.server.pages import conftest as of_pages

from .kit import Operator, portal_kit

browser, packages = of_pages.browser, of_pages.packages


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Operator]:
    """Somebody at the portal who has not signed in."""
    with portal_kit(tmp_path) as (kit, app):
        yield Operator(kit, app)


@pytest.fixture
def operator(visitor: Operator) -> Operator:
    """The operator, signed in by the secret."""
    assert visitor.sign_in().status_code == 303
    return visitor


@pytest.fixture
def kit(visitor: Operator) -> TenantKit:
    """The tenants behind the portal."""
    return visitor.kit
