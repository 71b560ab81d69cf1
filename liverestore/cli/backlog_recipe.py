"""How a frame was restored, read from its record, to restore others in just the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from liverestore.camera_model import CameraModel
from liverestore.cli.backlog_plan import Kind, of_making, signature
from liverestore.dpm import Dpm, parse_dpm
from liverestore.errors import UserError
from liverestore.frame import Frame, Provenance, Restored
from liverestore.frame_record import record_of
from liverestore.model_spec import ModelSpec, find_engine
from liverestore.optics import Optics
from liverestore.restore import restore, restore_planes
from liverestore.runtime.base import InferenceRuntime, whole_of
from liverestore.runtime.table import open_runtime

__all__ = ["Kitchen", "camera_from", "dpm_from", "engine_from", "optics_from"]

OpenRuntime = Callable[[ModelSpec, bool], InferenceRuntime]
"""From an engine, and whether its fast precision is wanted, to its runtime."""

_CAMERA = ("offset_counts", "gain_e_per_count", "read_noise_e")
_OPTICS = ("numerical_aperture", "wavelength_nm", "immersion_index", "sample_index",
           "pixel_size_um", "depth_um")  # fmt: skip


def _open(spec: ModelSpec, fast: bool) -> InferenceRuntime:
    return open_runtime(spec, precision="fast" if fast else "f32")


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What a frame was made with."""

    spec: ModelSpec
    runtime: InferenceRuntime
    camera: CameraModel
    dpm: Dpm | None
    optics: Optics | None
    made: object
    """Its `signature`."""
    provenances: tuple[Provenance, ...]


class Kitchen:
    """Restores frames like others that were restored before. Close it.

    Engine, camera numbers, surface, planes and optics are those of the record; what comes out is
    compared with it, so that nothing that has changed since then goes unseen.
    """

    def __init__(self, measured: CameraModel | None, *, open_engine: OpenRuntime = _open) -> None:
        """`measured` is the rig's camera; only its maps, which no record holds, need it."""
        self._measured = measured
        self._open = open_engine
        self._runtimes: dict[tuple[str, bool], InferenceRuntime] = {}
        self._recipes: dict[object, _Recipe] = {}

    def check(self, made: Sequence[Provenance]) -> None:
        """Open what frames made as `made` need.

        Raises `UserError` where the engine is another now, or the record does not suffice.
        """
        self._recipe(made)

    def make(self, frame: Frame, made: Sequence[Provenance], planes: Kind) -> Iterator[Restored]:
        """`frame` restored as `made` (a record, or one for each of `planes`) says.

        Raises `UserError` where it comes out differently, and as `restore` does.
        """
        recipe = self._recipe(made)
        runtime, spec = recipe.runtime, recipe.spec
        reason = spec.mismatch(frame.header)
        if reason is not None:
            raise UserError(f"frame {frame.header.number}: {reason}")
        infer, whole, name = runtime.infer, whole_of(runtime), runtime.description
        if planes:
            done = list(
                restore_planes(
                    frame, spec, infer, recipe.camera, planes, optics=recipe.optics, whole=whole,
                    runtime=name,
                )
            )  # fmt: skip
        else:
            done = [
                restore(
                    frame, spec, infer, recipe.camera, recipe.dpm, optics=recipe.optics,
                    whole=whole, runtime=name,
                )
            ]  # fmt: skip
        self._compare(frame, done, recipe)
        yield from done

    def close(self) -> None:
        """Close all runtimes."""
        for runtime in self._runtimes.values():
            runtime.close()
        self._runtimes.clear()

    def _recipe(self, made: Sequence[Provenance]) -> _Recipe:
        key = signature(made)
        if key not in self._recipes:
            first = made[0]
            spec = engine_from(first)
            fast = any(word in first.runtime.split() for word in ("bf16", "f16"))
            if (spec.name, fast) not in self._runtimes:
                self._runtimes[spec.name, fast] = self._open(spec, fast)
            self._recipes[key] = _Recipe(
                spec,
                self._runtimes[spec.name, fast],
                camera_from(first, spec, self._measured),
                dpm_from(first) if spec.refocuses and len(made) == 1 else None,
                optics_from(first) if spec.refocuses else None,
                key,
                tuple(made),
            )
        return self._recipes[key]

    def _compare(self, frame: Frame, done: Sequence[Restored], recipe: _Recipe) -> None:
        now = [record_of(result, 0).provenance for result in done]
        kept = [provenance for provenance in now if provenance is not None]
        if signature(kept) == recipe.made:
            return
        for before, after in zip(recipe.provenances, kept, strict=True):
            made, now_made = of_making(before), of_making(after)
            for name in {**made, **now_made}:
                told, got = made.get(name), now_made.get(name)
                if told != got:
                    raise UserError(
                        f"frame {frame.header.number} would be restored with {name} = {got}, but "
                        f"the frames that are there were made with {told}; restore all of them "
                        "anew, without --resume"
                    )


