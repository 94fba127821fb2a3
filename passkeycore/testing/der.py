"""A DER writer, small and obedient: what certificates and attestation statements of the kit are made of.

Every function returns one complete encoded element. Like the rest of the kit it does not judge, so elements
that no certificate may hold can be written; `element` writes any tag around any content.
"""

from datetime import datetime


def element(identifier: bytes, content: bytes) -> bytes:
    """One element: the identifier octets as given, the shortest definite length, the content octets."""
    if len(content) < 0x80:
        return identifier + bytes([len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return identifier + bytes([0x80 | len(length)]) + length + content


def sequence(*items: bytes) -> bytes:
    """SEQUENCE of encoded items, in their order."""
    return element(b"\x30", b"".join(items))


def set_of(*items: bytes) -> bytes:
    """SET OF encoded items, sorted as DER demands."""
    return element(b"\x31", b"".join(sorted(items)))


def explicit(number: int, *items: bytes) -> bytes:
    """Context tag `number`, constructed, around encoded items; tags above 30 take the multi-byte form."""
    return element(_context(number, 0x20), b"".join(items))


def implicit(number: int, content: bytes) -> bytes:
    """Context tag `number`, primitive, around content octets."""
    return element(_context(number, 0), content)


def boolean(value: bool) -> bytes:
    """BOOLEAN."""
    return element(b"\x01", b"\xff" if value else b"\x00")


def integer(value: int) -> bytes:
    """INTEGER in the fewest octets, two's complement."""
    return element(b"\x02", _signed(value))


def enumerated(value: int) -> bytes:
    """ENUMERATED."""
    return element(b"\x0a", _signed(value))


def bit_string(content: bytes, unused: int = 0) -> bytes:
    """BIT STRING of whole octets, less the last `unused` bits (0..7)."""
    return element(b"\x03", bytes([unused]) + content)


def octet_string(content: bytes) -> bytes:
    """OCTET STRING."""
    return element(b"\x04", content)


def null() -> bytes:
    """NULL."""
    return b"\x05\x00"


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted decimal form, such as `2.5.29.19`."""
    first, second, *rest = map(int, dotted.split("."))
    return element(b"\x06", b"".join(_base128(arc) for arc in (first * 40 + second, *rest)))


def utf8_string(text: str) -> bytes:
    """UTF8String."""
    return element(b"\x0c", text.encode())


def printable_string(text: str) -> bytes:
    """PrintableString; characters it may not hold are written all the same, as UTF-8."""
    return element(b"\x13", text.encode())


def time(moment: datetime) -> bytes:
    """X.509 Time, to the second, in UTC: UTCTime up to 2049 and GeneralizedTime from 2050.

    Args:
        moment: Read as UTC whatever its time zone says, so give an aware UTC value.
    """
    if moment.year < 2050:
        return element(b"\x17", moment.strftime("%y%m%d%H%M%SZ").encode())
    return element(b"\x18", moment.strftime("%Y%m%d%H%M%SZ").encode())


def _context(number: int, constructed: int) -> bytes:
    if number < 31:
        return bytes([0x80 | constructed | number])
    return bytes([0x80 | constructed | 31]) + _base128(number)


def _signed(value: int) -> bytes:
    return value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True)


def _base128(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))
