"""How many WebSockets are open at once, for each address and tenant, in this process.

A socket costs memory and a look at the database each second as long as it is open, whatever limits say of requests.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

MOST_OF_ADDRESS: Final = 64  # an office behind one address shows as many codes
MOST_OF_TENANT: Final = 4_096


class TooManyError(Exception):
    """As many are open as may be."""


class OpenSockets:
    """Counts what is open."""

    def __init__(self, *, most_of_address: int = MOST_OF_ADDRESS, most_of_tenant: int = MOST_OF_TENANT) -> None:
        """Nothing is open yet."""
        self._most: Final = {"address": most_of_address, "tenant": most_of_tenant}
        self._open: Final = Counter[tuple[str, str]]()

    @contextmanager
    def one(self, tenant_id: str, address: str) -> Generator[None]:
        """One more is open meanwhile.

        Args:
            tenant_id: Whose clients they are.
            address: Where it comes from; empty: nobody knows, and only the tenant's count.

        Raises:
            TooManyError: It may not be.
        """
        keys = [("tenant", tenant_id), *([("address", address)] if address else [])]
        if any(self._open[key] >= self._most[key[0]] for key in keys):
            raise TooManyError
        self._open.update(keys)
        try:
            yield
        finally:
            self._open.subtract(keys)
            for key in keys:
                if self._open[key] <= 0:
                    del self._open[key]
