"""The rows that no pure function can decide, and what they wait for. Whoever builds that moves them to a table.

What belongs here: a row until it has a case, and the two rows that never get one.
"""

from typing import Final

LATER: Final = {
    "R10": "storage: the same response a second time, whose state was taken by the first",
    "R66": "storage: a credential id that the same user has registered",
    "R67": "storage: a credential id that another user has registered",
    "R80": "server: enrolment without a fresh sign-in, or on an unconfirmed account",
    "A36": "server: a session begun from the user handle of a response that did not verify",
    "A40": "storage: two records of one user with the same credential id",
    "A41": "storage: a disabled credential or user",
    "A47": "storage: a counter written although the authentication failed",
    "A51": "engine: options for an unknown user that look unlike those for a known one",
    "A53": "engine: an unknown credential refused sooner than a bad signature",
    "A54": "engine: decoy credentials that change from one request to the next",
    "A55": "engine: a hook whose False is taken for consent",
    "A56": "engine: an asynchronous hook in a synchronous flow",
    "J22": "tokens: a sealed state that was altered, swapped or used twice",
}
STRUCK: Final = {
    "J02": "one parser reads the outer JSON, so a member that stands twice means the same to everybody",
}
