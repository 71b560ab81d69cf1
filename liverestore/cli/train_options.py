"""Options that all trainers share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "Averaged",
    "Batch",
    "Bf16",
    "Crop",
    "Device",
    "Force",
    "From",
    "HalfWeights",
    "Iterations",
    "LearningRate",
    "Out",
    "Resume",
    "Seconds",
    "Seed",
    "Threads",
]

Out = Annotated[Path, typer.Option(help="Folder of the new engine.")]
Seconds = Annotated[float | None, typer.Option(min=1, help="Train so long.")]
Iterations = Annotated[int | None, typer.Option(min=1, help="Train so many steps.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same engine.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where it stopped.")]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="ENGINE",
        help="Start from the weights of this engine, name or folder, of the same network.",
    ),
]
Averaged = Annotated[
    bool,
    typer.Option(
        "--averaged",
        help="With --from: export the mean of its weights and those reached, which is good at what "
        "both are good at.",
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(help="Where to train: auto is the NVIDIA GPU if torch sees one."),
]
Batch = Annotated[int | None, typer.Option(min=1, help="Pictures in one step; more on a GPU.")]
Crop = Annotated[int | None, typer.Option(min=32, help="Edge of each in pixels; larger on a GPU.")]
LearningRate = Annotated[
    float | None, typer.Option(min=1e-8, max=1.0, help="Step of the optimiser at its highest.")
]
Bf16 = Annotated[
    bool | None,
    typer.Option("--bf16/--no-bf16", help="Multiply in bfloat16: faster. On a GPU by itself."),
]
HalfWeights = Annotated[
    bool | None,
    typer.Option(
        "--half-weights/--full-weights",
        help="Store weights in float16; by itself where they take more than 20 MB.",
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor cores to take.")]
