"""The shop behind the dialect, for each test anew, and the SDKs that tests share."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.server.kit import TenantKit, tenant_kit
from tests.server.npm import NodeProcess, missing, npm_packages

from .backends import VERSIONS, Http, Node, Python, application
from .kit import World


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node SDK and the browser's library."""
    return npm_packages(tmp_path_factory, VERSIONS)


@pytest.fixture(scope="session")
def node(packages: Path) -> Iterator[NodeProcess]:
    """The Node SDK, waiting for questions."""
    with NodeProcess(packages, Path(__file__).with_name("driver.mjs")) as process:
        yield process


@pytest.fixture(scope="session")
def python_sdk() -> None:
    """The Python SDK is installed."""
    if find_spec("propelauth_byo") is None:
        missing("the SDK is missing: pip install propelauth-byo")


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[TenantKit]:
    """Both tenants."""
    with tenant_kit(tmp_path) as kit:
        yield kit


@pytest.fixture
def http(kit: TenantKit) -> Http:
    """Whoever sends requests by hand."""
    return Http(kit)


@pytest.fixture
def shop(kit: TenantKit, http: Http) -> World:
    """The shop, whose backend is the test."""
    return World(kit, http)


@pytest.fixture(params=["http", "python", "node"])
def each_sdk(request: pytest.FixtureRequest, kit: TenantKit) -> Iterator[World]:
    """The shop, once with each backend."""
    if request.param == "http":
        yield World(kit, Http(kit))
        return
    sdk = request.getfixturevalue("python_sdk" if request.param == "python" else "node")
    with kit.live(application(kit)) as url:
        yield World(kit, Python(kit, url) if request.param == "python" else Node(sdk, url))
