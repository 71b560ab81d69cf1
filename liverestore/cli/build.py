"""`liverestore build`: TensorRT plans ahead of time, so that no live view waits for one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from liverestore.errors import UserError

if TYPE_CHECKING:
    from liverestore.runtime.build import BuiltPlan, PlanRequest, Sizes
    from liverestore.runtime.tensorrt_library import Target, TensorRt

__all__ = ["PlanInfo", "build"]

_SERVES = {
    "default": "Ampere, Ada and Blackwell GPUs (sm80, sm86, sm89, sm120, sm121)",
    "sm75": "Turing GPUs (sm75)",
}


class TargetName(StrEnum):
    """GPUs that a plan is for."""

    DEFAULT = "default"
    SM75 = "sm75"
    THIS = "this"


class PrecisionName(StrEnum):
    """Of the network between its first and last convolution."""

    FP16 = "fp16"
    FP32 = "fp32"


class PixelName(StrEnum):
    """Pixel types of frames."""

    UINT8 = "uint8"
    UINT16 = "uint16"
    FLOAT32 = "float32"


class PlanInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One plan, as `liverestore build --json` gives it."""

    engine: str
    version: str
    library: str
    target: str
    pixels: str
    precision: str
    sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    """Least, usual and largest (Y, X)."""
    path: str
    size_bytes: int
    build_s: float
    from_cache: bool
    refused: str | None
    """Why the plan that lay there before was not taken."""


def build(
    name: Annotated[str, typer.Argument(help="Engine to build a plan of.")],
    target: Annotated[
        TargetName | None,
        typer.Option(
            help="GPUs to build for: default (Ampere to Blackwell), sm75 (Turing), or this "
            "machine's alone. Left out: what this machine's GPU takes.",
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(help="Frame size that it is made fastest for, YxX.")
    ] = "1024x1024",
    largest: Annotated[str, typer.Option(help="Largest frame, YxX.")] = "4096x4096",
    precision: Annotated[PrecisionName, typer.Option(help="Of the network.")] = PrecisionName.FP16,
    pixels: Annotated[PixelName, typer.Option(help="Of the camera.")] = PixelName.UINT16,
    force: Annotated[bool, typer.Option("--force", help="Build even if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Build the TensorRT plan of an engine now; needs no GPU.

    It is kept in your cache folder and taken from there when a live view starts.
    """
    from liverestore.model_spec import find_engine
    from liverestore.runtime.tensorrt_library import library

    spec = find_engine(name)
    sizes = _sizes(size, largest)
    trt = library()

    from liverestore.runtime.build import PlanRequest, plan_for
    from liverestore.runtime.graph_form import GraphForm

    request = PlanRequest(
        GraphForm(pixels.value, precision.value),
        _target(target, trt),
        sizes,
    )
    console = Console(highlight=False, stderr=True)
    with console.status(f"building the plan of {name}") as status:

        def tell(text: str, share: float | None) -> None:
            step = "" if share is None else f" {100 * share:.0f} %"
            status.update(f"{name}: {text}{step}")

        plan = plan_for(spec, request, force=force, progress=tell)
    if as_json:
        info = _info(spec.version, request, plan)
        typer.echo(msgspec.json.format(msgspec.json.encode(info), indent=2).decode())
    else:
        _show(plan)


def _target(wanted: TargetName | None, trt: TensorRt) -> Target:
    """The one asked for, else the one that this machine's GPU takes, else the default."""
    from liverestore.runtime.gpu import Gpu, find_gpu

    if wanted is not None:
        return wanted.value
    gpu = find_gpu()
    found = trt.target_for(gpu) if isinstance(gpu, Gpu) else None
    if found is None:
        return "default" if trt.builds_ahead else "this"
    return found


def _sizes(usual: str, largest: str) -> Sizes:
    from liverestore.runtime.build import Sizes

    sizes = Sizes(usual=_size(usual, "--size"), largest=_size(largest, "--largest"))
    if any(a > b for a, b in zip(sizes.usual, sizes.largest, strict=True)):
        raise UserError(
            f"--size: got {usual}, but --largest is {largest} (rows x columns); frames that a plan "
            "is made for must be among those that it takes: make --largest larger, or --size "
            "smaller"
        )
    return sizes


def _size(text: str, option: str) -> tuple[int, int]:
    """(Y, X) from "512x640"."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UserError(f"{option}: got '{text}'; give rows x columns in pixels, such as 512x640")
    return int(parts[0]), int(parts[1])


def _info(version: str, request: PlanRequest, plan: BuiltPlan) -> PlanInfo:
    identity = plan.record.identity
    return PlanInfo(
        engine=identity.engine,
        version=version,
        library=f"{identity.library} {identity.library_version}",
        target=identity.target,
        pixels=request.form.pixels,
        precision=request.form.precision,
        sizes=identity.sizes,
        path=str(plan.path),
        size_bytes=len(plan.data),
        build_s=plan.record.build_s,
        from_cache=plan.from_cache,
        refused=plan.refused,
    )


def _show(plan: BuiltPlan) -> None:
    identity = plan.record.identity
    _, usual, largest = identity.sizes
    console = Console(highlight=False)
    if plan.refused is not None:
        console.print(
            Text(f"The plan that was there is refused: {plan.refused}. Built anew.", "yellow")
        )
    done = "was there already, built" if plan.from_cache else "built"
    lines = (
        f"{identity.engine}: {done} in {plan.record.build_s:.1f} s, {len(plan.data) / 1e6:.1f} MB",
        f"  by      {identity.library} {identity.library_version}, {identity.precision} network",
        f"  for     {_SERVES.get(identity.target, identity.target)}",
        f"  frames  {identity.pixels}, up to {largest[0]}x{largest[1]}, fastest at "
        f"{usual[0]}x{usual[1]}",
        f"  file    {plan.path}",
    )
    for line in lines:
        console.print(Text(line), soft_wrap=True)
