"""The engine that a run begins with, where none was asked for."""

from __future__ import annotations

from rich.console import Console

from liverestore.cli.run import DEFAULT_ENGINE
from liverestore.model_spec import live_engines
from liverestore.view.settings import remembered_engine

__all__ = ["first_engine"]


def first_engine(asked: str | None, rig: str, *, window: bool, console: Console) -> str:
    """`asked`, or the engine chosen last in a window of `rig`, or the usual one.

    A run without a window never depends on what was once clicked.
    """
    if asked is not None:
        return asked
    remembered = remembered_engine(rig, live_engines()) if window else None
    if remembered is None or remembered == DEFAULT_ENGINE:
        return DEFAULT_ENGINE
    console.print(
        f"engine {remembered}, as chosen last in the view of {rig} (--engine asks for another)",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    return remembered
