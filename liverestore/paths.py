"""Where shipped and user files lie, in a wheel, in a checkout and on each system."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from urllib.parse import quote
from zlib import crc32

import platformdirs

from liverestore.file_moves import move_over

__all__ = [
    "engine_folders",
    "file_name",
    "replace_file",
    "rig_folders",
    "shipped",
    "user_cache",
    "user_data",
    "user_documents",
]

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The shipped folder `name` ("engines" or "hardware_configs").

    A wheel carries it inside the package, a checkout beside it.
    """
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def user_data() -> Path:
    """The user's own engines and rigs; `LIVERESTORE_HOME` overrides it."""
    return _home() or platformdirs.user_data_path("liverestore", False)


def user_cache() -> Path:
    """Compiled models; may be deleted at any time."""
    home = _home()
    return home / "cache" if home else platformdirs.user_cache_path("liverestore", False)


def user_documents() -> Path:
    """Where recordings and pictures go that nobody chose a folder for."""
    home = _home()
    if home:
        return home.absolute() / "documents"
    return platformdirs.user_documents_path() / "liverestore"


def _home() -> Path | None:
    # PowerShell and cmd hand "~" on as it is.
    override = os.environ.get("LIVERESTORE_HOME")
    return Path(override).expanduser() if override else None


def engine_folders() -> list[Path]:
    """Where engines are looked for; the user's come first."""
    return [user_data() / "engines", shipped("engines")]


def rig_folders() -> list[Path]:
    """Where rigs given by name are looked for; the user's come first."""
    return [user_data() / "hardware_configs", shipped("hardware_configs")]


def file_name(name: str) -> str:
    """A file's name, without suffix, for a rig or anything of any `name`, on every system.

    >>> file_name("Ti2: left")
    'Ti2%3A%20left'
    """
    quoted = quote(name, safe="")
    # Windows keeps some names for its devices, whatever their suffix; none has a "%".
    if quoted.split(".")[0].lower() in _DEVICES or not quoted.strip("."):
        quoted = "%" + "%".join(f"{byte:02X}" for byte in name.encode())
    # It also takes dots away from the end of a name: "a." and "a" would be one folder.
    if quoted.endswith("."):
        quoted = quoted.rstrip(".") + "%2E" * (len(quoted) - len(quoted.rstrip(".")))
    if len(quoted) > _LONGEST_NAME:
        quoted = f"{quoted[:_LONGEST_NAME]}-{crc32(quoted.encode()):08x}"
    return quoted


_LONGEST_NAME = 180
"""Of the 255 bytes that file systems allow; the rest is for the endings."""

_DEVICES = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(10))}


def replace_file(path: Path, content: bytes) -> None:
    """Put a file of `content` in the place of `path` in one step; nobody ever reads half of it.

    Its mode is 0600. Raises `OSError`, and leaves `path` as it was then.
    """
    # In the same folder, so that the rename is one step.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        move_over(Path(name), path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink(missing_ok=True)
        raise
