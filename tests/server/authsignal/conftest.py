"""The dialect over a new database for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.kit import TenantKit, tenant_kit

from .kit import Api


@pytest.fixture
def tenants(tmp_path: Path) -> Iterator[TenantKit]:
    """Both tenants."""
    with tenant_kit(tmp_path) as kit:
        yield kit


@pytest.fixture
def api(tenants: TenantKit) -> Api:
    """Both tenants behind the dialect."""
    return Api(tenants)
