"""Snapshot: the frame on the screen as files that say what made them; no Qt.

Each image is an OME-TIFF of its own, written like a recording of one frame, so that
`open_movie` and `liverestore restore` read header and provenance back; the picture as seen
is a PNG beside them.
"""

from __future__ import annotations

import itertools
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from liverestore.errors import Failure, LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.paths import user_documents
from liverestore.writer.layout import Layout
from liverestore.writer.ome import OmeSink, free_name
from liverestore.writer.whole import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from liverestore.status import RunStatus

__all__ = ["Shot", "Snapshot", "SnapshotWriter", "snapshot_folder", "write_snapshot"]

_ONE_FRAME = Layout("YX", ())


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """The images of one channel."""

    raw: Frame
    restored: Restored | None
    """Of `raw`, or of an earlier frame where the engine was late; None without a result."""
    rival: Restored | None
    """The second engine's result, where it was shown."""
    stack: Restored | None = None
    """The result whose virtual planes were shown: `restored`, or one of an earlier frame while
    its own stack is at work."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What was on the screen when the user asked."""

    shots: tuple[Shot, ...]
    """One, or in a composite one for each of its channels; the first gives the picture its name."""
    picture: Callable[[], bytes]
    """Gives the picture as seen, as PNG; called where the files are written."""


def snapshot_folder(status: RunStatus | None) -> Path:
    """Beside the recording while there is one on this machine, else the user's documents."""
    if status is not None and status.recording is not None:
        folder = Path(status.recording).parent
        if folder.is_dir():
            return folder
    return user_documents() / "snapshots"


def write_snapshot(snapshot: Snapshot, folder: Path) -> list[Path]:
    """Write raw, restored, its virtual stack and rival of every shot and the picture into
    `folder`; the files, in this order.

    Names begin with the moment of the raw frame and its number, and say the channel where there
    are several; a name that is taken gets a number, nothing is overwritten. Raises `UserError` or
    `Failure` in one line where the folder or the disk refuses; what was written before stays.
    """
    paths = []
    for shot in snapshot.shots:
        stem = _stem(shot.raw)
        if len(snapshot.shots) > 1:
            stem += f"_{_word(shot.raw.header.channel or '')}"
        for name, image in _named(shot):
            paths.append(_write_images((image,), folder / f"{stem}_{name}.ome.tif"))
            if image is shot.restored and shot.stack is not None:
                path = folder / f"{stem}_{_made_name(shot.raw, shot.stack)}_virtual_stack.ome.tif"
                paths.append(_write_images(shot.stack.planes, path))
    picture = folder / f"{_stem(snapshot.shots[0].raw)}_view.png"
    paths.append(_write_picture(snapshot.picture(), picture))
    return paths


def _named(shot: Shot) -> list[tuple[str, Frame | Restored]]:
    """The images, with what their names end in."""
    images: list[tuple[str, Frame | Restored]] = [("raw", shot.raw)]
    for letter, made in (("", shot.restored), ("B_", shot.rival)):
        if made is not None:
            images.append((f"{letter}{_made_name(shot.raw, made)}", made))
    return images


def _made_name(raw: Frame, made: Restored) -> str:
    """The engine may be late: its result carries the number of its own frame."""
    late = made.source.header.number != raw.header.number
    of = f"_of_frame{made.source.header.number:06d}" if late else ""
    return f"{_word(made.provenance.engine)}{of}"


def _write_images(images: Sequence[Frame | Restored], path: Path) -> Path:
    """Write one, or the planes of a stack, whole or not at all."""
    z_um = [
        float(plane.provenance.parameters["virtual_z_um"])
        for plane in images
        if isinstance(plane, Restored) and len(images) > 1
    ]
    sink = OmeSink(
        path,
        layout=Layout("ZYX", (len(images),)) if z_um else _ONE_FRAME,
        z_step_um=round((z_um[-1] - z_um[0]) / (len(z_um) - 1), 6) if z_um else None,
        z_start_um=z_um[0] if z_um else None,
        expected_frames=len(images),
    )
    sink.prepare(images[0])
    try:
        try:
            for image in images:
                sink.append(image)
        finally:
            sink.close()
    except (Failure, OSError) as error:
        # Of one moment there is no part worth keeping.
        sink.path.unlink(missing_ok=True)
        raise _not_written(sink.path, error) from error
    return sink.path


def _write_picture(png: bytes, path: Path) -> Path:
    for _ in itertools.count():
        name = free_name(path)
        try:
            file = name.open("xb")
        except FileExistsError:
            continue  # someone took the name in between
        except OSError as error:
            raise _not_written(name, error) from error
        break
    try:
        with file:
            file.write(png)
    except OSError as error:
        name.unlink(missing_ok=True)
        raise _not_written(name, error) from error
    return name


def _not_written(path: Path, error: Failure | OSError) -> Failure:
    """What the disk said, and what helps a snapshot; a recording is not concerned."""
    cause = error if isinstance(error, OSError) else error.__cause__
    why = reason(cause) if isinstance(cause, OSError) else str(error)
    return Failure(
        f"{path} cannot be written ({why}); make room or choose a folder that you may write "
        "to, and take the snapshot again"
    )


def _stem(raw: Frame) -> str:
    """For example snapshot_2026-11-22T20-00-00_frame001234, by the clock of the header."""
    moment = re.sub(r"[.+].*$|Z$", "", raw.header.captured_utc).replace(":", "-")
    return "_".join(part for part in ("snapshot", moment, f"frame{raw.header.number:06d}") if part)


def _word(name: str) -> str:
    """`name` as a part of a file name on every system."""
    return re.sub(r"[^\w.-]+", "-", name) or "unnamed"


def _kinds(snapshot: Snapshot) -> str:
    shots = snapshot.shots
    kinds = "raw, restored and B" if any(shot.rival for shot in shots) else "raw and restored"
    if not any(shot.restored for shot in shots):
        kinds = "raw"
    if any(shot.stack is not None for shot in shots):
        kinds += " with its virtual stack"
    of = f" of {len(shots)} channels" if len(shots) > 1 else ""
    return f"{kinds}{of}, and the picture"


class SnapshotWriter:
    """Writes snapshots in a thread of its own, one after the other; painting never waits.

    `take` and `done` are for the thread of the window.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._said: list[tuple[bool, str]] = []
        self._turn = threading.Lock()

    def take(self, snapshot: Snapshot, folder: Path) -> None:
        """Write `snapshot` into `folder`, in the background."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._write, args=(snapshot, folder), name="snapshot")
        self._threads.append(thread)
        thread.start()

    def done(self) -> list[tuple[bool, str]]:
        """Of the snapshots that ended since the last call: whether it is on disk, and a line."""
        with self._lock:
            said, self._said = self._said, []
        return said

    def close(self) -> None:
        """Wait for what is being written."""
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _write(self, snapshot: Snapshot, folder: Path) -> None:
        with self._turn:
            try:
                paths = write_snapshot(snapshot, folder)
                said = (True, f"snapshot of {_kinds(snapshot)}, in {paths[0].parent}")
            except LiverestoreError as error:
                said = (False, f"no snapshot: {error}")
            except OSError as error:
                # Where the folder cannot even be looked into.
                said = (False, f"no snapshot: {_not_written(folder, error)}")
        with self._lock:
            self._said.append(said)
