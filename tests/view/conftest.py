from __future__ import annotations

import gc
import importlib
import os
import threading

# Before Qt is imported: tests must neither need nor open a screen.
os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
import pytest

from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.status import RunStatus

SECOND_NS = 1_000_000_000
START_NS = 1_000 * SECOND_NS


class Clock:
    """Monotonic time that only a test moves."""

    def __init__(self):
        self.ns = START_NS

    def __call__(self):
        return self.ns

    def step(self, seconds):
        self.ns += round(seconds * SECOND_NS)


def _frame(pixels=None, number=0, *, captured_ns=START_NS, **facts):
    if pixels is None:
        pixels = np.arange(64 * 96, dtype=np.uint16).reshape(64, 96)
    pixels = np.array(pixels)
    header = FrameHeader(
        **{
            "run_id": "run",
            "number": number,
            "shape": pixels.shape,
            "dtype": pixels.dtype.name,
            "captured_ns": captured_ns,
            "captured_utc": "2026-11-22T20:00:00+00:00",
            "camera": "Camera",
            "exposure_ms": 10.0,
            "z_um": 1.5,
            "pixel_size_um": 0.1,
            **facts,
        }
    )
    return Frame(pixels, header)


def _restored(source, pixels=None, **made):
    pixels = source.pixels if pixels is None else np.asarray(pixels)
    start_ns = source.header.captured_ns
    return Restored(
        np.array(pixels),
        source,
        Provenance(
            **{
                "engine": "denoise",
                "version": "1.0",
                "sha256": "",
                "runtime": "openvino CPU",
                "parameters": {},
                "started_ns": start_ns,
                "finished_ns": start_ns + 20_000_000,
                **made,
            }
        ),
    )


def _status(**facts):
    return RunStatus(
        **{
            "state": "running",
            "rig": "demo",
            "engine": "denoise",
            "runtime": "openvino CPU",
            "recording": "/data/run_0001.ome.zarr",
            **facts,
        }
    )


@pytest.fixture
def make_frame():
    return _frame


@pytest.fixture
def make_restored():
    return _restored


@pytest.fixture
def make_status():
    return _status


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def qt_app():
    from liverestore.view.offscreen import offscreen_application

    return offscreen_application()


def _settle(app):
    from PySide6.QtCore import QEvent

    for _ in range(3):
        app.processEvents()
        app.sendPostedEvents(None, int(QEvent.Type.DeferredDelete))


@pytest.fixture
def settle(qt_app):
    return lambda: _settle(qt_app)


@pytest.fixture(scope="session")
def libraries_at_rest():
    """Leaves what the libraries made when they were loaded out of every collection to come."""
    importlib.import_module("liverestore.view.window")
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def nothing_left(qt_app, libraries_at_rest):
    """Fails a test that leaves a window or a thread behind."""
    threads = set(threading.enumerate())
    yield
    _settle(qt_app)
    gc.collect()
    left = [w for w in qt_app.topLevelWidgets() if w.isVisible()]
    assert left == [], "a window was left open"
    assert set(threading.enumerate()) == threads, "a thread was left running"


@pytest.fixture
def open_window(qt_app, clock, nothing_left):
    """Factory of shown windows with their feed, closed at the end of the test."""
    from liverestore.view.feed import MemoryFeed
    from liverestore.view.window import LiveWindow

    opened = []

    def make(*, size=(1280, 800), **settings):
        feed = MemoryFeed()
        window = LiveWindow(feed, clock_ns=clock, **{"live": False, **settings})
        opened.append(window)
        window.resize(*size)
        window.show()
        _settle(qt_app)
        return window, feed

    yield make
    for window in opened:
        window.close_now()
        window.deleteLater()
