"""The house itself: what is exported, what importing loads, and that the repository keeps its own rules."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import passkeycore
from passkeycore import Code, errors, testing

ROOT = Path(__file__).parent.parent
HEAVY = (
    "asyncio",
    "sqlite3",
    "sqlalchemy",
    "starlette",
    "cryptography.x509",
    "OpenSSL",
    "asn1crypto",
    "joserfc",
    "rich",
)


def test_the_public_names_are_sorted_and_exist() -> None:
    assert list(passkeycore.__all__) == sorted(passkeycore.__all__)
    for module in (passkeycore, testing):
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            assert getattr(module, name) is not None


def test_every_error_class_is_public_and_documented() -> None:
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, Exception):
            assert error.__name__ in passkeycore.__all__
            assert error.__name__ in (errors.__doc__ or "")


def test_codes_are_words() -> None:
    for code in Code:
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", code)
        assert code.name == code.value.upper()


def test_importing_loads_nothing_that_only_some_users_need() -> None:
    script = f"import sys, passkeycore; print([name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_product_code_has_no_asserts_and_says_what_each_file_is_for() -> None:
    package = Path(passkeycore.__file__).parent
    for path in package.rglob("*.py"):
        text = path.read_text("utf-8")
        assert text.startswith(('"""', "r'''", 'r"""')), path
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(text))), path


def test_the_readme_begins_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"^\$ (.+)$", readme, re.MULTILINE)
    assert "passkeycore demo" in commands[0]
    assert "pytest" in commands[1]
