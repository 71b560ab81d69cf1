"""Surfaces to refocus to that are kept with a rig, by name.

They come from the table `[surfaces]` of the rig file, `name = "SPEC"`, and from the user's own
file for the rig, `surfaces/<rig>.toml` in the user's folder (`paths.user_data`), which has the
same lines without a table and hides those of the rig file that have the same name. Only the own
file is ever written. The name `start` is where a live run begins: a SPEC, or another of the names.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from liverestore.dpm_terms import KINDS
from liverestore.errors import Failure, UserError
from liverestore.paths import file_name, replace_file, user_data

if TYPE_CHECKING:
    from liverestore.rig import RigConfig

__all__ = ["START", "RigSurfaces", "from_folder", "name_fault", "surfaces_fault"]

START = "start"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_TAKEN = {*KINDS, "points", "nan", "inf", "infinity"}
_MAP_ENDINGS = (".npy", ".tif", ".tiff")


def name_fault(name: str) -> str | None:
    """What is wrong with `name` for a surface, in words; None: nothing."""
    if _NAME.fullmatch(name) and name.lower() not in _TAKEN:
        return None
    return (
        f"got the name {name!r} for a surface; allowed are a letter and up to 39 letters, digits, "
        "- and _, and no kind of surface"
    )


def surfaces_fault(surfaces: Mapping[str, str]) -> str | None:
    """What is wrong with the names in a table of surfaces, in words; None: nothing."""
    return next((fault for name in surfaces if (fault := name_fault(name))), None)


def from_folder(spec: str, folder: Path) -> str:
    """`spec` with those of its maps in full that lie in `folder`."""
    parts = spec.split("+")
    for n, part in enumerate(parts):
        file = folder / part.strip()
        if part.strip().lower().endswith(_MAP_ENDINGS) and file.is_file():
            parts[n] = str(file)
    return "+".join(parts)


@dataclass(frozen=True, slots=True)
class RigSurfaces:
    """The surfaces of one rig; change them with `kept` and `forgotten`, which write the file."""

    rig: str
    """Name of the rig."""
    given: Mapping[str, str]
    """Name to SPEC, from the rig file."""
    own: Mapping[str, str]
    """The same from the user's file."""

    @classmethod
    def load(cls, rig: RigConfig) -> RigSurfaces:
        """Those of `rig`. Raises `UserError` for an own file that cannot be used."""
        file = own_file(rig.name)
        try:
            own = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
        except FileNotFoundError:
            own = {}
        except OSError as error:
            raise UserError(f"surfaces {file}: cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError) as error:  # undecodable, no TOML, or without end
            reason = str(error).replace("\n", " ")
            raise UserError(
                f"surfaces {file}: is no TOML: {reason}; mend it, one name = 'SPEC' in each line"
            ) from None
        for name, spec in own.items():
            if not isinstance(spec, str):
                raise UserError(
                    f"surfaces {file}: {name}: got {spec!r}; allowed is a SPEC in quotes"
                )
        if fault := surfaces_fault(own):
            raise UserError(f"surfaces {file}: {fault}")
        return cls(rig.name, rig.surfaces, own)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, without `start`."""
        return tuple(sorted({*self.given, *self.own} - {START}))

    def spec(self, name: str) -> str | None:
        """The SPEC kept under `name`; None: none is."""
        found = self.own.get(name, self.given.get(name))
        if name == START and found is not None and found != START:
            return self.spec(found) or found
        return found

    @property
    def start(self) -> str | None:
        """Where a live run begins, as it is written: a name or a SPEC; None: at 0 um."""
        return self.own.get(START, self.given.get(START))

    def read(self, text: str) -> str:
        """The SPEC that `text` names, or `text` itself where it can be one.

        Raises `UserError` for what looks like a name and is none of them.
        """
        found = self.spec(text)
        if found is not None:
            return found
        if name_fault(text) is None and not Path(text).exists():
            kept = ", ".join(self.names) or "none"
            raise UserError(
                f"DPM: got {text!r}, which is no surface kept with the rig {self.rig!r}; there "
                f"are: {kept}; or give a SPEC such as plane:0,0.02,0 or a .npy or .tif of um"
            )
        return text

    def kept(self, name: str, spec: str, *, start: bool = False) -> RigSurfaces:
        """With `spec` under `name`, and live runs beginning there with `start`.

        Raises `UserError` for a name that none can have and `Failure` where the file cannot be
        written.
        """
        if name == START or name_fault(name):
            reason = name_fault(name) or f"{START!r} marks the surface that a run begins with"
            raise UserError(f"surfaces of {self.rig}: {reason}; choose another name")
        own = {**self.own, name: spec}
        if start:
            own[START] = name
        elif self.start == name:
            own.pop(START, None)
            if START in self.given:
                # The rig file's own start is hidden by the plane in focus.
                own[START] = "0"
        return self._written(own)

    def forgotten(self, name: str) -> RigSurfaces:
        """Without the own surface `name`; one of the rig file of the same name is seen again.

        Raises `Failure` where the file cannot be written.
        """
        own = {key: spec for key, spec in self.own.items() if key != name}
        if own.get(START) == name and name not in self.given:
            del own[START]
        return self._written(own)

    def _written(self, own: dict[str, str]) -> RigSurfaces:
        file = own_file(self.rig)
        # TOML's basic strings take JSON's escapes.
        lines = [f"{name} = {json.dumps(spec, ensure_ascii=False)}\n" for name, spec in own.items()]
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, "".join(lines).encode("utf-8"))
        except OSError as error:
            raise Failure(f"surfaces {file}: cannot be written: {error.strerror}") from None
        return replace(self, own=own)


def own_file(rig: str) -> Path:
    """Where the user's surfaces of the rig of that name are."""
    return user_data() / "surfaces" / f"{file_name(rig)}.toml"
