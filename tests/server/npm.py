"""Packages from npm for tests of their code: installed once for a session, into a directory of its own.

@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_packages(tmp_path_factory, {"@example/sdk": "1.0.4"})

with NodeProcess(packages, Path(__file__).with_name("driver.mjs"), url) as node:
    answer = node.ask({"method": "ping"})
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import pytest

_PATIENCE_S: Final = 300  # for a slow network
_QUIET: Final = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


def npm_packages(tmp_path_factory: pytest.TempPathFactory, packages: Mapping[str, str]) -> Path:
    """A new directory whose ``node_modules`` has these packages in exactly these versions.

    Nothing of theirs runs when they are installed. Without Node the test is skipped; in CI it fails.
    """
    npm = needed("npm")
    needed("node")
    directory = tmp_path_factory.mktemp("npm")
    manifest = {"name": "tests", "private": True, "dependencies": dict(packages)}
    (directory / "package.json").write_text(json.dumps(manifest))
    command = [npm, "install", "--ignore-scripts", "--no-package-lock", *_QUIET]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    if done.returncode != 0:
        missing(f"npm cannot install {', '.join(packages)}: {done.stderr[-500:]}")
    return directory


def needed(program: str) -> str:
    """The path of a program on PATH. Without it the test is skipped; in CI it fails."""
    path = shutil.which(program)
    if path is None:
        missing(f"{program} is missing: apt-get install nodejs npm")
    assert path is not None
    return path


def missing(what: str) -> None:
    """Ends a test for something that this machine lacks: loudly, and in CI as a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


class NodeProcess:
    """A script in Node that answers each line of JSON with one, until its input ends."""

    def __init__(self, packages: Path, script: Path, *arguments: str) -> None:
        """Starts a copy of `script` beside the packages, which it imports by their names."""
        copy = packages / script.name
        shutil.copyfile(script, copy)
        self._process = subprocess.Popen(
            [needed("node"), str(copy), *arguments],
            cwd=packages,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "NodeProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stdin, stdout = self._pipes()
        stdin.close()
        self._process.wait()
        stdout.close()

    def ask(self, question: Any) -> Any:
        """What the script answers."""
        stdin, stdout = self._pipes()
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        return stdin, stdout
