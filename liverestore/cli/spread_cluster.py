"""Workers for `restore`: processes of this machine, or a dask cluster that is there already."""

from __future__ import annotations

import importlib.util
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from liverestore.errors import UserError
from liverestore.service.ending_signals import hear_ctrl_c_no_more

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["check_cluster", "dask_setup", "open_cluster"]

_MOST_WORKERS = 1024
_CONNECT_S = 20


def check_cluster(workers: int | None, address: str | None) -> None:
    """Refuse, before any work, what cannot be. Raises `UserError`."""
    if workers is not None and address is not None:
        raise UserError(
            "got --workers and --dask; give --workers for processes of this machine, or --dask "
            "for a cluster that is there"
        )
    if workers is not None and not 1 <= workers <= _MOST_WORKERS:
        raise UserError(f"--workers: got {workers}; allowed are 1 to {_MOST_WORKERS}")
    # The keys of processes on this machine need cryptography.
    needed = ("distributed", *(("cryptography",) if workers is not None else ()))
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"restoring with several workers needs {' and '.join(missing)}; "
            "pip install 'liverestore[dask]'"
        )


def dask_setup(_worker: Any) -> None:
    """Called by dask in each process of `open_cluster`, of this name by its rules.

    Ctrl-C, and a terminal that is closed, reach every process of it. Only the first one is to take
    that as a wish to end: it lets the others finish their frames.
    """
    hear_ctrl_c_no_more()


@contextmanager
def _quiet() -> Iterator[None]:
    """No log of processes that come and go; what matters comes as an error."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def open_cluster(workers: int | None, address: str | None) -> Iterator[Client]:
    """A client of the cluster at `address`, or of `workers` new processes here.

    Those end with the block, and nobody without their keys reaches them; a cluster that was there
    goes on. Raises `UserError` where nothing
    answers at `address`.
    """
    import dask
    from distributed import Client, LocalCluster

    if address is not None:
        try:
            client = Client(address, timeout=_CONNECT_S)
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(
                f"--dask {address}: no dask scheduler answers there; start one with: dask "
                "scheduler, and give the address that it prints, such as tcp://10.0.0.5:8786"
            ) from error
        except TypeError as error:  # tls:// without keys
            raise UserError(
                f"--dask {address}: that cluster wants keys and this computer has none; name "
                "them in dask's configuration, under distributed.comm.tls"
            ) from error
        with client:
            yield client
        return
    with (
        _quiet(),
        tempfile.TemporaryDirectory(prefix="liverestore-dask-") as scratch,
        # On a busy machine a process may take long to begin.
        dask.config.set({"distributed.comm.timeouts.connect": "60s"}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            # Networks may take any memory; nothing is kept there from frame to frame.
            memory_limit=0,
            # Any free port, for this machine only.
            dashboard_address="127.0.0.1:0",
            # Keys of this cluster alone, made now and kept in memory: its processes run whatever
            # Python objects come, and other users of the computer reach 127.0.0.1 too.
            security=True,
            preload=[__name__],
            local_directory=scratch,
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
