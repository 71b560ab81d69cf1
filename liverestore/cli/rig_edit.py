"""Change some values of a rig file and nothing else: comments, order and line ends stay."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liverestore.errors import Failure, UserError
from liverestore.file_moves import move_over

__all__ = ["Value", "edited", "read_rig_text", "write_rig_text"]

Value = float | str | Mapping[str, float]
"""A mapping becomes an inline table."""

_MARK = "\ufeff"
"""Byte order mark, which some editors of Windows write."""
_TABLE = re.compile(r"^\s*\[")


def read_rig_text(file: Path) -> str:
    """The text of a rig file, its line ends and its byte order mark as they are.

    Raises `UserError` where it cannot be read.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"rig {file}: cannot be read: {error}") from None


def edited(
    text: str,
    table: str,
    values: Mapping[str, Value],
    *,
    notes: Mapping[str, str] | None = None,
    heading: tuple[str, str] | None = None,
    member: int | None = None,
) -> str:
    """TOML `text` with `values` in `[table]`, each followed by its comment out of `notes`.

    Keys that are there are replaced in their lines, others follow the last key of the table;
    a table that is missing is put at the end. `heading`, a word and the rest, is a comment
    that opens the table, instead of one that begins with the same word. `member`: the table is
    that one (from 0) of several `[[table]]`, which must be there.

    Raises `UserError` for a file that says the table in another way (inline, or as dotted
    keys), naming the lines to write by hand.
    """
    notes = notes or {}
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = re.split(r"\r?\n", text.removeprefix(_MARK).removesuffix("\n").removesuffix("\r"))
    start, stop = _span(lines, table, member)
    if start is None:
        lines += ["", f"[{table}]"]
        start = stop = len(lines)
    body = lines[start:stop]
    if heading is not None:
        body = [line for line in body if not line.startswith(f"# {heading[0]} ")]
    fresh = {key: _line(key, value, notes.get(key, "")) for key, value in values.items()}
    missing = dict(fresh)
    for n, line in enumerate(body):
        key = re.match(r"\s*([A-Za-z0-9_-]+)\s*=", line)
        if key is not None and key[1] in missing:
            body[n] = missing.pop(key[1])
    last = max((n + 1 for n, line in enumerate(body) if "=" in _bare(line)), default=0)
    body[last:last] = missing.values()
    if heading is not None:
        body.insert(0, f"# {' '.join(heading)}")
    made = newline.join([*lines[:start], *body, *lines[stop:]]) + newline
    if text.startswith(_MARK):
        made = _MARK + made
    _check(text, made, table, values, list(fresh.values()), member)
    return made


def write_rig_text(file: Path, text: str) -> None:
    """Write `text` whole or not at all. Raises `Failure` when the disk refuses."""
    part = file.with_name(f"{file.name}.part")
    try:
        part.write_bytes(text.encode("utf-8"))
        move_over(part, file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Failure(f"rig {file}: cannot be written: {error.strerror}") from None


def _span(lines: list[str], table: str, member: int | None) -> tuple[int | None, int]:
    """First line after the header of the table, and the first of what follows it."""
    name = rf"\[\s*{re.escape(table)}\s*\]"
    name = name if member is None else rf"\[{name}\]"
    header = re.compile(rf"^\s*{name}\s*(#.*)?$")
    starts = [n + 1 for n, line in enumerate(lines) if header.match(line)][member or 0 :]
    if not starts:
        return None, len(lines)
    start = starts[0]
    stop = next((n for n in range(start, len(lines)) if _TABLE.match(lines[n])), len(lines))
    # Comments and empty lines right before the next table are about that one.
    while stop < len(lines) and stop > start and not _bare(lines[stop - 1]):
        stop -= 1
    return start, stop


def _bare(line: str) -> str:
    return "" if line.lstrip().startswith("#") else line.strip()


def _line(key: str, value: Value, note: str) -> str:
    if isinstance(value, str):
        # TOML's other quotes take JSON's escapes.
        quoted = f"'{value}'" if "'" not in value else json.dumps(value, ensure_ascii=False)
        said = f"{key} = {quoted}"
    elif isinstance(value, Mapping):
        inner = ", ".join(f"{name} = {float(number)!r}" for name, number in value.items())
        said = f"{key} = {{ {inner} }}"
    else:
        said = f"{key} = {float(value)!r}"
    return f"{said}  # {note}" if note else said


def _check(
    old: str,
    new: str,
    table: str,
    values: Mapping[str, Value],
    lines: list[str],
    member: int | None,
) -> None:
    """Whether exactly `values` have changed; a text that is cleverer than this is refused."""
    wanted = _parsed(old)
    found = _parsed(new)
    if wanted is not None:
        section = wanted.setdefault(table, {})
        if member is not None and isinstance(section, list) and member < len(section):
            section = section[member]
        if isinstance(section, dict):
            section.update(values)
    if found is None or wanted != found:
        where = f"[{table}]" if member is None else f"[[{table}]], number {member + 1},"
        raise UserError(
            f"rig: its {where} is written in a way that cannot be changed safely; write there "
            f"yourself: {'; '.join(lines)}"
        )


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text.removeprefix(_MARK))
    except tomllib.TOMLDecodeError:
        return None
