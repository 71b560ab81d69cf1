"""`liverestore`: the commands, and how errors reach a person."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from liverestore import __version__
from liverestore.errors import LiverestoreError

__all__ = ["app", "run"]

app = typer.Typer(
    name="liverestore",
    help="Live restoration of microscope images: denoise while you acquire, raw always kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"liverestore {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    if verbose:
        os.environ["LIVERESTORE_LOG"] = "INFO"
    logging.basicConfig(
        level=os.environ.get("LIVERESTORE_LOG", "WARNING"),
        format="%(levelname)s %(name)s: %(message)s",
    )


def _register() -> None:
    # Commands import what they use when they run, so `--help` is quick.
    from liverestore.cli import demo, doctor, engines, live, restore, train

    app.command("demo")(demo.demo)
    app.command("live")(live.live)
    app.command("restore")(restore.restore)
    app.command("engines")(engines.engines)
    app.command("doctor")(doctor.doctor)
    app.add_typer(train.train_app, name="train")


_register()


def run() -> None:
    """Entry point: errors become one line on stderr and an exit code."""
    try:
        app()
    except LiverestoreError as error:
        print(f"liverestore: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
