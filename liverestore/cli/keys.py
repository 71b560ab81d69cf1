"""`liverestore keys`: which machines may use each other's engines."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["keys"]


def keys(
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="Authorise a machine: the line that it prints here."),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Authorise a machine no longer."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="What other machines call this one; only for a new key.",
            show_default="its host name",
        ),
    ] = None,
) -> None:
    """Print this machine's public key, and authorise others.

    Paste the line that is printed to the other machine: liverestore keys --allow LINE. The key
    pair is made the first time; its secret half never leaves this machine.
    """
    from liverestore.transport.machine_keys import KeyFolder

    folder = KeyFolder()
    own = folder.own_or_new(name)
    for text in forget or []:
        folder.forget(text)
    for text in allow or []:
        folder.authorise(text)
    typer.echo(str(own.public))
    authorised = folder.authorised()
    typer.echo(f"secret: {folder.own_file} (readable by you alone)", err=True)
    typer.echo(f"authorised: {', '.join(authorised) or 'no other machine yet'}", err=True)
