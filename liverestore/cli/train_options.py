"""Options that all trainers share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Bf16", "Force", "Iterations", "Resume", "Seconds", "Seed", "Threads"]

Seconds = Annotated[float | None, typer.Option(min=1, help="Train so long.")]
Iterations = Annotated[int | None, typer.Option(min=1, help="Train so many steps.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same engine.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where it stopped.")]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")]
Bf16 = Annotated[
    bool, typer.Option("--bf16", help="Multiply in bfloat16: faster where the CPU has it.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor cores to take.")]
