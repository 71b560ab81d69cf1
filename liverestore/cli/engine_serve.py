"""`liverestore engine serve`: the engine for a microscope whose machine has no graphics card."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from liverestore.cli.engine_triton import triton
from liverestore.errors import UserError

__all__ = ["engine_app"]

engine_app = typer.Typer(
    help="Engines for other machines.", no_args_is_help=True, add_completion=False
)


@engine_app.callback()
def _engine() -> None:
    """Engines for other machines."""


engine_app.command("triton")(triton)


@engine_app.command("serve")
def serve(
    bind: Annotated[
        str,
        typer.Option(
            metavar="tcp://HOST:PORT",
            help="Where microscopes connect to; 0.0.0.0 is every network of this machine.",
        ),
    ],
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of the processor at most.", show_default="all"),
    ] = None,
    runs: Annotated[
        int,
        typer.Option(min=1, max=64, help="Runs at the same time at most; each takes memory."),
    ] = 4,
) -> None:
    """Restore the frames of runs on other machines, in turn, until Ctrl-C.

    Only machines that were authorised with `liverestore keys --allow` are answered; the others
    get nothing. Frames are restored and sent back, and not kept.
    """
    from liverestore.service.ending_signals import ending_signals, let_go_of_terminal
    from liverestore.service.engine_server import EngineServer
    from liverestore.transport.engine_desk import EngineDesk, check_address
    from liverestore.transport.machine_keys import KeyFolder

    check_address(bind)
    folder = KeyFolder()
    own = folder.own()
    if not folder.authorised():
        raise UserError(
            "no machine is authorised to use this engine; run `liverestore keys` on the "
            "microscope's machine and paste what it prints here: liverestore keys --allow KEY"
        )
    console = Console(stderr=True)
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        let_go_of_terminal(number)
        stop.set()

    for number in ending_signals():
        signal.signal(number, on_signal)

    def tell(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    def who(key: str) -> str:
        known = folder.authorised().items()
        return next(
            (name for name, public in known if public.z85.decode() == key), "a forgotten machine"
        )

    # Asked at each handshake, so that a key that is forgotten opens nothing from then on.
    desk = EngineDesk(bind, own, lambda key: key in {k.z85 for k in folder.authorised().values()})
    try:
        tell(f"serving engines at {bind} to {', '.join(folder.authorised())}; Ctrl-C ends it")
        tell(f"key of this machine: {own.public}")
        EngineServer(desk, threads=threads, runs=runs, tell=tell, who=who, stop=stop).run()
    finally:
        desk.close()
