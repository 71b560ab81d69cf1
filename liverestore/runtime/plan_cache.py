"""Plans that were built here, kept in the user's own cache folder, and never trusted blindly.

A plan is machine code for a GPU: whoever can write it runs what he likes. So it is read only
from a folder that nobody else can write to, only with a record beside it that says what it was
built from, and only when both fit what is asked for to the last byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from liverestore.errors import Failure
from liverestore.paths import replace_file, user_cache

__all__ = [
    "MAX_PLAN_BYTES",
    "PlanIdentity",
    "PlanRecord",
    "PlanTensor",
    "find_plan",
    "forget_unused",
    "plan_folder",
    "plan_lock",
    "read_private",
    "write_plan",
]

MAX_PLAN_BYTES = 4 << 30
"""Of the networks that restore live, a plan has some tens of megabytes."""
KEPT_UNUSED_S = 90 * 86_400
"""A plan that nobody used for so long goes when another is built: those of older libraries, engines
and graphs are never found again, and would fill a disk."""
_POLL_S = 0.2


class PlanIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a plan depends on; two plans of one identity do the same."""

    engine: str
    task: str
    domain: str
    model_sha256: str
    graph_version: int
    pixels: str
    precision: str
    maps: bool
    library: str
    library_version: str
    target: str
    """"default", "sm75", or the GPU that alone it is for."""
    platform: str
    sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    """Least, usual and largest (Y, X) in pixels, multiples of the engine's divisor."""
    planes: int
    """Most planes restored from one frame at once."""

    def key(self) -> str:
        """Name of its files: sha256 of all of it."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class PlanTensor(msgspec.Struct, frozen=True, kw_only=True):
    """One input or output of a plan, as the library itself described it."""

    name: str
    is_input: bool
    dtype: str
    shape: tuple[int, ...]
    """-1 where the size varies."""
    sizes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None
    """Least, usual and largest shape of an input that varies."""


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a plan, as JSON."""

    identity: PlanIdentity
    tensors: tuple[PlanTensor, ...]
    plan_sha256: str
    plan_bytes: int
    built_utc: str
    build_s: float


def plan_folder() -> Path:
    """The folder of plans, made when missing, readable and writable by the user alone.

    Raises `Failure` where it belongs to someone else or others may write to it: a plan from
    there could be anyone's. On Windows the user's own folders are private as they come.
    """
    folder = user_cache() / "plans"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise Failure(
            f"{folder} cannot be made ({error.strerror}); set LIVERESTORE_HOME to a folder of "
            "your own"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise Failure(f"{folder} is no folder; remove it")
    wrong = _not_private(found)
    if wrong:
        raise Failure(
            f"{folder} {wrong}, so that plans in it cannot be trusted; remove it, or set "
            "LIVERESTORE_HOME to a folder of your own"
        )
    return folder


def _not_private(found: os.stat_result) -> str:
    """What lets others write a file or folder; empty where nothing does, and on Windows."""
    if sys.platform == "win32":
        return ""
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be written to by other users"
    return ""


def read_private(path: Path) -> bytes | str | None:
    """A private file's bytes; why it is refused; None where there is none."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return f"{path.name} is no file"
        if found.st_size > MAX_PLAN_BYTES:
            return f"{path.name} has more than {MAX_PLAN_BYTES >> 30} GiB"
        wrong = _not_private(found)
        return f"{path.name} {wrong}" if wrong else file.read()


def find_plan(identity: PlanIdentity, folder: Path) -> tuple[bytes, PlanRecord] | str | None:
    """The plan of `identity` and its record; why it is refused; or None where there is none."""
    key = identity.key()
    text, plan = read_private(folder / f"{key}.json"), read_private(folder / f"{key}.plan")
    if plan is None:
        return None
    if isinstance(plan, str):
        return plan
    if not isinstance(text, bytes):
        return text or "the record of what it was built from is missing"
    try:
        record = msgspec.json.decode(text, type=PlanRecord)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"the record of what it was built from is damaged ({error})"
    if record.identity != identity:
        return f"it was built for something else: {_difference(record.identity, identity)}"
    if len(plan) != record.plan_bytes:
        return f"it is cut short: {len(plan)} of {record.plan_bytes} bytes"
    if hashlib.sha256(plan).hexdigest() != record.plan_sha256:
        return "its bytes have changed since it was built"
    with contextlib.suppress(OSError):  # a folder that may only be read serves as well
        os.utime(folder / f"{key}.plan")  # when it was used last
    return plan, record


def forget_unused(folder: Path, now_s: float) -> tuple[int, int]:
    """Remove plans that were not used for 90 days before `now_s`; how many, and their bytes."""
    count = size = 0
    for path in folder.glob("*.plan"):
        with contextlib.suppress(OSError):  # another process may remove it, too
            found = path.lstat()
            if now_s - found.st_mtime > KEPT_UNUSED_S:
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
                count, size = count + 1, size + found.st_size
    return count, size


def _difference(have: PlanIdentity, wanted: PlanIdentity) -> str:
    words = []
    for name in PlanIdentity.__struct_fields__:
        old, new = getattr(have, name), getattr(wanted, name)
        if old != new:
            label = name.replace("_", " ")
            words.append(f"{label} {str(old)[:16]} instead of {str(new)[:16]}")
    return ", ".join(words)


def write_plan(
    identity: PlanIdentity,
    plan: bytes,
    tensors: tuple[PlanTensor, ...],
    folder: Path,
    *,
    built_utc: str,
    build_s: float,
) -> PlanRecord:
    """Keep `plan`; whole or not at all, and never without its record. Raises `Failure`."""
    record = PlanRecord(
        identity=identity,
        tensors=tensors,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        plan_bytes=len(plan),
        built_utc=built_utc,
        build_s=round(build_s, 3),
    )
    text = msgspec.json.format(msgspec.json.encode(record), indent=2)
    key = identity.key()
    try:
        # An older plan goes first, so that no moment pairs one with the other's record.
        (folder / f"{key}.plan").unlink(missing_ok=True)
        replace_file(folder / f"{key}.json", text)
        replace_file(folder / f"{key}.plan", plan)
    except OSError as error:
        raise Failure(f"{folder}: the plan cannot be written ({error.strerror})") from error
    return record


@contextlib.contextmanager
def plan_lock(
    identity: PlanIdentity, folder: Path, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Only one process at a time builds this plan; the system frees it when a process dies.

    `waiting` is called, again and again, while another process holds it; what it raises ends
    the wait. Raises `Failure` where the folder knows no locks.
    """
    path = folder / f"{identity.key()}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise Failure(f"{path} cannot be made ({error.strerror})") from error
    try:
        while not _try_lock(handle):
            waiting()
            time.sleep(_POLL_S)
        yield
    finally:
        # Closing gives the lock back. The file stays: removing it would let a third process
        # lock a new one beside a second that holds this.
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise Failure(
            f"the folder of plans cannot be locked ({error.strerror}); set LIVERESTORE_HOME to a "
            "folder on a disk of this machine"
        ) from error
    return True
