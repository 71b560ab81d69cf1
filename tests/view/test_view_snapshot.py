import threading

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest

from liverestore.errors import Failure, UserError
from liverestore.frame import Restored
from liverestore.movie import open_movie
from liverestore.rig_channels import ChannelConfig
from liverestore.view.channels import looks_of
from liverestore.view.feed import ShownPair
from liverestore.view.snapshot import (
    Shot,
    Snapshot,
    SnapshotWriter,
    snapshot_folder,
    write_snapshot,
)
from liverestore.writer.ome import OmeSink

STEM = "snapshot_2026-11-22T20-00-00_frame000007"


@pytest.fixture
def pair(make_frame, make_restored):
    rng = np.random.default_rng(3)
    raw = make_frame(rng.integers(90, 900, (48, 64)).astype(np.uint16), 7)
    first = make_restored(raw, raw.pixels // 2, parameters={"gain_e_per_count": 0.5})
    second = make_restored(raw, raw.pixels // 3, engine="mean5", version="2.0")
    return ShownPair(raw, Restored(first.pixels, raw, first.provenance, second))


@pytest.fixture
def running(open_window, pair, make_status, tmp_path):
    window, feed = open_window(engines=("denoise", "mean5"), snapshot_folder=tmp_path / "snaps")
    feed.report(make_status())
    feed.offer(pair)
    window.tick()
    return window, feed


def _wait(window):
    """Until the files are written and the window has been told."""
    window.snapshots._writer.close()
    window.tick()


def one(raw, restored, picture):
    return Snapshot((Shot(raw, restored, None),), picture)


def _files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_ctrl_s_keeps_what_is_on_the_screen(running, pair, tmp_path):
    window, _ = running
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    _wait(window)
    folder = tmp_path / "snaps"
    assert _files(folder) == [
        f"{STEM}_denoise.ome.tif",
        f"{STEM}_raw.ome.tif",
        f"{STEM}_view.png",
    ]
    with open_movie(folder / f"{STEM}_raw.ome.tif") as raw:
        assert raw.axes == "YX"
        np.testing.assert_array_equal(raw[0], pair.raw.pixels)
        assert raw.header(0) == pair.raw.header
        assert raw.record(0).provenance is None
        assert raw.pixel_size_um == pytest.approx(0.1)
    with open_movie(folder / f"{STEM}_denoise.ome.tif") as restored:
        np.testing.assert_array_equal(restored[0], pair.restored.pixels)
        assert restored.record(0).provenance == pair.restored.provenance
    np.testing.assert_array_equal(
        tifffile.imread(folder / f"{STEM}_denoise.ome.tif"), pair.restored.pixels
    )
    picture = QImage(str(folder / f"{STEM}_view.png"))
    assert (picture.width(), picture.height()) == (window.deck.width(), window.deck.height())
    assert picture == window.deck.grab().toImage().convertToFormat(picture.format())
    assert window.toast.isVisible()
    assert window.toast.text().endswith(f"in {folder}")


def test_the_button_keeps_the_second_engine_too(running, pair, make_status, tmp_path):
    window, feed = running
    feed.report(make_status(rival="mean5"))
    window.tick()
    QTest.mouseClick(window.acquisition.snapshot, Qt.MouseButton.LeftButton)
    _wait(window)
    folder = tmp_path / "snaps"
    assert len(_files(folder)) == 4
    with open_movie(folder / f"{STEM}_raw.ome.tif") as raw:
        np.testing.assert_array_equal(raw[0], pair.raw.pixels)
    with open_movie(folder / f"{STEM}_B_mean5.ome.tif") as rival:
        np.testing.assert_array_equal(rival[0], pair.restored.rival.pixels)
        assert rival.record(0).provenance == pair.restored.rival.provenance


def test_nothing_is_ever_overwritten(running, tmp_path):
    window, _ = running
    for _ in range(2):
        QTest.mouseClick(window.acquisition.snapshot, Qt.MouseButton.LeftButton)
    _wait(window)
    names = _files(tmp_path / "snaps")
    assert len(names) == 6
    assert f"{STEM}_view_001.png" in names
    assert f"{STEM}_raw_001.ome.tif" in names


def test_an_error_is_one_line_and_the_view_goes_on(running, tmp_path):
    window, _ = running
    (tmp_path / "snaps").write_text("a file where the folder should be")
    QTest.mouseClick(window.acquisition.snapshot, Qt.MouseButton.LeftButton)
    _wait(window)
    assert window.notices.isVisible()
    text = window.notices.label.text()
    assert text.startswith("no snapshot: ")
    assert "\n" not in text
    (tmp_path / "snaps").unlink()
    QTest.mouseClick(window.acquisition.snapshot, Qt.MouseButton.LeftButton)
    _wait(window)
    assert not window.notices.isVisible()
    assert len(_files(tmp_path / "snaps")) == 3


def test_without_an_image_there_is_none(open_window, tmp_path):
    window, _ = open_window(snapshot_folder=tmp_path / "snaps")
    QTest.mouseClick(window.acquisition.snapshot, Qt.MouseButton.LeftButton)
    assert window.notices.label.text() == "no snapshot: there is no image on the screen yet"
    assert not (tmp_path / "snaps").exists()


def test_closing_waits_for_the_files(running, tmp_path):
    window, _ = running
    QTest.mouseClick(window.acquisition.snapshot, Qt.MouseButton.LeftButton)
    window.close_now()
    assert len(_files(tmp_path / "snaps")) == 3
    assert [t for t in threading.enumerate() if t.name == "snapshot"] == []


def test_a_late_result_carries_the_number_of_its_own_frame(make_frame, make_restored, tmp_path):
    older, newest = make_frame(number=5), make_frame(number=7)
    snapshot = one(newest, make_restored(older), lambda: b"png")
    names = [path.name for path in write_snapshot(snapshot, tmp_path)]
    assert names[1] == f"{STEM}_denoise_of_frame000005.ome.tif"


def test_a_strange_engine_name_makes_no_strange_path(make_frame, make_restored, tmp_path):
    raw = make_frame(number=7)
    snapshot = one(raw, make_restored(raw, engine="../a b"), lambda: b"png")
    assert {path.parent for path in write_snapshot(snapshot, tmp_path)} == {tmp_path}


def test_a_picture_that_fails_leaves_the_images(make_frame, tmp_path):
    def no_picture():
        raise Failure("no memory")

    with pytest.raises(Failure, match="no memory"):
        write_snapshot(one(make_frame(number=7), None, no_picture), tmp_path)
    assert _files(tmp_path) == [f"{STEM}_raw.ome.tif"]


def test_the_writer_tells_what_went_wrong(make_frame, tmp_path):
    writer = SnapshotWriter()

    def no_picture():
        raise UserError("refused")

    writer.take(one(make_frame(), None, no_picture), tmp_path)
    writer.close()
    assert writer.done() == [(False, "no snapshot: refused")]
    assert writer.done() == []


def test_the_folder_is_that_of_the_recording(make_status, tmp_path, monkeypatch):
    monkeypatch.delenv("LIVERESTORE_HOME")
    monkeypatch.setattr("platformdirs.user_documents_path", lambda: tmp_path / "Documents")
    recording = str(tmp_path / "raw.ome.zarr")
    documents = tmp_path / "Documents" / "liverestore" / "snapshots"
    assert snapshot_folder(make_status(recording=recording)) == tmp_path
    assert snapshot_folder(make_status(recording=None)) == documents
    assert snapshot_folder(make_status(recording="/elsewhere/on/another/machine.tif")) == documents
    assert snapshot_folder(None) == documents


def test_a_snapshot_of_a_composite_keeps_every_ticked_channel(
    open_window, make_frame, make_restored, tmp_path
):
    rig = [ChannelConfig(name=name) for name in ("DAPI", "GFP/low", "Cy5")]
    window, feed = open_window(
        channels=looks_of(rig), engines=("denoise",), snapshot_folder=tmp_path
    )
    pairs = {}
    rng = np.random.default_rng(5)
    for number, channel in enumerate(("DAPI", "GFP/low", "Cy5"), start=7):
        raw = make_frame(rng.integers(90, 900, (48, 64)).astype(np.uint16), number, channel=channel)
        made = None if channel == "Cy5" else make_restored(raw, raw.pixels // 2)
        pairs[channel] = ShownPair(raw, made)
        feed.offer(pairs[channel])
        window.tick()
    window.channels.bar.composite.click()
    window.channels.bar.channels["GFP/low"].tick.click()
    for expected in (("DAPI", "Cy5"), ("DAPI", "GFP/low", "Cy5")):
        for path in tmp_path.iterdir():
            path.unlink()
        QTest.mouseClick(window.acquisition.snapshot, Qt.MouseButton.LeftButton)
        _wait(window)
        assert f"raw and restored of {len(expected)} channels" in window.toast.text()
        found = {}
        for path in tmp_path.glob("*.ome.tif"):
            with open_movie(path) as movie:
                made = movie.record(0).provenance is not None
                found[movie.header(0).channel, made] = np.array(movie[0])
        wanted = {
            (channel, made): image.pixels
            for channel in expected
            for made, image in enumerate((pairs[channel].raw, pairs[channel].restored))
            if image is not None
        }
        assert found.keys() == wanted.keys()
        for key, pixels in wanted.items():
            np.testing.assert_array_equal(found[key], pixels)
        picture = QImage(str(tmp_path / f"{STEM}_view.png"))
        assert picture == window.deck.grab().toImage().convertToFormat(picture.format())
        window.channels.bar.channels["GFP/low"].tick.click()
    assert f"{STEM.replace('07', '08')}_GFP-low_raw.ome.tif" in _files(tmp_path)


def _refuse(*_, **__):
    raise OSError(28, "No space left on device")


def _refuse_at_the_end(sink, close=OmeSink.close):
    close(sink)
    _refuse()


@pytest.mark.parametrize(
    "fails",
    [
        "liverestore.writer.tiff_pages.TiffPages.write",
        "liverestore.view.snapshot.OmeSink.append",
        "liverestore.view.snapshot.OmeSink.close",
        "liverestore.view.snapshot.free_name",
    ],
)
def test_a_disk_that_refuses_is_told_and_leaves_no_part_of_a_file(
    running, tmp_path, monkeypatch, fails
):
    window, _ = running
    with monkeypatch.context() as patch:
        patch.setattr(fails, _refuse_at_the_end if fails.endswith("close") else _refuse)
        QTest.mouseClick(window.acquisition.snapshot, Qt.MouseButton.LeftButton)
        _wait(window)
    text = window.notices.label.text()
    assert text.startswith("no snapshot: ")
    assert "the disk is full" in text
    assert "take the snapshot again" in text
    assert "recording" not in text
    # Where only the picture was refused, the images are whole.
    images = [f"{STEM}_denoise.ome.tif", f"{STEM}_raw.ome.tif"]
    assert _files(tmp_path / "snaps") == (images if fails.endswith("free_name") else [])
