"""Leaves the tests of the view out where Qt cannot paint, and says so; never in CI."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from liverestore.view.available import why_no_offscreen

ROOT = Path(__file__).parent
REQUIRED = bool(os.environ.get("LIVERESTORE_REQUIRE_VIEW"))


@cache
def reason_without_view() -> str | None:
    """Why tests that paint are left out; None where they run."""
    return None if REQUIRED else why_no_offscreen()


@pytest.fixture(scope="session", autouse=True)
def folder_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep this session, and every process that it starts, out of the person's own folders.

    Shipped engines and rigs are found by name as ever.
    """
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("LIVERESTORE_HOME", str(home))
        yield home


@pytest.fixture(autouse=True)
def priority_stays() -> Iterator[None]:
    """Of the main thread: lowered once, it cannot be raised again, and all later tests are slow."""
    if sys.platform != "linux":
        yield
        return
    main = threading.main_thread().native_id or 0
    before = os.getpriority(os.PRIO_PROCESS, main)
    yield
    assert os.getpriority(os.PRIO_PROCESS, main) == before, "lowered by this test"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what imports Qt where Qt cannot be loaded, and the plugin, which imports napari.

    Nothing in the plugin is to be collected; its tests run it in a process of its own.
    """
    if collection_path == ROOT / "liverestore" / "napari_plugin":
        return True
    needs_qt = [ROOT / "tests" / "view", ROOT / "liverestore" / "view"]
    if collection_path in needs_qt and reason_without_view() is not None:
        return True
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `paints` where nothing can be painted."""
    reason = reason_without_view() if item.get_closest_marker("paints") else None
    if reason is not None:
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    if reason_without_view() is not None:
        terminalreporter.write_line(
            f"NOT TESTED: the view, because {reason_without_view()}", yellow=True
        )
