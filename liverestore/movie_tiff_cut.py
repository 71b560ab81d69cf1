"""A TIFF of this program that ends in the middle of a page: its whole pages, as a file."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from liverestore.frame_record import RECORD_TAG

__all__ = ["Cut", "CutFile", "find_cut"]

_OFFSETS, _BYTE_COUNTS = 273, 279
_MOST_TAGS = 4096
_BYTES_OF_KIND = {2: 1, 3: 2, 4: 4, 16: 8}
"""ASCII, SHORT, LONG and LONG8 (TIFF 6.0 section 2; BigTIFF); no others are written here."""
_MOST_RECORD_BYTES = 1 << 20
_FARTHEST = 1 << 62
"""Beyond it no file can be asked."""


class _Form:
    """Where the two kinds of little-endian TIFF keep their numbers."""

    def __init__(self, big: bool) -> None:
        self.first_at = 8 if big else 4
        self.offset, self.count, self.entry = (
            ("<Q", "<Q", "<HHQ8s") if big else ("<I", "<H", "<HHI4s")
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the chain of whole pages ends."""

    pages: int
    """That are whole."""
    size: int
    """Bytes of the file that belong to them."""
    pointer_at: int
    """Where the last of them says that another follows, and in how many bytes."""
    pointer_bytes: int
    record: bytes | None
    """Of the page that is not whole, as far as it can be read."""


def find_cut(path: Path) -> Cut | None:
    """The end of the whole pages of `path`; None where the last page is whole, too.

    None also for what is no little-endian TIFF. Raises OSError.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        big = {b"II*\0": False, b"II+\0": True}.get(file.read(4))
        return None if big is None else _walk(file, size, _Form(big))


def _walk(file: BinaryIO, size: int, form: _Form) -> Cut | None:
    pointer_bytes = struct.calcsize(form.offset)
    pointer_at, before_at, pages = form.first_at, 0, 0
    while True:
        page_at = _number(file, pointer_at, form.offset)
        if not page_at or page_at <= before_at:
            return None
        count = _number(file, page_at, form.count) if page_at < size else None
        next_at = page_at + struct.calcsize(form.count)
        next_at += (count or 0) * struct.calcsize(form.entry)
        tags: dict[int, tuple[int, int, bytes]] = {}
        following = None
        if count is not None and 0 < count <= _MOST_TAGS:
            following = _number(file, next_at, form.offset)
        # Pages lie one after the other: only one that no other follows can lack its end.
        if following is None or following == 0 or following >= size:
            tags = {} if count is None or count > _MOST_TAGS else _tags(file, page_at, count, form)
            if following is None or not _is_whole(file, tags, size, form):
                record = _record(file, tags, form)
                return Cut(pages, page_at, pointer_at, pointer_bytes, record)
        pages += 1
        pointer_at, before_at = next_at, page_at


def _tags(
    file: BinaryIO, page_at: int, count: int, form: _Form
) -> dict[int, tuple[int, int, bytes]]:
    """Code -> kind, count and the bytes of the value or of its place; as many as there are."""
    file.seek(page_at + struct.calcsize(form.count))
    entry_bytes = struct.calcsize(form.entry)
    data = file.read(count * entry_bytes)
    whole = data[: len(data) // entry_bytes * entry_bytes]
    return {
        code: (kind, n, value) for code, kind, n, value in struct.iter_unpack(form.entry, whole)
    }


def _value(file: BinaryIO, tag: tuple[int, int, bytes] | None, form: _Form) -> bytes | None:
    """The bytes of a tag; None where it, or some of it, is missing."""
    if tag is None or tag[0] not in _BYTES_OF_KIND:
        return None
    kind, count, inline = tag
    nbytes = count * _BYTES_OF_KIND[kind]
    if nbytes <= len(inline):
        return inline[:nbytes]
    place = int(struct.unpack(form.offset, inline)[0])
    if nbytes > _MOST_RECORD_BYTES or place > _FARTHEST:
        return None
    file.seek(place)
    value = file.read(nbytes)
    return value if len(value) == nbytes else None


def _is_whole(
    file: BinaryIO, tags: dict[int, tuple[int, int, bytes]], size: int, form: _Form
) -> bool:
    if _value(file, tags.get(RECORD_TAG), form) is None:
        return False
    ends = []
    for code in (_OFFSETS, _BYTE_COUNTS):
        value = _value(file, tags.get(code), form)
        if not value:
            return False
        width = _BYTES_OF_KIND[tags[code][0]]
        ends.append(int.from_bytes(value[-width:], "little"))
    return sum(ends) <= size


def _record(file: BinaryIO, tags: dict[int, tuple[int, int, bytes]], form: _Form) -> bytes | None:
    value = _value(file, tags.get(RECORD_TAG), form)
    return None if value is None else value.rstrip(b"\0")


def _number(file: BinaryIO, at: int, form: str) -> int | None:
    """None where the file ends before."""
    file.seek(at)
    data = file.read(struct.calcsize(form))
    return int(struct.unpack(form, data)[0]) if len(data) == struct.calcsize(form) else None


class CutFile(io.RawIOBase):
    """The whole pages of `path`, to be read as a file in which no other page follows."""

    def __init__(self, path: Path, cut: Cut) -> None:
        self._file = path.open("rb")
        self._cut = cut
        self.name = str(path)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._cut.size}[whence]
        return self._file.seek(base + offset)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """The bytes that follow, of which those of the last pointer are zero."""
        view = memoryview(buffer).cast("B")
        at = self._file.tell()
        count = self._file.readinto(view[: max(0, min(len(view), self._cut.size - at))])
        first = max(at, self._cut.pointer_at)
        last = min(at + count, self._cut.pointer_at + self._cut.pointer_bytes)
        if first < last:
            view[first - at : last - at] = bytes(last - first)
        return count

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        super().close()
