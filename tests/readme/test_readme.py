"""What holds for README.md as a whole."""

from tests.server.api.hosts import CHAPTER, SECTIONS

from . import test_recipes as _recipes  # noqa: F401  # they fill `EXECUTED`  # pyright: ignore[reportUnusedImport]
from . import test_server as _server  # noqa: F401  # pyright: ignore[reportUnusedImport]
from . import test_vendors as _vendors  # noqa: F401  # pyright: ignore[reportUnusedImport]
from .blocks import EXECUTED, blocks
from .test_quick_starts import QUICK_STARTS

MOUNTED = {CHAPTER, *SECTIONS.values()}


def test_all_python_in_the_readme_is_executed() -> None:
    """Every section with Python in it is executed, whole, here or by `tests.server.api.hosts`, and none is in vain."""
    assert {block.section for block in blocks() if block.language == "python"} == EXECUTED | set(QUICK_STARTS) | MOUNTED


def test_no_code_hides_behind_another_name() -> None:
    """What a block is says its fence: Python is ``python``, and only commands and overviews have no language."""
    assert {block.language for block in blocks()} <= {"console", "python", "js", "html", "jsonc", "toml", ""}
    assert not [block for block in blocks() if not block.language and "import " in block.code]
