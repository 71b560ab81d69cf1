"""The three ways to a calibrated camera: through the core, from recorded series, from a movie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from liverestore.cli.calibration_file import Kept, Target, keep, target_of
from liverestore.errors import UserError
from liverestore.paths import shipped
from liverestore.rig import RigConfig
from liverestore.rig_followed import refuse_followed

if TYPE_CHECKING:
    from liverestore.camera_calibration import CameraCalibration

__all__ = ["Request", "calibrate_camera"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line; None where it was not."""

    dark: Path | None = None
    flats: tuple[Path, ...] = ()
    movie: Path | None = None
    binning: int | None = None
    with_maps: bool = True
    dark_exposure_ms: float | None = None
    longest_ms: float | None = None
    lamp: str | None = None
    levels: tuple[str, ...] | None = None
    save_series: Path | None = None
    yes: bool = False
    picture: Path | None = None
    out: Path | None = None
    force: bool = False

    @property
    def through_core(self) -> bool:
        """Whether the series are to be taken now."""
        return self.dark is None and not self.flats and self.movie is None


def calibrate_camera(rig: RigConfig, request: Request, console: Console) -> None:
    """Measure the camera of `rig`, show the numbers and write them where that was asked for.

    Raises `UserError` for a request or a series that cannot be used, `Failure` for a camera or
    a disk that fails.
    """
    through_core = request.through_core and rig.source.kind != "replay"
    if through_core:
        refuse_followed(rig.name, rig.source.kind)
    series = request.dark is not None and bool(request.flats)
    films = request.movie is not None
    if not through_core and (series == films or (films and (request.dark or request.flats))):
        raise UserError(
            "calibrate: give --dark and two or more --flat (photon transfer), --movie alone (an "
            "estimate), --psf (the objective), or a rig with a camera"
        )
    with_maps = request.with_maps and not films
    target = target_of(rig, request.out, force=request.force, with_maps=with_maps)
    if request.picture is not None and films:
        raise UserError("calibrate: got --picture with --movie, which has no plot; leave it out")
    kept, found = _found(rig, request, console, with_maps=with_maps)
    picture = request.picture
    if target is None and through_core:
        target = _asked_target(rig, request, with_maps=with_maps)
    if picture is None and target is not None:
        picture = target.rig.with_name(f"{target.rig.stem}_photon_transfer.png")
    if found is not None and picture is not None:
        _draw(found, rig, picture, console)
    if target is None:
        console.print(
            Text(
                "nothing was written: --out NEW.toml makes a copy of the rig with these numbers, "
                f"--force puts them into {rig.origin}"
            )
        )
        return
    keep(rig, kept, target)
    console.print(Text(f"written: {target.rig}"))
    if kept.maps is not None:
        console.print(Text(f"maps:    {target.maps}"))


def _found(
    rig: RigConfig, request: Request, console: Console, *, with_maps: bool
) -> tuple[Kept, CameraCalibration | None]:
    if request.movie is not None:
        from liverestore.cli.calibrate_movie import estimated

        return estimated(rig, request.movie, console), None
    if request.dark is not None:
        from liverestore.cli.calibrate_series import measured

        flats = list(request.flats)
        return measured(rig, request.dark, flats, request.binning, console, with_maps=with_maps)
    from liverestore.cli.calibrate_rig import Guided

    return Guided(rig, request, console).run()


def _asked_target(rig: RigConfig, request: Request, *, with_maps: bool) -> Target | None:
    """The rig itself, if its owner says yes now that the numbers can be seen."""
    own = Path(rig.origin).parent != shipped("hardware_configs").resolve()
    if request.yes or not own:
        return None
    try:
        if not typer.confirm(f"Write these numbers into {rig.origin}?", default=False):
            return None
    except typer.Abort:
        return None
    return target_of(rig, None, force=True, with_maps=with_maps)


def _draw(found: CameraCalibration, rig: RigConfig, picture: Path, console: Console) -> None:
    from liverestore.view.available import why_no_offscreen

    reason = why_no_offscreen()
    if reason is not None:
        console.print(Text(f"plot:    not made, because {reason}", style="yellow"))
        return
    from liverestore.view.transfer_plot import save_transfer_plot

    save_transfer_plot(found, picture, title=rig.name)
    console.print(Text(f"plot:    {picture.expanduser()}"))
