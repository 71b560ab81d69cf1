"""What a training shows on the terminal, and what it needs to be installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from liverestore.errors import UserError

if TYPE_CHECKING:
    from liverestore.camera_model import CameraModel
    from liverestore.rig import RigConfig
    from liverestore.training.accelerator import DeviceName
    from liverestore.training.adversarial import AdversarialReport
    from liverestore.training.fit import FitReport

__all__ = ["chosen_device", "need_training_packages", "rig_camera", "with_bar"]

Report = Callable[[int, float, float], None]


def need_training_packages() -> None:
    """Raise `UserError` naming what training needs and this environment lacks."""
    missing = [name for name in ("torch", "onnx", "bioimageio.spec") if not _installed(name)]
    if missing:
        raise UserError(
            f"training needs {', '.join(missing)}, not installed here; "
            "pip install 'liverestore[train]'"
        )
    # Better said now than after the training, when the package is written.
    spec, pydantic = metadata.version("bioimageio.spec"), metadata.version("pydantic")
    if _numbers(spec) < (0, 5, 13) and _numbers(pydantic) >= (2, 14):
        raise UserError(
            f"bioimageio.spec {spec} cannot check an engine with pydantic {pydantic}; "
            "pip install 'pydantic<2.14'"
        )


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def chosen_device(name: str) -> DeviceName:
    """The device that `name` stands for here, said in one line on stdout."""
    from liverestore.training.accelerator import choose_device, hardware_words

    device = choose_device(name)
    Console(highlight=False, soft_wrap=True).print(f"training on: {hardware_words(device)}")
    return "cuda" if device.type == "cuda" else "cpu"


def rig_camera(rig: RigConfig | None) -> CameraModel | None:
    """The rig's measured camera numbers, or None where they are not complete."""
    from liverestore.rig_camera import camera_of

    camera = None if rig is None else camera_of(rig.camera)
    # Files to learn from may show any part of the chip, so its maps cannot be laid on them.
    return None if camera is None else camera.without_maps()


def with_bar(train: Callable[[Report], FitReport | AdversarialReport], out: Path) -> None:
    """Run `train` with a progress bar on stderr; say on stdout how it ended."""
    smooth = 0.0
    bar = Progress(
        TextColumn("training"),
        BarColumn(bar_width=32),
        TextColumn("iteration {task.fields[done]}, loss {task.fields[loss]:.4f}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("training", total=1.0, done=0, loss=0.0)

        def show(iteration: int, loss: float, progress: float) -> None:
            nonlocal smooth
            smooth = loss if smooth == 0 else 0.98 * smooth + 0.02 * loss
            bar.update(task, completed=min(progress, 1.0), done=iteration, loss=smooth)

        report = train(show)
    console = Console(highlight=False, soft_wrap=True)
    ended = "stopped after" if report.interrupted else "trained for"
    console.print(
        f"{ended} {report.iterations} iterations, {report.seconds:.0f} s, loss {smooth:.4f}: {out}"
    )
    if report.interrupted:
        console.print("go on with --resume --force")
