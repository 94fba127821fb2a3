"""The site's settings. What matters for passkeys is in ``DATABASES``.

The environment says where: ``EXAMPLE_DIRECTORY`` for SQLite's files, or ``EXAMPLE_POSTGRES``, the host of a server.
"""

import os
from pathlib import Path
from typing import Any

_DIRECTORY = Path(os.environ.get("EXAMPLE_DIRECTORY", "."))
_POSTGRES = os.environ.get("EXAMPLE_POSTGRES")


def _database(name: str) -> dict[str, Any]:
    if _POSTGRES:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "postgres",
            "HOST": _POSTGRES,
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _DIRECTORY / f"{name}.sqlite3",
        # IMMEDIATE: a transaction that reads first cannot fail when it writes. A writer waits for the one before.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": "PRAGMA journal_mode=WAL"},
    }


# The second alias is a connection of its own, outside the request's transaction. It may lead to the same PostgreSQL;
# with SQLite it has a file of its own, as the request's transaction keeps all other writers out of the first.
DATABASES = {
    "default": _database("main") | {"ATOMIC_REQUESTS": True},
    "ceremonies": _database("ceremonies") | {"ATOMIC_REQUESTS": False},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "tests.django_example",
]
MIGRATION_MODULES = {name.rpartition(".")[2]: None for name in INSTALLED_APPS}  # the tables are made from the models
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "tests.django_example.urls"
ALLOWED_HOSTS = ["example.com"]
SECRET_KEY = "for tests only: nothing that this signs leaves them"
USE_TZ = True