def camera_from(made: Provenance, spec: ModelSpec, measured: CameraModel | None) -> CameraModel:
    """The camera numbers that a frame was restored with; `measured`, of a rig, has its maps.

    Raises `UserError` where that one is another, or maps are needed and it is not given.
    """
    told = made.parameters
    if spec.domain == "counts" or not all(name in told for name in _CAMERA):
        return CameraModel(0.0, 1.0, 0.0, "assumed")
    if measured is not None:
        for name, value in measured.numbers().items():
            if name in (*_CAMERA, "camera_maps") and told.get(name) != value:
                raise UserError(
                    f"got a rig with {name} = {value}, but the frames that are there were made "
                    f"with {told.get(name)}; give the rig that they were made with, or none"
                )
        if "camera_maps" in told:
            return measured
    if "camera_maps" in told:
        raise UserError(
            f"the frames that are there were made with the camera's maps "
            f"({told['camera_maps']}); name the rig that has them with --rig"
        )
    offset, gain, read_noise = (float(told[name]) for name in _CAMERA)
    return CameraModel(
        offset,
        gain,
        read_noise,
        origin=str(told.get("camera_model_origin", "rig")),
        row_noise_e=_or_none(told.get("row_noise_e")),
        fixed_pattern_counts=_or_none(told.get("fixed_pattern_counts")),
    )


def optics_from(made: Provenance) -> Optics:
    """The optics in whose waves a frame was refocused. Raises `UserError` where one is missing."""
    told = made.parameters
    missing = [name for name in _OPTICS if name not in told]
    if missing:
        raise UserError(
            f"the frames that are there do not say their {', '.join(missing)}; restore all of them "
            "anew, without --resume"
        )
    pairs = [part.split(":") for part in str(told.get("zernike_waves", "")).split(",") if part]
    return Optics(
        **{name: float(told[name]) for name in _OPTICS},
        zernike_waves=tuple((int(noll), float(waves)) for noll, waves in pairs),
    )


def engine_from(made: Provenance) -> ModelSpec:
    """The engine that restored a frame. Raises `UserError` where it is another one now."""
    spec = find_engine(made.engine)
    if (spec.version, spec.sha256) != (made.version, made.sha256):
        raise UserError(
            f"the engine {made.engine!r} is another one now: version {spec.version}, sha256 "
            f"{spec.sha256[:12]}; the frames that are there were made by version {made.version}, "
            f"sha256 {made.sha256[:12]}; install that one, or restore all of them anew"
        )
    return spec


def dpm_from(made: Provenance) -> Dpm:
    """The surface that a frame was refocused to. Raises `UserError` where it is gone."""
    text = str(made.parameters.get("dpm", ""))
    try:
        return parse_dpm(text)
    except UserError as error:
        raise UserError(
            f"the frames that are there were refocused to the surface {text!r}, which is not to be "
            "found any more; restore all of them anew, without --resume"
        ) from error


def _or_none(value: float | int | str | None) -> float | None:
    return None if value is None else float(value)
