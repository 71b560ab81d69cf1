"""The queue before the disk: every frame is written, waiting or counted as lost."""

import threading

import pytest

from liverestore.errors import Failure, UserError
from liverestore.writer.queue import QueuedSink, default_limit_bytes
from liverestore.writer.sink import SinkReport


class GatedSink:
    """Takes one frame each time `gate` is released; fails at frame `fails_at`."""

    def __init__(self, tmp_path, fails_at=None, error=None, open_gate=False):
        self.path = tmp_path / "x"
        self.gate = threading.Semaphore(0)
        self.open_gate = open_gate
        self.began = threading.Semaphore(0)
        self.fails_at = fails_at
        self.error = error or Failure(f"frame {fails_at} could not be written")
        self.taken = []
        self.closed = 0

    def prepare(self, first):
        pass

    def append(self, item):
        self.began.release()
        if not self.open_gate:
            self.gate.acquire()
        if item.header.number == self.fails_at:
            raise self.error
        self.taken.append(item.header.number)

    def close(self):
        self.closed += 1
        return SinkReport(self.path, len(self.taken))


def release(sink, count):
    for _ in range(count):
        sink.gate.release()


def test_order_is_kept_and_close_flushes(tmp_path, frames):
    inner = GatedSink(tmp_path, open_gate=True)
    sink = QueuedSink(inner)
    for n in range(50):
        sink.append(frames(n))
    assert sink.close() == SinkReport(inner.path, 50)
    assert inner.taken == list(range(50))
    assert (sink.written, sink.queued, sink.lost, sink.error) == (50, 0, 0, None)
    assert sink.queued_bytes == 0
    assert sink.close().frames == 50


def test_full_queue_fails_loudly_and_never_waits(tmp_path, frames):
    inner = GatedSink(tmp_path)
    size = frames(0).pixels.nbytes
    sink = QueuedSink(inner, limit_bytes=3 * size)
    for n in range(3):
        sink.append(frames(n))
    with pytest.raises(Failure, match=r"frame 3 and all after it are not kept: the disk is slower"):
        sink.append(frames(3))
    assert (sink.written, sink.queued, sink.lost) == (0, 3, 1)
    # Room again, but a gap that nobody spoke of would be worse than the end.
    release(inner, 3)
    with pytest.raises(Failure, match="frame 3"):
        sink.append(frames(4))
    assert sink.close().frames == 3
    assert inner.taken == [0, 1, 2]
    assert (sink.written, sink.queued, sink.lost) == (3, 0, 2)
    assert "frame 3" in str(sink.error)


def test_a_frame_larger_than_the_limit_still_passes(tmp_path, frames):
    inner = GatedSink(tmp_path, open_gate=True)
    sink = QueuedSink(inner, limit_bytes=1)
    sink.append(frames(0))
    assert sink.close().frames == 1


def test_failing_sink_is_told_by_the_next_append(tmp_path, frames):
    inner = GatedSink(tmp_path, fails_at=2)
    sink = QueuedSink(inner)
    for n in range(5):
        sink.append(frames(n))
    release(inner, 3)
    sink._thread.join()
    with pytest.raises(Failure, match="frame 2 could not be written"):
        sink.append(frames(5))
    assert (sink.written, sink.queued, sink.lost) == (2, 0, 4)
    assert sink.close().frames == 2
    assert inner.closed == 1


def test_failure_of_the_last_frame_is_told_by_close(tmp_path, frames):
    inner = GatedSink(tmp_path, fails_at=1, open_gate=True)
    sink = QueuedSink(inner)
    sink.append(frames(0))
    sink.append(frames(1))
    with pytest.raises(Failure, match="frame 1"):
        sink.close()
    assert sink.close().frames == 1
    assert sink.lost == 1


def test_refused_file_is_told_at_once(tmp_path, frames):
    class Refusing(GatedSink):
        def prepare(self, first):
            raise UserError("no room")

    sink = QueuedSink(Refusing(tmp_path))
    for n in range(2):
        with pytest.raises(UserError, match="no room"):
            sink.append(frames(n))
    assert sink.close().frames == 0
    assert (sink.written, sink.queued, sink.lost) == (0, 0, 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_broken_sink_does_not_pass_for_a_good_one(tmp_path, frames):
    inner = GatedSink(tmp_path, fails_at=0, error=ZeroDivisionError("bug"), open_gate=True)
    sink = QueuedSink(inner)
    sink.append(frames(0))
    with pytest.raises(Failure, match=r"frame 0 .* the writer broke"):
        sink.close()
    assert sink.lost == 1


def test_append_after_close(tmp_path, frames):
    sink = QueuedSink(GatedSink(tmp_path, open_gate=True))
    sink.append(frames(0))
    sink.close()
    with pytest.raises(Failure, match="after the recording was closed"):
        sink.append(frames(1))
    assert (sink.written, sink.lost) == (1, 1)


def test_close_failing_is_told_once(tmp_path, frames):
    class Unclosable(GatedSink):
        def close(self):
            self.closed += 1
            if self.closed == 1:
                raise Failure("no room for the summary")
            return SinkReport(self.path, len(self.taken))

    sink = QueuedSink(Unclosable(tmp_path, open_gate=True))
    sink.append(frames(0))
    with pytest.raises(Failure, match="summary"):
        sink.close()
    assert sink.close().frames == 1


def test_default_limit_is_a_share_of_memory():
    assert 2**24 < default_limit_bytes() <= 2**30
