"""What holds for README.md as a whole."""

from .blocks import blocks
from .test_quick_starts import QUICK_STARTS
from .test_recipes import EXECUTED


def test_all_python_in_the_readme_is_executed() -> None:
    """Every section with Python in it is executed, whole, by a test of this package, and none is named in vain."""
    assert {block.section for block in blocks() if block.language == "python"} == EXECUTED | set(QUICK_STARTS)


def test_no_code_hides_behind_another_name() -> None:
    """What a block is says its fence: Python is ``python``, and only commands and overviews have no language."""
    assert {block.language for block in blocks()} <= {"console", "python", "js", "html", "jsonc", "toml", ""}
    assert not [block for block in blocks() if not block.language and "import " in block.code]
