"""The regenerated W3C vectors are the published ones: by digest, and as the file in ``vectors/``.

What belongs here: checks of the generator alone. The engine's answers to the vectors
are tested with the engine.
"""

import json
from typing import Any

import pytest

from tests import w3c

DIGESTS = w3c.VECTORS_PATH.with_name("digests.json")


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    return w3c.generate()


def test_every_value_has_the_published_digest(cases: list[dict[str, Any]]) -> None:
    assert len(cases) == 15
    assert w3c.digests(cases) == json.loads(DIGESTS.read_text())


def test_the_vector_file_is_the_generators_output(cases: list[dict[str, Any]]) -> None:
    assert w3c.VECTORS_PATH.read_bytes() == w3c.jsonl(cases).encode()


def test_one_other_letter_in_the_keying_material_changes_every_value(cases: list[dict[str, Any]]) -> None:
    published, changed = (flat(w3c.digests(c)) for c in (cases, w3c.generate(b"WebAuthn test vectorz")))
    assert published.keys() == changed.keys()
    unchanged = {path for path, digest in published.items() if changed[path] == digest}
    # In an assertion's authenticator data nothing is drawn but three flags.
    assert all(path[1:] == ("authentication", "authenticatorData") for path in unchanged)


def flat(table: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """Return the leaves of nested dicts by path."""
    leaves: dict[tuple[str, ...], str] = {}
    for name, value in table.items():
        leaves |= {(*path, name): value} if isinstance(value, str) else flat(value, (*path, name))
    return leaves
