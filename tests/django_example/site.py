"""Brings the example site up, once for a test run: settings, tables, a directory that goes with the run."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped"
# pyright: reportMissingTypeStubs=false

import atexit
import os
import threading
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import django
from django.core.management import call_command
from django.db import connections


@cache
def bring_up() -> None:
    """Returns when Django is set up and every table exists. Only then can models be imported."""
    directory = TemporaryDirectory(prefix="passkeycore-django-")
    atexit.register(directory.cleanup)
    atexit.register(connections.close_all)
    os.environ["EXAMPLE_DIRECTORY"] = directory.name
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.django_example.settings"
    django.setup()
    for alias in connections:
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)


class Tidy:
    """`repository` for threads of our own: Django closes connections when a request ends, and these have none."""

    def __init__(self, repository: object) -> None:
        """Keeps it."""
        self._repository = repository

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._repository, name)

        def call(*arguments: object) -> object:
            try:
                return method(*arguments)
            finally:
                if threading.current_thread() is not threading.main_thread():
                    connections.close_all()

        return call
