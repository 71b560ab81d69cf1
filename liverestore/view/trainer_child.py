"""The process that trains beside a live view: started, listened to, ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from liverestore.errors import LiverestoreError
from liverestore.view.frame_keeper import write_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from liverestore.frame import Frame

__all__ = ["TrainerChild"]

_COMMAND = (sys.executable, "-c", "from liverestore.cli.main import run; run()")
_PATIENCE_S = 2.0


class TrainerChild:
    """Writes `frames` to `movie`, runs `liverestore` with `arguments`, gathers what it says.

    A thread does both, so that nothing here waits. The process ends with this one, since the
    pipe that it reads from closes. `command` is for tests.
    """

    def __init__(
        self,
        frames: tuple[Frame, ...],
        movie: Path,
        arguments: Sequence[str],
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._frames, self._movie = frames, movie
        self._call = [*command, *arguments]
        self._said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._cancelled = False
        self._thread = threading.Thread(target=self._run, name="trainer", daemon=True)
        self._thread.start()

    def said(self) -> list[dict[str, Any]]:
        """What came since the last call; the last one has "engine", "failed" or "cancelled"."""
        words = []
        while not self._said.empty():
            words.append(self._said.get())
        return words

    def cancel(self) -> None:
        """End it; what it made is taken away."""
        with self._lock:
            self._cancelled = True
            process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End it and wait until it is gone."""
        self.cancel()
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        try:
            write_frames(self._frames, self._movie)
            self._frames = ()
            last, trouble = self._listen()
        except (LiverestoreError, OSError) as error:
            last, trouble = {}, str(error)
        finally:
            shutil.rmtree(self._movie.parent, ignore_errors=True)
        if self._cancelled:
            self._said.put({"cancelled": True})
        elif "engine" in last:
            self._said.put(last)
        else:
            self._said.put({"failed": trouble or "the training ended without a word"})

    def _listen(self) -> tuple[dict[str, Any], str]:
        """Its last line, and what it complained of."""
        with self._lock:
            if self._cancelled:
                return {}, ""
            self._process = process = subprocess.Popen(
                self._call,
                # Else it would write in the code page of Windows.
                env={**os.environ, "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        complaints: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        # Read beside stdout: a full pipe would stop the process.
        complaining = threading.Thread(
            target=complaints.extend, args=(process.stderr,), name="trainer-stderr", daemon=True
        )
        complaining.start()
        last: dict[str, Any] = {}
        for line in process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                word = json.loads(line)
                if isinstance(word, dict):
                    last = word
                    if "engine" not in word:
                        self._said.put(word)
        process.wait()
        complaining.join(_PATIENCE_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        lines = [line.strip() for line in complaints if line.strip()]
        trouble = lines[-1].removeprefix("liverestore: ") if lines else ""
        return (last if process.returncode == 0 else {}), trouble
