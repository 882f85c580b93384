"""The wire format of protocol buffers, as far as ONNX needs it: a message is a list of fields, each a tag and a value.

The tag of a field is its number times 8 plus the kind of its value: 0 a varint, 2 bytes preceded by their count (also
for strings and messages), 5 four bytes. A repeated field occurs several times. Nothing is copied until the message is
written, so a model's weights are in memory once.

Source: Protocol Buffers, "Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

VARINT, BYTES, FOUR = 0, 2, 5


def varint(n: int) -> bytes:
    """Encode an integer with seven bits per byte, lowest first; all bytes but the last have the top bit set.

    A negative number takes 64 bits.

    >>> varint(300).hex(), len(varint(-1))
    ('ac02', 10)
    """
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes((*out, n))


class Message:
    """Fields in the order in which they are added; `size` counts their bytes. Only add a message that is complete."""

    def __init__(self) -> None:
        self._parts: list[bytes | memoryview | Message] = []
        self.size = 0

    def integer(self, field: int, value: int) -> Message:
        return self._add(varint(field << 3 | VARINT) + varint(value))

    def single(self, field: int, value: float) -> Message:
        return self._add(varint(field << 3 | FOUR) + struct.pack("<f", value))

    def text(self, field: int, value: str) -> Message:
        return self.data(field, value.encode())

    def data(self, field: int, value: bytes | memoryview) -> Message:
        """value: bytes, or a memoryview of bytes."""
        return self._add(varint(field << 3 | BYTES) + varint(len(value)))._add(value)

    def message(self, field: int, value: Message) -> Message:
        return self._add(varint(field << 3 | BYTES) + varint(value.size))._add(value)

    def _add(self, part: Any) -> Message:
        self._parts.append(part)
        self.size += part.size if isinstance(part, Message) else len(part)
        return self

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Iterate over the message's bytes, part by part.

        >>> b"".join(Message().text(1, "h").message(2, Message().integer(3, 1)))
        b'\\n\\x01h\\x12\\x02\\x18\\x01'
        """
        for part in self._parts:
            if isinstance(part, Message):
                yield from part
            else:
                yield part
