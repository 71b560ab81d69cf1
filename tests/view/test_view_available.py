import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from liverestore.view import available
from liverestore.view.available import explain, why_no_offscreen, why_no_view

LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="system libraries of Linux only"
)


def _answer(missing=(), fonts=None, error=None):
    return json.dumps({"missing": list(missing), "fonts": fonts, "error": error}) + "\n"


@LINUX
def test_without_a_display_the_remedy_is_named_at_once(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    reason = why_no_view()
    assert "there is no display" in reason
    assert "\n" not in reason


def test_qt_paints_offscreen_here():
    assert why_no_offscreen() is None


def test_a_platform_that_the_user_chose_is_tried(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert why_no_view() is None


@LINUX
def test_an_aborting_qt_does_not_take_this_process_along(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "no-such-platform")
    reason = why_no_view()
    assert reason.startswith("Qt ended while starting (signal 6")
    assert "\n" not in reason


@LINUX
def test_a_missing_library_is_named_with_its_package(monkeypatch, tmp_path):
    # An empty file in front of the real one is refused by the loader like a missing one.
    (tmp_path / "libEGL.so.1").write_bytes(b"")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert why_no_offscreen() == (
        "Qt lacks the system library libEGL.so.1; install with: sudo apt-get install libegl1"
    )


@LINUX
def test_a_machine_without_fonts_is_told_which_to_install(monkeypatch, tmp_path):
    config = tmp_path / "fonts.conf"
    config.write_text("<fontconfig></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(config))
    assert "fonts-dejavu-core" in why_no_offscreen()


def test_all_missing_libraries_are_named_at_once():
    said = explain(0, _answer(["libEGL.so.1", "libxcb-cursor.so.0"], error="libEGL.so.1: no"), "")
    assert said.endswith("sudo apt-get install libegl1 libxcb-cursor0")


def test_a_library_that_qt_did_not_need_is_no_reason():
    assert explain(0, _answer(["libzstd.so.1"]) + _answer(["libzstd.so.1"], fonts=3), "") is None


def test_a_package_that_cannot_be_imported_is_named():
    said = explain(0, _answer(error="No module named 'PySide6'"), "")
    assert "No module named 'PySide6'" in said
    assert "pip install" in said


def test_a_crash_before_the_first_word_is_still_one_line():
    said = explain(-11, "", "boom\nboom")
    assert "signal 11: boom boom" in said
    assert "\n" not in said


def test_a_display_that_does_not_answer_is_given_up(monkeypatch):
    def hang(command, **settings):
        raise subprocess.TimeoutExpired(command, settings["timeout"])

    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setattr(available.subprocess, "run", hang)
    assert "did not start within" in why_no_view()


def test_asking_does_not_import_qt():
    code = (
        "import sys; from liverestore.view.available import why_no_view; why_no_view();"
        "sys.exit(any(m.split('.')[0] in ('PySide6', 'pyqtgraph') for m in sys.modules))"
    )
    root = Path(available.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "QT_QPA_PLATFORM": ""}
    outcome = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert outcome.returncode == 0
