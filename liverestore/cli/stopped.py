"""What is said when Ctrl-C ends a command that has no words of its own."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from liverestore.cli.interrupt import INTERRUPTED

__all__ = ["SaysThatItStopped"]

_CHANGES_NOTHING = ("doctor",)
_KEPT = "stopped by Ctrl-C; files that were finished before are kept, others were not made"
_UNCHANGED = "stopped by Ctrl-C; nothing was changed"


class SaysThatItStopped(TyperGroup):
    """Commands that say in one line on stderr that Ctrl-C ended them, with exit code 130.

    Left alone, typer ends with that code and without a word.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            name = ctx.invoked_subcommand or ""
            line = _UNCHANGED if name in _CHANGES_NOTHING else _KEPT
            typer.echo(f"liverestore {name}: {line}", err=True)
            raise typer.Exit(INTERRUPTED) from None
