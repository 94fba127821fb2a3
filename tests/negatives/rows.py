"""Every row that the negative tests answer for, by the letters and numbers of the attack matrix.

What belongs here: ids only. What a row is about says the name of its cases, or its line in `later.py`.
"""

from typing import Final

# How many rows a group has, and how many digits their numbers have at least. R registration, A authentication, B CBOR,
# J JSON and base64, X certificates and paths; attestation formats: N none, P packed, U U2F, T TPM, K Android key,
# S SafetyNet, AP Apple, C compound; D storage, concurrency and state, V who signs in, and where.
_GROUPS: Final = {
    "R": (80, 2),
    "A": (60, 2),
    "B": (22, 2),
    "J": (22, 2),
    "N": (4, 1),
    "P": (18, 1),
    "U": (6, 1),
    "T": (18, 1),
    "K": (17, 1),
    "S": (7, 1),
    "AP": (6, 1),
    "C": (4, 1),
    "X": (32, 2),
    "D": (24, 2),
    "V": (16, 2),
}
ROWS: Final = frozenset(
    f"{group}{number:0{digits}}" for group, (last, digits) in _GROUPS.items() for number in range(1, last + 1)
)
