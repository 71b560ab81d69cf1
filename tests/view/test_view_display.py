import numpy as np
import pytest

from liverestore.rig import CameraConfig
from liverestore.view.display import photoelectrons, readout, resolve
from liverestore.view.pairing import EngineSign, Shown
from liverestore.view.status_cells import Measured, Tone, cells

MS_NS = 1_000_000


def _resolve(shown, status, measured=None, *, now_ns=0, notices=()):
    numbers = cells(status, measured or Measured(), shown, now_ns)
    return resolve(shown, status, numbers, levels=(0.0, 1.0), lut="grey", notices=notices)


def _cells(state):
    return {cell.name: cell for cell in state.cells}


NOTHING = Shown(None, None, EngineSign.WAITING)


def test_empty_panes_say_what_they_wait_for(make_status):
    state = _resolve(NOTHING, None)
    assert state.raw.image is None
    assert state.raw.waiting == "waiting for the first frame"
    assert state.restored.waiting == "waiting for the first restored frame"
    assert state.run_text == "connecting"
    state = _resolve(NOTHING, make_status(state="starting"))
    assert state.raw.waiting == "waiting for the first frame of demo"
    assert state.restored.waiting == "waiting for the first restored frame of denoise"
    state = _resolve(NOTHING, make_status(state="failed"))
    assert state.raw.waiting == "the run has failed; no frame arrived"
    assert state.run_tone is Tone.ALARM


def test_nothing_unknown_is_shown_as_a_number(make_frame):
    state = _resolve(Shown(make_frame(), None, EngineSign.WAITING), None)
    shown_cells = _cells(state)
    for name in ("CAPTURE", "RESTORE", "VIEW", "LOST", "DROPPED", "WRITTEN", "RUNTIME"):
        assert shown_cells[name].value == "\u2013", name


def test_the_status_line(make_frame, make_restored, make_status):
    source = make_frame(number=12345)
    shown = Shown(source, make_restored(source), EngineSign.ANSWERING)
    status = make_status(
        captured=20_000,
        lost=0,
        written=19_999,
        dropped=1200,
        capture_fps=99.8,
        restore_fps=45.25,
        disk_left_s=12_000.0,
        runtime_reason="no GPU",
    )
    now_ns = source.header.captured_ns + 37 * MS_NS
    shown_cells = _cells(_resolve(shown, status, Measured(44.9, 0.0), now_ns=now_ns))
    assert {name: cell.value for name, cell in shown_cells.items()} == {
        "CAPTURE": "100 fps",
        "RESTORE": "45.2 fps",
        "VIEW": "44.9 fps",
        "AGE": "37 ms",
        "LOST": "0",
        "DROPPED": "1\u202f200",
        "SATURATED": "0.00 %",
        "WRITTEN": "19\u202f999 → run_0001.ome.zarr",
        "DISK": "3 h 20 min",
        "RUNTIME": "openvino CPU",
    }
    assert {cell.tone for cell in shown_cells.values()} == {Tone.NORMAL}
    assert shown_cells["WRITTEN"].detail == "/data/run_0001.ome.zarr"
    assert shown_cells["RUNTIME"].detail == "openvino CPU\nno GPU"


def test_what_is_wrong_is_coloured(make_frame, make_status):
    shown = Shown(make_frame(), None, EngineSign.WAITING)
    shown_cells = _cells(
        _resolve(
            shown,
            make_status(lost=3, recording=None),
            Measured(None, 0.00001),
            now_ns=shown.raw.header.captured_ns + 5000 * MS_NS,
        )
    )
    assert shown_cells["LOST"].tone is Tone.ALARM
    assert shown_cells["SATURATED"].tone is Tone.ALARM
    assert shown_cells["SATURATED"].value == "< 0.01 %", "a saturated pixel never rounds to zero"
    assert shown_cells["WRITTEN"].value == "not saved"
    assert shown_cells["WRITTEN"].tone is Tone.WARN
    assert shown_cells["AGE"].tone is Tone.WARN


def test_a_windows_path_is_shortened_too(make_status):
    status = make_status(recording="D:\\data\\run_7.ome.tif", written=7)
    assert _cells(_resolve(NOTHING, status))["WRITTEN"].value == "7 → run_7.ome.tif"


def test_captions_name_what_made_each_image(make_frame, make_restored, make_status):
    source = make_frame(number=1234, channel="GFP", bit_depth=12)
    restored = make_restored(source, warnings=("too dim for this network",))
    state = _resolve(Shown(source, restored, EngineSign.ANSWERING), make_status())
    assert state.raw.caption == "Camera · GFP · 10 ms · z 1.50 µm"
    assert state.raw.frame_label == "frame 1\u202f234"
    assert state.raw.details == "96 x 64 uint16, 12 bit, 0.1 µm per pixel"
    assert (state.restored.title, state.restored.caption) == ("denoise 1.0", "openvino CPU")
    assert state.restored.details == "made in 20 ms"
    assert state.restored.cautions == ("too dim for this network",)
    assert state.restored.banner == ""


@pytest.mark.parametrize(
    ("recording", "said"),
    [("/data/x.ome.zarr", "frames are still recorded"), (None, "nothing is being saved")],
)
def test_a_silent_engine_is_said_and_its_image_greyed(
    make_frame, make_restored, make_status, recording, said
):
    source = make_frame(number=5)
    shown = Shown(make_frame(number=99), make_restored(source), EngineSign.SILENT)
    pane = _resolve(shown, make_status(recording=recording)).restored
    assert pane.banner == f"engine not answering - raw only, {said}\nlast result: frame 5"
    assert pane.dimmed
    assert pane.image is shown.restored, "the last result is not hidden"
    ended = _resolve(shown, make_status(state="stopped")).restored
    assert (ended.banner, ended.dimmed) == ("", False)


def test_an_engine_that_is_behind_says_how_far(make_frame, make_restored, make_status):
    source = make_frame(number=5, captured_ns=1_000 * MS_NS)
    newest = make_frame(number=9, captured_ns=3_500 * MS_NS)
    pane = _resolve(Shown(newest, make_restored(source), EngineSign.BEHIND), make_status()).restored
    assert pane.banner == "this image is 2500 ms older than the raw one"
    assert not pane.dimmed


def test_notices_of_the_run_come_first(make_status):
    state = _resolve(NOTHING, make_status(notices=("disk is filling",)), notices=("link lost",))
    assert state.notices == ("disk is filling", "link lost")


def test_photoelectrons_need_offset_and_gain():
    full = CameraConfig(offset_counts=100.0, gain_e_per_count=0.5)
    assert photoelectrons(300.0, full) == 100.0
    assert photoelectrons(300.0, CameraConfig(gain_e_per_count=0.5)) is None
    assert photoelectrons(300.0, None) is None


def test_the_readout(make_frame):
    frame = make_frame(np.array([[1, 2], [3, 400]], np.uint16))
    camera = CameraConfig(offset_counts=100.0, gain_e_per_count=0.5)
    assert readout(frame, 1, 1, None) == "x 1  y 1    400 counts"
    assert readout(frame, 1, 1, camera) == "x 1  y 1    400 counts    150.0 e⁻"
    assert readout(make_frame(np.full((2, 2), 1.25, np.float32)), 0, 0, None).endswith(
        "1.25 counts"
    )
    for x, y in ((-1, 0), (0, -1), (2, 0), (0, 2)):
        assert readout(frame, x, y, camera) == ""
    assert readout(None, 0, 0, camera) == ""
