"""Applications that mount `PasskeyApp` below ``/passkeys`` by the README's own text, for a browser to live a life in.

A module for each framework has what an application has anyway, and executes the README's section inside of it. All
have the same routes of their own: ``/`` is the page, ``/enter`` begins a session for a name (where others ask for a
password), ``/leave`` ends it, ``/who`` says whose it is, ``/transfer`` takes the proof of a step-up. Each runs in a
process of its own:

    python -m tests.server.api.hosts.fastapi_host PORT DIRECTORY
"""

from typing import Final

CHAPTER: Final = "Level 3: the server / Mount it"
"""Of the README: its Python is what all sections begin with."""

SECTIONS: Final = {name: f"{CHAPTER} / {name}" for name in ("FastAPI", "Django", "Flask")}
"""The sections that are executed, by their frameworks; the module of each is named after it."""
