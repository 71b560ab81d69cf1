"""The files of a package, from a folder or a .zip, brought together in one new folder.

Only what a card names is taken, under plain names, so that no path of an archive or a card can
lead anywhere else, and never more bytes than a package of an engine has.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

import yaml

from liverestore.errors import UserError
from liverestore.model_card import read_card

__all__ = [
    "CARD_NAMES",
    "MAX_PACKAGE_BYTES",
    "Source",
    "card_name",
    "digest",
    "open_package",
    "read_tree",
    "take",
]

CARD_NAMES = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
"""Names that cards have in packages; also NAME.rdf.yaml and NAME.bioimageio.yaml."""
MAX_PACKAGE_BYTES = 1 << 30
_MOST_MEMBERS = 2000
_BLOCK = 1 << 20


class Source(Protocol):
    """A package's files by their paths, with / between folders."""

    def names(self) -> list[str]:
        """All files."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """One of them, for reading."""
        ...


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        return sorted(path.name for path in self._folder.iterdir() if path.is_file())

    def open(self, name: str) -> IO[bytes]:
        path = self._folder / name
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise UserError(
                f"{self._folder}: the file {name!r:.60} lies outside of it; a package has all its "
                "files in one folder"
            )
        return path.open("rb")


class _Zip:
    """Reads members one by one; none is ever unpacked under its own path."""

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive = archive
        infos = archive.infolist()
        if len(infos) > _MOST_MEMBERS:
            raise UserError(
                f"{path}: got {len(infos)} files; allowed in a package are {_MOST_MEMBERS}"
            )
        self._root = ""
        names = [info.filename for info in infos if not info.is_dir()]
        tops = {name.split("/")[0] for name in names}
        if len(tops) == 1 and all("/" in name for name in names):
            self._root = f"{tops.pop()}/"  # zipped with its folder around it
        self._infos = {
            info.filename.removeprefix(self._root): info for info in infos if not info.is_dir()
        }

    def names(self) -> list[str]:
        return sorted(self._infos)

    def open(self, name: str) -> IO[bytes]:
        if name not in self._infos:
            raise FileNotFoundError(name)
        return self._archive.open(self._infos[name])


@contextmanager
def open_package(path: Path) -> Iterator[Source]:
    """The package at `path`: a folder, its card, or a .zip. Raises `UserError` for others."""
    path = path.expanduser()
    if path.is_dir():
        yield _Folder(path)
        return
    if path.is_file() and path.suffix in (".yaml", ".yml"):
        yield _Folder(path.parent)
        return
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the folder or the .zip of a model")
    try:
        with zipfile.ZipFile(path) as archive:
            yield _Zip(archive, path)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise UserError(
            f"{path}: got a file that is no whole .zip ({error}); allowed are the folder or the "
            ".zip of a model; download it again"
        ) from error
    except RuntimeError as error:  # of a member with a password
        raise UserError(f"{path}: {error}; allowed are archives without a password") from error


def card_name(source: Source, place: str) -> str:
    """Which file of the package is its card. Raises `UserError` where none or several are."""
    names = [name for name in source.names() if "/" not in name]
    for known in CARD_NAMES:
        if known in names:
            return known
    found = [name for name in names if name.endswith((".rdf.yaml", ".bioimageio.yaml"))]
    if len(found) != 1:
        raise UserError(
            f"{place}: got {len(found)} cards among {len(names)} files; allowed is one "
            f"{' or '.join(CARD_NAMES)}, as packages of bioimage.io have"
        )
    return found[0]


def take(source: Source, name: str, folder: Path, place: str, *, left: int) -> Path:
    """Copy the file `name` of the package into `folder`, under its last name, and where it is.

    At most `left` bytes. Raises `UserError` for a name that leads out of the package, a file
    that is not there, is larger, or would replace another one.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0] == "/" or ":" in name or "\0" in name:
        raise UserError(
            f"{place}: the file {name!r:.60} lies outside of its folder; a package has all its "
            "files in one folder"
        )
    target = folder / parts[-1]
    try:
        with (
            source.open("/".join(part for part in parts if part != ".")) as file,
            target.open("xb") as out,
        ):
            while block := file.read(min(_BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    raise UserError(
                        f"{place}: has more than {MAX_PACKAGE_BYTES >> 20} MiB; no package of an "
                        "engine has that"
                    )
                out.write(block)
    except FileExistsError as error:
        raise UserError(
            f"{place}: names two files {parts[-1]!r:.60}; rename one of them"
        ) from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(
            f"{place}: its card names the file {name!r:.60}, which is not in the package; download "
            "it again"
        ) from error
    return target


def read_tree(file: Path, place: str) -> Any:
    """The YAML in `file`, no larger than a card. Raises `UserError`."""
    try:
        return yaml.safe_load(read_card(file))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = " ".join(str(error).split())[:200] or "brackets without end"
        raise UserError(f"{place}: its card is no YAML: {line}") from error


def digest(file: Path) -> str:
    """sha256 of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
