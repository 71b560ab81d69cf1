"""What all tests of the Python interface need."""

import pytest


@pytest.fixture(autouse=True)
def core_without_qt(monkeypatch):
    """pymmcore-plus takes Qt's signals, and qtpy, where another test has begun a QApplication."""
    monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")
