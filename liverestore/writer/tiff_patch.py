"""Small changes to a TIFF file that is there already (little-endian, classic or big)."""

from __future__ import annotations

import struct
from typing import BinaryIO

from liverestore.writer.whole import write_all

__all__ = ["end_chain", "set_description"]

_DESCRIPTION = 270


class _Form:
    """Where the two kinds of TIFF keep their numbers (TIFF 6.0 section 2; BigTIFF)."""

    def __init__(self, big: bool) -> None:
        self.first_pointer_at = 8 if big else 4
        self.offset = "<Q" if big else "<I"
        self.entry_count = "<Q" if big else "<H"
        self.entry = "<HHQQ" if big else "<HHII"
        self.inline_bytes = 8 if big else 4


def end_chain(file: BinaryIO, big: bool, size: int) -> None:
    """Make the last page that begins within the first `size` bytes the last of all."""
    form = _Form(big)
    pointer_at = form.first_pointer_at
    while True:
        page_at = _read(file, pointer_at, form.offset)[0]
        if page_at == 0:
            return
        if page_at >= size:
            file.seek(pointer_at)
            file.write(struct.pack(form.offset, 0))
            return
        entries = _read(file, page_at, form.entry_count)[0]
        pointer_at = page_at + struct.calcsize(form.entry_count)
        pointer_at += entries * struct.calcsize(form.entry)


def set_description(file: BinaryIO, big: bool, text: bytes) -> None:
    """Replace the first page's ImageDescription, which must exist, by longer `text`.

    `file` is unbuffered. The text goes to the end of the file before anything points at
    it, so that a full disk (OSError) leaves the file as it was.
    """
    form = _Form(big)
    if len(text) < form.inline_bytes:
        raise ValueError(f"a description of {len(text)} bytes would lie inside its entry")
    end = file.seek(0, 2)
    start = end + end % 2
    try:
        write_all(file, b"\0" * (start - end) + text + b"\0")
    except OSError:
        file.truncate(end)
        raise
    page_at = _read(file, form.first_pointer_at, form.offset)[0]
    entries = _read(file, page_at, form.entry_count)[0]
    entry_at = page_at + struct.calcsize(form.entry_count)
    for _ in range(entries):
        code, kind, _count, _value = _read(file, entry_at, form.entry)
        if code == _DESCRIPTION:
            file.seek(entry_at)
            file.write(struct.pack(form.entry, code, kind, len(text) + 1, start))
            return
        entry_at += struct.calcsize(form.entry)
    raise ValueError("the first page has no ImageDescription")


def _read(file: BinaryIO, at: int, form: str) -> tuple[int, ...]:
    file.seek(at)
    return struct.unpack(form, file.read(struct.calcsize(form)))
