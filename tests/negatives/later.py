"""The rows that nothing here can decide yet, and what they wait for. Whoever builds that moves them to a table.

What belongs here: a row until it has a case, and the rows that never get one.
"""

from typing import Final

LATER: Final[dict[str, str]] = {}
STRUCK: Final = {
    "J02": "one parser reads the outer JSON, so a member that stands twice means the same to everybody",
    "V08": "a victim who approves the attacker's own prompt: no check of a Relying Party can tell",
}
