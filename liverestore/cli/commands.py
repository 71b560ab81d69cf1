"""`liverestore`: the commands, and how errors reach a person."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from liverestore.cli.plain_text import plain_where_needed, reader_gone
from liverestore.cli.stopped import SaysThatItStopped
from liverestore.errors import LiverestoreError
from liverestore.version import __version__

__all__ = ["app", "run"]

_INTERRUPTED = 130
"""128 + SIGINT, what a shell reports."""
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""typer does not export the base of what it raises for a wrong command line."""

app = typer.Typer(
    name="liverestore",
    cls=SaysThatItStopped,
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
    handler = logging.StreamHandler()
    # On the handler too: libraries such as pymmcore-plus give their loggers a level of their own.
    handler.setLevel(os.environ.get("LIVERESTORE_LOG", "WARNING"))
    logging.basicConfig(
        level=handler.level,
        format="%(levelname)s %(name)s: %(message)s",
        handlers=[handler],
    )


def _register() -> None:
    # Commands import what they use when they run, so `--help` is quick.
    from liverestore.cli import (
        acquire,
        bench,
        build,
        calibrate,
        demo,
        doctor,
        dpm,
        engine_serve,
        engines,
        exposure,
        keys,
        live,
        restore,
        sign,
        train,
    )

    app.command("demo")(demo.demo)
    app.command("live")(live.live)
    app.command("acquire")(acquire.acquire)
    app.command("restore")(restore.restore)
    app.command("calibrate")(calibrate.calibrate)
    app.command("exposure")(exposure.exposure)
    app.command("dpm")(dpm.dpm)
    app.command("sign")(sign.sign)
    app.add_typer(engines.engines_app, name="engines")
    app.add_typer(engine_serve.engine_app, name="engine")
    app.command("keys")(keys.keys)
    app.command("bench")(bench.bench)
    app.command("build")(build.build)
    app.command("doctor")(doctor.doctor)
    app.add_typer(train.train_app, name="train")


_register()


def run() -> None:
    """Entry point: errors become one line on stderr and an exit code."""
    plain_where_needed(sys.stdout, sys.stderr)
    try:
        code = app(prog_name="liverestore", standalone_mode=False)
    except LiverestoreError as error:
        _leave(f"liverestore: {error}", error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        _leave("liverestore: interrupted", _INTERRUPTED)
    except OSError as error:
        if not reader_gone(error):
            raise
        # Whoever read our output has gone, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
            sys.exit(0)
        _leave(f"liverestore: {_usage(error)}", 2)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Any) -> str:
    context = error.ctx
    command = context.command_path if context is not None else "liverestore"
    text = " ".join(error.format_message().split())
    return f"{text.rstrip('.')}; see: {command} --help"


def _leave(line: str, code: int) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(code)
