"""CBOR read as far as it goes, to be shown: for what the strict reader refuses. Never used to judge anything."""

import struct
from typing import Final, TypeAlias

Item: TypeAlias = "int | str | bytes | bool | list[Item] | dict[int | str, Item] | None"

_MAX_DEPTH: Final = 16
_CUT_OFF: Final = "(cut off)"
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE: Final = {20: False, 21: True, 22: None}


def read_cbor(data: bytes, position: int = 0) -> tuple[Item, int]:
    """The item of `data` at `position`, as far as it can be read, and where it ends or reading had to stop.

    Of two equal keys the last wins; floats, tags and odd simple values are told in words; what is cut off holds as
    much as there is.
    """
    reader = _Reader(data, position)
    return reader.item(0), reader.position


class _Reader:
    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position
        self.stopped = False  # there was more to the last item than could be read

    def item(self, depth: int) -> Item:
        head = self._take(1)
        if not head:
            return _CUT_OFF
        major, info = head[0] >> 5, head[0] & 31
        endless = info == 31 and major in (2, 3, 4, 5)
        if depth > _MAX_DEPTH or (info > 27 and not endless):
            self.stopped = True
            return "(nested too deeply)" if depth > _MAX_DEPTH else "(not CBOR)"
        argument = self._take(1 << (info - 24)) if 24 <= info < 28 else bytes([0 if endless else info])
        size = int.from_bytes(argument, "big")
        match major:
            case 0:
                return size
            case 1:
                return -1 - size
            case 2 | 3 if endless:
                chunks = self._items(None, depth + 1)
                if major == 2:
                    return b"".join(chunk for chunk in chunks if isinstance(chunk, bytes))
                return "".join(chunk for chunk in chunks if isinstance(chunk, str))
            case 2:
                return self._take(size)
            case 3:
                return self._take(size).decode("utf-8", "replace")
            case 4:
                return self._items(None if endless else size, depth + 1)
            case 5:
                items = self._items(None if endless else 2 * size, depth + 1)
                values = [*items[1::2], _CUT_OFF]
                return {_key(key): value for key, value in zip(items[::2], values, strict=False)}
            case 6:
                return {"tag": size, "value": self.item(depth + 1)}
            case _:
                if info in _FLOATS and not self.stopped:
                    return f"float {struct.unpack(_FLOATS[info], argument)[0]}"
                return _SIMPLE.get(info, f"simple value {size}")

    def _take(self, size: int) -> bytes:
        taken = self.data[self.position : self.position + size]
        self.position += len(taken)
        self.stopped = self.stopped or len(taken) < size
        return taken

    def _items(self, count: int | None, depth: int) -> list[Item]:
        items: list[Item] = []
        while not self.stopped and (count is None or len(items) < count):
            if count is None and self.data[self.position : self.position + 1] == b"\xff":
                self.position += 1
                break
            items.append(self.item(depth))
        return items


def _key(key: Item) -> int | str:
    return key if isinstance(key, str) or type(key) is int else str(key)
