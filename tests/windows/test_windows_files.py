"""What Windows refuses of files: names, paths that are long, and files that someone looks into."""

import errno
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from liverestore import file_moves, paths
from liverestore.cli.output_file import replace_old
from liverestore.errors import UserError
from liverestore.frame import Frame, FrameHeader
from liverestore.movie import open_movie
from liverestore.rig import load_rig
from liverestore.writer import zarr_chunks
from liverestore.writer.ome import OmeSink
from liverestore.writer.whole import reason


@pytest.fixture
def windows(monkeypatch):
    """Says that it is Windows, and that nobody waits; the pauses that were asked for."""
    pauses = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(file_moves.time, "sleep", pauses.append)
    return pauses


class Scanner:
    """Looks into each file for a while: so many attempts to move or remove one are refused."""

    def __init__(self, monkeypatch, refused):
        self.left = dict.fromkeys(("replace", "rename", "unlink"), refused)
        for name in self.left:
            monkeypatch.setattr(Path, name, self._guarded(name, getattr(Path, name)))

    def _guarded(self, name, act):
        def guarded(path, *more, **options):
            if self.left[name] > 0:
                self.left[name] -= 1
                raise PermissionError(errno.EACCES, "The file is used by another process", path)
            return act(path, *more, **options)

        return guarded


def test_a_file_that_a_virus_scanner_looks_into_is_replaced_a_moment_later(
    windows, monkeypatch, tmp_path
):
    (tmp_path / "account.json").write_bytes(b"old")
    Scanner(monkeypatch, refused=3)
    paths.replace_file(tmp_path / "account.json", b"new")
    assert (tmp_path / "account.json").read_bytes() == b"new"
    assert len(windows) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["account.json"]


def test_a_result_takes_the_place_of_one_that_is_looked_into(windows, monkeypatch, tmp_path):
    new, out = tmp_path / "new.tif", tmp_path / "out.tif"
    new.write_bytes(b"new")
    out.write_bytes(b"old")
    Scanner(monkeypatch, refused=2)
    assert replace_old(new, out) == out
    assert out.read_bytes() == b"new"
    assert not new.exists()


def test_a_file_that_stays_open_is_said_after_about_a_second(windows, monkeypatch, tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    Scanner(monkeypatch, refused=1000)
    with pytest.raises(PermissionError, match="another process"):
        file_moves.move_over(tmp_path / "a", tmp_path / "b")
    assert 0.5 < sum(windows) < 2


def test_elsewhere_a_refusal_is_about_rights_and_not_waited_for(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(file_moves.time, "sleep", lambda _s: pytest.fail("waited"))
    Scanner(monkeypatch, refused=1)
    with pytest.raises(PermissionError):
        file_moves.rename(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    "name", ["CON", "aux.old", "nul.tar.gz", "Com1.x", "LPT0", "a.", "a..", ".."]
)
def test_no_name_becomes_one_that_windows_keeps_or_cuts(name):
    made = paths.file_name(name)
    assert made.split(".")[0].lower() not in paths._DEVICES
    assert not made.endswith((".", " "))


def test_dots_at_the_end_of_a_name_are_kept_apart():
    names = [paths.file_name(name) for name in ("a", "a.", "a..", "a%2E")]
    assert len({name.rstrip(".").lower() for name in names}) == 4


@pytest.mark.parametrize("name", ["console", "rig.v2", "Ti2", "com10", "auxiliary.tif"])
def test_an_ordinary_name_stays(name):
    assert paths.file_name(name) == name


def test_home_is_found_where_the_shell_leaves_the_tilde(monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", "~/lr")
    home = Path("~/lr").expanduser()
    assert paths.user_data() == home
    assert paths.user_cache() == home / "cache"
    assert paths.user_documents() == home / "documents"


# -- recordings ---------------------------------------------------------------------------


def frame(number):
    header = FrameHeader(
        run_id="run", number=number, shape=(16, 16), dtype="uint16", captured_ns=number * 10**7,
        captured_utc="2026-01-01T00:00:00+00:00", camera="Cam",
    )  # fmt: skip
    return Frame(np.full((16, 16), number, np.uint16), header)


def test_a_recording_outlives_a_program_that_reads_its_shape(windows, monkeypatch, tmp_path):
    """zarr.json cannot be replaced while another program has it open; the frame is written."""
    resize = zarr.Array.resize
    refused = []

    def busy(array, shape):
        if len(refused) < 3:
            refused.append(shape)
            raise PermissionError(errno.EACCES, "The file is used by another process")
        return resize(array, shape)

    monkeypatch.setattr(zarr.Array, "resize", busy)
    # The shape is told after every frame.
    monkeypatch.setattr(zarr_chunks, "_SHAPE_EVERY_S", 0.0)
    sink = OmeSink(tmp_path / "raw.ome.zarr")
    for number in range(2):
        sink.append(frame(number))
    assert sink.close().frames == 2
    assert len(refused) == 3, "once after each frame, and once more at the end"
    with open_movie(tmp_path / "raw.ome.zarr") as movie:
        assert [int(pixels[0, 0]) for pixels in movie] == [0, 1]


def test_a_path_that_is_too_long_is_said_so(windows):
    """Windows itself says that it cannot find the path."""
    why = reason(FileNotFoundError(errno.ENOENT, "cannot find the path", "C:\\" + "x" * 260))
    assert "263 characters" in why
    assert "shorter path" in why
    short = FileNotFoundError(errno.ENOENT, "cannot find the path", "C:\\x")
    assert reason(short) == "cannot find the path"


# -- rig files ----------------------------------------------------------------------------

RIG = """
name = "scope"
[source]
kind = "micromanager"
config_file = {path}
"""


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (r'"C:\temp\new.cfg"', r"C:\temp\new.cfg"),
        (r'"D:\run\new.cfg"', r"D:\run\new.cfg"),
        (r'"..\new.cfg"', r"..\new.cfg"),
        (r'"C:\Users\me\scope.cfg"', None),
        (r'"\\server\scope.cfg"', None),
        ('"C:\\configs\\"', None),
    ],
)
def test_backslashes_between_double_quotes_are_named(tmp_path, path, shown):
    """The first three are valid TOML of another path, with tabs and new lines in it."""
    (tmp_path / "rig.toml").write_text(RIG.format(path=path), encoding="utf-8")
    with pytest.raises(UserError, match="single quotes") as error:
        load_rig(tmp_path / "rig.toml")
    assert "\n" not in str(error.value)
    assert shown is None or f"config_file: got {shown}," in str(error.value)


@pytest.mark.parametrize("path", [r"'C:\temp\new.cfg'", r'"C:/temp/new.cfg"', r'"C:\\temp\\n.cfg"'])
def test_paths_of_windows_that_are_written_well_only_have_to_exist(tmp_path, path):
    (tmp_path / "rig.toml").write_text(RIG.format(path=path), encoding="utf-8")
    with pytest.raises(UserError, match="which does not exist"):
        load_rig(tmp_path / "rig.toml")


def test_maps_and_surfaces_are_looked_through_too(tmp_path):
    text = 'name = "x"\n[source]\nkind = "bridge"\n[surfaces]\nbowl = "C:\\tilt.npy"\n'
    (tmp_path / "rig.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"surfaces\.bowl.*single quotes"):
        load_rig(tmp_path / "rig.toml")
