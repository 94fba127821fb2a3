"""Every row that the negative tests answer for: registration, authentication, CBOR, JSON and base64.

What belongs here: ids only. What a row is about says the name of its cases, or its line in `later.py`.
"""

from typing import Final

GROUPS: Final = {"R": 80, "A": 60, "B": 22, "J": 22}
ROWS: Final = frozenset(f"{group}{number:02}" for group, last in GROUPS.items() for number in range(1, last + 1))
