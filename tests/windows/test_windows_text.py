"""Output into files and pipes of Windows, which take the letters of one country."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from liverestore.cli import commands, plain_text
from liverestore.training import export
from liverestore.view.trainer_child import TrainerChild

LINE = "5 µm ± 2 µm, 20 °C, 3 \N{MULTIPLICATION SIGN} 4, 10² → \N{MINUS SIGN}1 … “ok” Größe 細胞 e⁻"


def written(encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")
    plain_text.plain_where_needed(stream)
    stream.write(LINE)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def test_letters_that_a_code_page_lacks_become_plain_ones():
    assert written("ascii") == '5 um +/- 2 um, 20 degC, 3 x 4, 102 -> -1 ... "ok" Gro?e ?? e-'


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "cp850", "cp1251", "cp932"])
def test_letters_that_a_code_page_has_stay(encoding):
    kept = LINE.encode(encoding, "ignore").decode(encoding)
    assert _beyond_ascii(written(encoding)) == _beyond_ascii(kept)


def _beyond_ascii(text):
    return [letter for letter in text if not letter.isascii()]


def test_a_terminal_that_takes_every_letter_gets_them():
    assert written("utf-8") == LINE


@pytest.mark.parametrize("encoding", ["cp1252", "cp437"])
def test_help_goes_into_a_pipe_of_windows(encoding):
    """Its frames and dots are of no code page of the country."""
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict", "PYTHONUTF8": "0"}
    code = "from liverestore.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "live", "--help"],
        env=environment, capture_output=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "J/cm2" in done.stdout.decode(encoding)


def test_an_error_with_letters_of_another_country_is_one_line(monkeypatch):
    error = io.TextIOWrapper(io.BytesIO(), encoding="cp437", errors="strict")
    monkeypatch.setattr(sys, "stderr", error)
    monkeypatch.setattr(sys, "argv", ["liverestore", "live", "--rig", "細胞", "--headless"])
    with pytest.raises(SystemExit) as end:
        commands.run()
    error.flush()
    said = error.buffer.getvalue().decode("cp437").strip()
    assert end.value.code == 2
    assert said.startswith("liverestore: ")
    assert "rig ??: no such" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("platform", "error", "gone"),
    [
        ("win32", OSError(errno.EINVAL, "Invalid argument"), True),
        ("win32", OSError(errno.EINVAL, "Invalid argument", "a:b"), False),
        ("linux", OSError(errno.EINVAL, "Invalid argument"), False),
        ("linux", BrokenPipeError(), True),
    ],
)
def test_who_reads_no_more_is_told_from_a_fault(monkeypatch, platform, error, gone):
    monkeypatch.setattr(sys, "platform", platform)
    assert plain_text.reader_gone(error) is gone


def test_a_fault_of_the_disk_is_no_silent_end(monkeypatch):
    def fails(**_options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(commands, "app", fails)
    with pytest.raises(OSError, match="Input/output"):
        commands.run()


def test_what_the_training_beside_live_complains_of_keeps_its_letters(tmp_path, monkeypatch):
    """Left alone it would write in the code page of Windows, and be read as UTF-8."""
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    code = "import sys; print('liverestore: 細胞, 5 µm', file=sys.stderr); sys.exit(1)"
    frames = tmp_path / "frames"
    frames.mkdir()
    monkeypatch.setattr("liverestore.view.trainer_child.write_frames", lambda *_: None)
    child = TrainerChild((), frames / "m.tif", [], command=(sys.executable, "-c", code))
    child._thread.join(30)
    assert child.said()[-1] == {"failed": "細胞, 5 µm"}


def test_no_text_that_is_written_takes_the_line_ends_of_the_system():
    """An engine's card is the same file wherever it was trained."""
    source = Path(export.__file__).read_text(encoding="utf-8")
    calls = source.split(".write_text(")[1:]
    assert calls
    assert all('newline="\\n"' in call[:120] for call in calls)
