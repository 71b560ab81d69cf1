"""`liverestore doctor`: what works on this machine and what is missing, with the remedy."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liverestore.cli.checks import run_checks
from liverestore.cli.finding import Finding

__all__ = ["doctor"]

_STYLE = {"ok": "green", "note": "yellow", "missing": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check this machine: what works, what is missing and what to do about it.

    The exit code is 0 when frames can be acquired, restored and recorded here, else 1.
    """
    import msgspec

    findings = run_checks()
    broken = [f for f in findings if f.essential and f.state == "missing"]
    if as_json:
        answer = {"ok": not broken, "checks": findings}
        typer.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
    else:
        _show(findings, broken)
    raise typer.Exit(1 if broken else 0)


def _show(findings: list[Finding], broken: list[Finding]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        text = Text(finding.text)
        if finding.remedy is not None:
            text.append(f"\n-> {finding.remedy}", style="bold")
        state = Text(finding.state, style=_STYLE[finding.state])
        table.add_row(state, finding.name, text)
    console.print(table)
    if broken:
        names = ", ".join(dict.fromkeys(f.name for f in broken))
        console.print(Text(f"\nThe main job does not work here: see {names}.", style="bold red"))
    else:
        console.print(
            Text("\nReady: frames can be acquired, restored and recorded here.", style="bold")
        )
