"""Small files in the user's folder: replaced in one step, never lost when they are strange."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from liverestore.errors import Failure, UserError
from liverestore.paths import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["encode_fields", "read_fields", "write_user_file"]


def read_fields(content: bytes, *, version: int) -> tuple[dict[str, Any], bool]:
    """The fields of a JSON object that says its version, and whether unknown ones may be there.

    A file of this `version`, or of an older one, has known fields only. One of a newer version
    is read only where it says by "readable_by" that this version may read it and pass over what
    it does not know. Both numbers are taken out of the fields. Raises `UserError` with the
    reason where the file is not for this program.
    """
    try:
        fields = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise UserError(f"it is not JSON ({error})") from error
    except RecursionError as error:
        raise UserError("it is not JSON for this program (nested too deeply)") from error
    if not isinstance(fields, dict):
        raise UserError("it is no JSON object ({...})")
    made_by = fields.pop("version", None)
    readable_by = fields.pop("readable_by", made_by)
    if type(made_by) is not int or type(readable_by) is not int or made_by < 1:
        raise UserError('it has no "version" (a whole number)')
    if made_by <= version:
        return fields, False
    if readable_by > version:
        raise UserError(f"it is of version {made_by}, this program reads up to version {version}")
    return fields, True


def write_user_file(path: Path, content: bytes, readable: Callable[[bytes], object]) -> Path | None:
    """Replace `path` by `content` in one step; the copy that was kept, or None.

    `readable` is asked whether this program knows all that stands in the present file; it
    raises `UserError` where not, and a copy is kept beside it. Of two writers the last one
    wins; nobody ever reads half a file. Raises `Failure` where the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = _keep_strange(path, readable)
        replace_file(path, content)
    except OSError as error:
        raise Failure(
            f"cannot write {path} ({error.strerror}): the view forgets its settings when it is "
            "closed; make the folder writable"
        ) from error
    return kept


def _keep_strange(path: Path, readable: Callable[[bytes], object]) -> Path | None:
    try:
        present = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        readable(present)
    except UserError:
        return _keep(path, present)
    return None


def _keep(path: Path, content: bytes) -> Path:
    for index in itertools.count(1):
        copy = path.with_name(f"{path.name}.kept-{index}")
        try:
            with copy.open("xb") as file:
                file.write(content)
        except FileExistsError:
            if copy.read_bytes() == content:
                return copy
            continue
        return copy
    raise AssertionError("itertools.count does not end")


def encode_fields(fields: Mapping[str, object], *, version: int) -> bytes:
    """JSON for people: one field a line, the version first."""
    whole = {"version": version, "readable_by": version, **fields}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"
