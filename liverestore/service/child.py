"""What every process of a run has in common: signals, its last word, its parent."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from liverestore.errors import LiverestoreError
from liverestore.service.ending_signals import hear_ctrl_c_no_more
from liverestore.status import Failed, Hello
from liverestore.transport.control import ControlLink
from liverestore.transport.endpoint import Endpoint
from liverestore.version import __version__

__all__ = ["orphaned", "run_child"]

log = logging.getLogger(__name__)


def orphaned() -> bool:
    """True when the supervisor is gone; a process must end by itself then."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def run_child(
    name: str, control: Endpoint, body: Callable[[ControlLink, threading.Event], None]
) -> None:
    """Run `body(link, stop)` as process `name` and exit with a code that tells how it went.

    `stop` is set by SIGTERM and when the supervisor dies. Ctrl-C reaches the whole
    process group; the supervisor alone acts on it, so that all end in order.
    """
    handler = logging.StreamHandler()
    # On the handler: some libraries set their own loggers to DEBUG.
    handler.setLevel(os.environ.get("LIVERESTORE_LOG", "WARNING"))
    handler.setFormatter(logging.Formatter(f"%(levelname)s {name} %(name)s: %(message)s"))
    logging.basicConfig(level=handler.level, handlers=[handler])
    stop = threading.Event()
    _listen_to_signals(stop)
    link = ControlLink(control, name)
    link.send(Hello(pid=os.getpid(), version=__version__))
    code = 0
    try:
        body(link, stop)
    except LiverestoreError as error:
        code = error.exit_code
        link.send(Failed(text=f"{name}: {error}", exit_code=code))
    except Exception as error:
        # The last line of defence of a process: whatever it was must reach the
        # person as a line, not as a process that is silently gone.
        log.exception("%s failed", name)
        code = 1
        link.send(Failed(text=f"{name}: unexpected {type(error).__name__}: {error}", exit_code=1))
    finally:
        link.close()
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End this process now: everything that must be closed has been closed.

    Taking the interpreter apart, with the libraries of cameras, Qt and inference in it,
    costs a second and can abort.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _listen_to_signals(stop: threading.Event) -> None:
    if threading.current_thread() is not threading.main_thread():
        return

    def on_term(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    hear_ctrl_c_no_more()
    with contextlib.suppress(OSError, ValueError):  # SIGTERM cannot be set everywhere
        signal.signal(signal.SIGTERM, on_term)
