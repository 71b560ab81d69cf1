"""What the live view remembers of a rig, and the file in which it does; no Qt.

The file is JSON, `view/rigs/<rig>.json` in the user's folder (`paths.user_data`), and may be
edited by hand while no window of that rig is open. Every field has a default and may be left
out; an unknown field is an error, because it is most likely a mistyped one. A newer version may
add fields, and says by "readable_by" which older versions may pass over them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from liverestore.errors import UserError
from liverestore.paths import file_name, user_data
from liverestore.view.luts import LUTS
from liverestore.view.user_file import encode_fields, read_fields, write_user_file

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

__all__ = [
    "Place",
    "SettingsFile",
    "StackViewName",
    "ViewSettings",
    "on_a_screen",
    "remembered_engine",
    "settings_path",
    "view_folder",
]

_VERSION = 1

Place = tuple[int, int, int, int]
"""(x, y, width, height) of a window or a screen, in px from the first screen's corner."""

_FLOAT32_MAX = 3.4e38
"""Pixels are shown as float32 at most; beyond it levels would be infinite."""
_Level = Annotated[float, Meta(ge=-_FLOAT32_MAX / 2, le=_FLOAT32_MAX / 2)]
StackViewName = Literal[
    "slices", "orthogonal", "maximum", "depth colour", "all in focus", "chosen z"
]
_Distance = Annotated[float, Meta(ge=-1000.0, le=1000.0)]
"""um"""
_Levels = tuple[_Level, _Level]
"""Their distance has to be a float32 too."""


class ViewSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a window of one rig starts with again."""

    place: tuple[int, int, Annotated[int, Meta(ge=1)], Annotated[int, Meta(ge=1)]] | None = None
    """Of the window where it fills no screen; None: wherever the system puts it."""
    maximised: bool = False
    compare: Literal["side by side", "curtain", "blink", "difference"] = "side by side"
    blink_hz: Annotated[float, Meta(ge=0.1, le=5.0)] = 1.0
    difference_limit_sd: Annotated[float, Meta(ge=1.0, le=50.0)] = 5.0
    curtain_edge: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    """Share of the image area's width that lies left of the edge."""
    lut: str = "grey"
    ignore_percent: Annotated[float, Meta(ge=0.0, le=25.0)] = 0.1
    levels: _Levels | None = None
    """(black, white) in counts as set by hand, of both images or, where they are separate, of
    the restored one; None: autostretch."""
    raw_levels: _Levels | None = None
    """Of the raw image, where they are separate."""
    levels_linked: bool = True
    """Whether raw and restored have the same levels."""
    mark_saturated: bool = False
    """Whether saturated and zero pixels of the raw image are marked."""
    histogram_log: bool = True
    """Whether numbers of pixels stand on a logarithmic axis."""
    histogram_whole_range: bool = False
    """Whether the axis shows all counts that the camera can give."""
    theme: Literal["dark", "light"] = "dark"
    large_text: bool = False
    tools: tuple[str, ...] = ()
    """Tools shown at the right of the images."""
    engine: str | None = None
    """Chosen last in this window; None: never chosen there."""
    z_step_um: Annotated[float, Meta(gt=0.0)] = 0.5
    stack_um: tuple[_Distance, _Distance, Annotated[float, Meta(gt=0.0, le=2000.0)]] = (
        -5.0,
        5.0,
        1.0,
    )
    """First and last plane of the virtual stack, from the plane in focus, and its step. Whether
    one is computed is not remembered: it takes the engine's time."""
    stack_view: StackViewName = "slices"
    stack_share: Annotated[float, Meta(ge=0.05, le=0.95)] = 0.4
    """Of the images' width that the virtual stack has."""


_DEFAULTS = ViewSettings()


def view_folder() -> Path:
    """Where the view keeps what it remembers."""
    return user_data() / "view"


def settings_path(rig: str) -> Path:
    """The settings file of `rig`, whatever characters its name has.

    >>> settings_path("Ti2: left").name
    'Ti2%3A%20left.json'
    """
    return view_folder() / "rigs" / f"{file_name(rig)}.json"


class SettingsFile:
    """Reads and writes the settings of one rig."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> tuple[ViewSettings, str]:
        """The settings, and one line for the person where they are the defaults for a reason.

        The file is never changed by reading it.
        """
        try:
            return _decode(self.path.read_bytes()), ""
        except FileNotFoundError:
            return _DEFAULTS, ""
        except OSError as error:
            reason = f"it cannot be read ({error.strerror})"
        except UserError as error:
            reason = str(error)
        return _DEFAULTS, (
            f"the view's settings are the normal ones, {self.path} is not used: {reason}; "
            "mend or delete it (a copy is kept before it is written)"
        )

    def save(self, settings: ViewSettings) -> None:
        """Write `settings`; a file that `load` would not use whole is kept as a copy.

        Raises `Failure` where the folder cannot be written.
        """
        content = encode_fields(msgspec.to_builtins(settings), version=_VERSION)
        write_user_file(self.path, content, _known_whole)


def remembered_engine(rig: str, installed: Collection[str]) -> str | None:
    """The engine chosen last in a window of `rig`, if it is still `installed`."""
    engine = SettingsFile(settings_path(rig)).load()[0].engine
    return engine if engine in installed else None


def on_a_screen(place: Place, screens: Sequence[Place]) -> Place:
    """`place`, moved and made smaller as far as needed to lie on one of `screens`.

    That of the screens which shows most of it, the first where none does.

    >>> on_a_screen((2500, 100, 1280, 800), [(0, 0, 1920, 1080)])
    (640, 100, 1280, 800)
    """
    if not screens:
        return place
    x, y, width, height = place

    def shared(screen: Place) -> int:
        across = min(x + width, screen[0] + screen[2]) - max(x, screen[0])
        down = min(y + height, screen[1] + screen[3]) - max(y, screen[1])
        return max(0, across) * max(0, down)

    left, top, most_wide, most_high = max(screens, key=shared)
    width, height = min(width, most_wide), min(height, most_high)
    x = min(max(x, left), left + most_wide - width)
    y = min(max(y, top), top + most_high - height)
    return (x, y, width, height)


def _known_whole(content: bytes) -> ViewSettings:
    fields, newer = read_fields(content, version=_VERSION)
    if newer:
        raise UserError("a newer version's fields would be lost")
    return _convert(fields)


def _decode(content: bytes) -> ViewSettings:
    fields, newer = read_fields(content, version=_VERSION)
    if newer:
        known = ViewSettings.__struct_fields__
        fields = {name: value for name, value in fields.items() if name in known}
    return _convert(fields)


def _convert(fields: dict[str, object]) -> ViewSettings:
    try:
        settings = msgspec.convert(fields, ViewSettings)
    except msgspec.ValidationError as error:
        raise UserError(str(error)) from error
    if settings.lut not in LUTS:
        raise UserError(f"lut: got {settings.lut!r}, allowed are {', '.join(LUTS)}")
    for name in ("levels", "raw_levels"):
        levels = getattr(settings, name)
        if levels is not None and not levels[0] < levels[1]:
            raise UserError(f"{name}: got {list(levels)}, the first must be the smaller one")
    return settings
