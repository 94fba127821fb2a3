"""The API over both tenants, in a database of its own for each test module or test."""

from collections.abc import Iterator

import pytest

from tests.server.api.kit import MORE, Api
from tests.server.kit import tenant_kit


@pytest.fixture
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Empty."""
    with tenant_kit(tmp_path_factory.mktemp("api"), shop_more=MORE) as kit:
        yield Api(kit)


@pytest.fixture(scope="module")
def shared_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Of all tests in a module, each with users of its own."""
    with tenant_kit(tmp_path_factory.mktemp("api"), shop_more=MORE) as kit:
        yield Api(kit)
