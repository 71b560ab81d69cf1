"""Where `liverestore` begins: little enough that Ctrl-C finds it ready from its first moment on."""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["run"]


def run() -> None:
    """Entry point: what `commands.run` does, once the commands are loaded."""
    # That takes a second, on a busy computer many. An exception in the middle of it ends in a
    # traceback, or is taken for a library that cannot be loaded. There is nothing to close yet.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: _leave_at_once())
    from liverestore.cli import commands

    signal.signal(signal.SIGINT, before)
    commands.run()


def _leave_at_once() -> None:
    os.write(sys.stderr.fileno(), b"liverestore: interrupted\n")
    os._exit(130)
