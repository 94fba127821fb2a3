"""Applications that mount `PasskeyApp` below ``/passkeys``, each in its own way, for a browser to live a life in.

All have the same routes of their own: ``/`` is the page, ``/enter`` begins a session for a name (where others ask for a
password), ``/leave`` ends it, ``/who`` says whose it is, ``/transfer`` takes the proof of a step-up. Each runs in a
process of its own:

    python -m tests.server.api.hosts.fastapi_host PORT DIRECTORY
"""
