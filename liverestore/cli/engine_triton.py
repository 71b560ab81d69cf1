"""`liverestore engine triton`: engines for an NVIDIA Triton server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["triton"]


def triton(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Model repository to write into; may be new.")
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Engines.", show_default="all with weights"),
    ] = None,
) -> None:
    """Write engines as a model repository of NVIDIA Triton.

    A run restores there with LIVERESTORE_TRITON=HOST:8001 in its environment.
    """
    from liverestore.model_spec import find_engine, list_engines
    from liverestore.runtime.triton_repository import write_repository

    wanted = names or [spec.name for spec in list_engines() if spec.weights is not None]
    # `find_engine` holds the weights against their sha256.
    specs = [find_engine(name) for name in dict.fromkeys(wanted)]
    for path in write_repository(specs, folder.expanduser()):
        typer.echo(f"written: {path}")
    typer.echo(
        f"serve them: tritonserver --model-repository={folder}\n"
        "restore there: LIVERESTORE_TRITON=HOST:8001 liverestore live --rig RIG"
    )
