"""Acquisitions described as `useq.MDASequence`, in YAML or JSON files as other programs write.

useq-schema (https://pymmcore-plus.github.io/useq-schema) is what pymmcore-plus, pymmcore-widgets
and napari-micromanager describe an acquisition with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from liverestore.acquisition_plan import HERE, AcquisitionPlan, Position
from liverestore.acquisition_positions import unique_positions
from liverestore.errors import UserError
from liverestore.rig_channels import ChannelConfig

if TYPE_CHECKING:
    from useq import MDASequence

__all__ = ["read_sequence"]

_VIRTUAL = "planes are virtual and the focus drive never moves"
_REFUSED = {
    "z_plan": f"{_VIRTUAL}: leave it out and give --zstack START:STOP:STEP",
    "autofocus_plan": f"{_VIRTUAL}: leave it out",
    "setup": "properties and ROI are set by the rig file: leave it out",
    "keep_shutter_open_across": "light is on for the exposures alone: leave it out",
}
_MOST_EVENTS = 1_000_000
_NO_GRID = "some time points or channels are left out at some positions"


def read_sequence(path: Path, channels: tuple[ChannelConfig, ...]) -> AcquisitionPlan:
    """The acquisition that a useq file (.yaml, .yml, .json) describes.

    A channel is that of the rig's `channels` with the same name, or group and preset; else the
    preset of Micro-Manager of that name. Raises `UserError` in one line for a file that is none,
    and for what would move the focus drive (`z_plan`, autofocus, a channel's z offset) or cannot
    be kept in files of full grids. The z of positions is left out, and a note says so.
    """
    data = _parse(path)
    for name, remedy in _REFUSED.items():
        if data.get(name):
            raise UserError(f"{path}: got {name}; {remedy}")
    sequence = _validated(path, data)
    return _planned(path, sequence, channels)


def _parse(path: Path) -> dict[str, Any]:
    import yaml

    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise UserError(
            f"{path}: got a file of the kind {path.suffix or 'without extension'!r}; allowed are "
            ".yaml and .json files of a useq.MDASequence"
        )
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
        data = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UserError(
            f"{path}: is no valid {path.suffix[1:].upper()} ({_one_line(error)}); save it again"
        ) from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: got no mapping; allowed is a useq.MDASequence, with time_plan ..")
    return data


def _validated(path: Path, data: dict[str, Any]) -> MDASequence:
    from pydantic import ValidationError
    from useq import MDASequence

    unknown = sorted(set(data) - set(MDASequence.model_fields) - {"uid"})
    if unknown:
        raise UserError(
            f"{path}: got {', '.join(map(repr, unknown))}, which a useq.MDASequence does not have; "
            f"allowed are {', '.join(MDASequence.model_fields)}"
        )
    try:
        return MDASequence.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path}: {where}: {first['msg']}, got {first['input']!r}; see "
            "https://pymmcore-plus.github.io/useq-schema"
        ) from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: is no useq.MDASequence ({_one_line(error)})") from None


def _planned(
    path: Path, sequence: MDASequence, channels: tuple[ChannelConfig, ...]
) -> AcquisitionPlan:
    times = [0.0]
    if sequence.time_plan is not None:
        times = [delta.total_seconds() for delta in sequence.time_plan.deltas()]
    if len(times) > _MOST_EVENTS:
        raise UserError(f"{path}: got {len(times)} time points; allowed are {_MOST_EVENTS:,}")
    _check_grids(path, sequence)
    fields: dict[tuple[int, int], Position] = {}
    seen: list[tuple[int, int, int]] = []
    heights: set[float] = set()
    for event in sequence:
        place = (event.index.get("p", 0), event.index.get("g", 0))
        number = list(fields).index(place) if place in fields else len(fields)
        for name in ("slm_image", "properties", "roi"):
            if getattr(event, name):
                raise UserError(f"{path}: got {name}, which is not set here; leave it out")
        if event.z_pos is not None:
            heights.add(event.z_pos)
        if place not in fields:
            fields[place] = _field(event, number, grid="g" in event.index)
        seen.append((event.index.get("t", 0), number, event.index.get("c", 0)))
        if len(seen) > _MOST_EVENTS:
            raise UserError(f"{path}: got more than {_MOST_EVENTS:,} frames; split it")
    made = _channels(path, sequence, channels)
    _check_full(path, seen, (len(times), len(fields), max(1, len(made))))
    notes = []
    if seen != sorted(seen):
        notes.append(f"{path.name}: each position gets all its channels before the stage moves on")
    if heights:
        low, high = min(heights), max(heights)
        span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        notes.append(f"{path.name}: the z of positions ({span} um) is left out: {_VIRTUAL}")
    positions = unique_positions(list(fields.values()))
    return AcquisitionPlan(tuple(times), positions or (HERE,), made, tuple(notes))


def _field(event: Any, number: int, *, grid: bool) -> Position:
    xy_um = None if event.x_pos is None or event.y_pos is None else (event.x_pos, event.y_pos)
    if xy_um is None and event.pos_name is None:
        return HERE
    name = event.pos_name or f"p{number:02d}"
    if grid and event.pos_name:
        name = f"{name}_{event.index['g']:02d}"
    return Position(name, xy_um)


def _check_grids(path: Path, sequence: MDASequence) -> None:
    """A grid of fields needs their size, which otherwise would be taken as 1 um."""
    parts = [sequence, *(place.sequence for place in sequence.stage_positions)]
    for part in parts:
        grid = None if part is None else part.grid_plan
        if grid is not None and getattr(grid, "fov_width", 1) is None:
            raise UserError(
                f"{path}: grid_plan: fov_width and fov_height are missing; write the size of the "
                "camera's field in um into it, or give positions"
            )
        if part is not None and part is not sequence and (part.z_plan or part.autofocus_plan):
            raise UserError(f"{path}: a position has a z_plan or autofocus; {_VIRTUAL}")


def _check_full(path: Path, seen: list[tuple[int, int, int]], sizes: tuple[int, int, int]) -> None:
    times = [time for time, _, _ in seen]
    if times != sorted(times):
        raise UserError(
            f"{path}: axis_order: time is not the outermost axis; allowed are orders that begin "
            "with t, such as tpgcz; for one position after the other run one acquisition for each"
        )
    full = sizes[0] * sizes[1] * sizes[2]
    if len(set(seen)) != full or len(seen) != full:
        raise UserError(
            f"{path}: got {len(seen)} frames for {sizes[0]} time points x {sizes[1]} positions x "
            f"{sizes[2]} channels, so {_NO_GRID}; allowed is one frame of each; leave out "
            "acquire_every and what single positions have of their own"
        )


def _channels(
    path: Path, sequence: MDASequence, channels: tuple[ChannelConfig, ...]
) -> tuple[ChannelConfig, ...]:
    made = []
    for wanted in sequence.channels:
        if wanted.z_offset or wanted.camera:
            what = "z_offset" if wanted.z_offset else "camera"
            remedy = _VIRTUAL if wanted.z_offset else "the rig's camera takes all channels"
            raise UserError(f"{path}: channel {wanted.config}: got {what}; {remedy}: leave it out")
        known = next(
            (
                channel
                for channel in channels
                if channel.name == wanted.config
                or (channel.group, channel.preset) == (wanted.group, wanted.config)
            ),
            None,
        )
        if known is None:
            known = ChannelConfig(name=wanted.config, group=wanted.group, preset=wanted.config)
        if wanted.exposure is not None:
            known = msgspec.structs.replace(known, exposure_ms=float(wanted.exposure))
        made.append(known)
    return tuple(made)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
