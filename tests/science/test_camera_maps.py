"""Fixed pattern in the camera model, and its file."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from liverestore.camera_maps import CameraMaps, load_maps, save_maps
from liverestore.camera_model import CameraModel
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import BUILT_IN
from liverestore.restore import restore

CHIP = (48, 64)
RNG = np.random.default_rng(1)
OFFSETS = (3 * RNG.standard_normal(CHIP)).astype(np.float32)
GAINS = (1 + 0.05 * RNG.standard_normal(CHIP)).astype(np.float32)
PLAIN = CameraModel(100.0, 0.5, 1.6)
MODEL = replace(PLAIN, maps=CameraMaps(OFFSETS, GAINS))


def header(shape=CHIP, **fields):
    return FrameHeader(
        run_id="r",
        number=0,
        shape=shape,
        dtype="uint16",
        captured_ns=0,
        captured_utc="",
        camera="c",
        **fields,
    )


def test_what_the_maps_describe_is_taken_out_and_stays_out():
    light_e = 40.0
    counts = (light_e * GAINS / 0.5 + 100 + OFFSETS).astype(np.float32)
    np.testing.assert_allclose(MODEL.to_electrons(counts), light_e, rtol=1e-5)
    stabilised = MODEL.stabilise(counts)
    np.testing.assert_allclose(stabilised, 2 * math.sqrt(light_e + 0.375 + 1.6**2), rtol=1e-5)
    # Counts of a camera whose pixels are alike: the mean of the chip, without its pattern.
    np.testing.assert_allclose(MODEL.to_counts(MODEL.to_electrons(counts)), 180, rtol=1e-5)
    back = MODEL.unstabilise(stabilised)
    np.testing.assert_array_equal(back, PLAIN.unstabilise(stabilised))
    assert back.mean() == pytest.approx(counts.mean(), abs=1.5)


def test_integers_and_floats_give_the_same_with_maps():
    counts = RNG.integers(90, 4000, CHIP).astype(np.uint16)
    out = np.empty(CHIP, np.float32)
    assert MODEL.stabilise(counts, out) is out
    np.testing.assert_array_equal(out, MODEL.stabilise(counts.astype(np.float32)))
    stack = np.stack([counts, counts])
    np.testing.assert_array_equal(MODEL.stabilise(stack)[1], out)


def test_maps_of_an_even_chip_change_nothing():
    even = replace(PLAIN, maps=CameraMaps(np.zeros(CHIP, np.float32)))
    counts = RNG.integers(90, 4000, CHIP).astype(np.uint16)
    np.testing.assert_array_equal(even.stabilise(counts), PLAIN.stabilise(counts))


def test_the_elementwise_form_is_what_a_graph_needs():
    counts = RNG.integers(90, 4000, CHIP).astype(np.uint16)
    for model in (PLAIN, MODEL):
        offset, scale, shift = model.elementwise()
        assert offset.dtype == scale.dtype == shift.dtype == np.float32
        z = 2 * np.sqrt(np.maximum((counts.astype(np.float32) - offset) * scale + shift, 0))
        np.testing.assert_array_equal(z, model.stabilise(counts))


def test_maps_are_cut_to_the_roi_once():
    part = MODEL.for_frame(header((10, 20), roi=(30, 5, 20, 10), binning=1))
    np.testing.assert_array_equal(part.maps.offset_counts, OFFSETS[5:15, 30:50])
    np.testing.assert_array_equal(part.maps.relative_gain, GAINS[5:15, 30:50])
    again = MODEL.for_frame(header((10, 20), roi=(30, 5, 20, 10)))
    assert again.maps is part.maps
    assert MODEL.for_frame(header()) is MODEL
    assert MODEL.for_frame(header(roi=(0, 0, 64, 48))) is MODEL
    assert PLAIN.for_frame(header((10, 20))) is PLAIN
    assert MODEL.without_maps() == PLAIN


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (header((10, 20)), "10x20 with no stated ROI, the maps of the rig are 48x64"),
        (header((10, 20), roi=(50, 5, 20, 10)), r"ROI \(50, 5, 20, 10\)"),
        (header((10, 20), roi=(30, 5, 20, 12)), "ROI"),
        (header((10, 20), roi=(-1, 5, 20, 10)), "ROI"),
        (header((24, 32), binning=2), "binning 2.*for binning 1"),
    ],
)
def test_frames_that_are_not_of_this_chip_are_refused(frame, message):
    with pytest.raises(UserError, match=message):
        MODEL.for_frame(frame)


def test_pixels_of_another_size_are_refused():
    with pytest.raises(UserError, match="for_frame"):
        MODEL.stabilise(np.zeros((5, 5), np.uint16))
    with pytest.raises(UserError, match="without_maps"):
        MODEL.to_electrons(np.zeros((48, 65), np.uint16))


def test_restoring_uses_the_part_of_the_maps_that_the_frame_shows():
    spec = replace(BUILT_IN["mean5"], domain="stabilised")
    roi = (16, 8, 32, 32)
    light = np.full((32, 32), 80.0)
    counts = np.rint(light * GAINS[8:40, 16:48] / 0.5 + 100 + OFFSETS[8:40, 16:48])
    frame = Frame(counts.astype(np.uint16), header((32, 32), roi=roi, binning=1))
    plain = restore(frame, spec, lambda x: x, PLAIN).pixels.astype(float)
    done = restore(frame, spec, lambda x: x, MODEL)
    assert done.pixels.std() < 0.1 * plain.std()
    assert done.pixels.mean() == pytest.approx(260, abs=1)
    assert done.provenance.parameters["camera_maps"] == "given"
    with pytest.raises(UserError, match="no stated ROI"):
        restore(Frame(frame.pixels, header((32, 32))), spec, lambda x: x, MODEL)


def test_records_name_the_file_and_leave_out_what_is_unknown(tmp_path):
    assert set(PLAIN.numbers()) == {
        "offset_counts", "gain_e_per_count", "read_noise_e", "camera_model_origin",
    }  # fmt: skip
    save_maps(tmp_path / "chip.tif", MODEL.maps)
    full = CameraModel(100.0, 0.5, 1.6, "calibration", 0.25, 1.75, load_maps(tmp_path / "chip.tif"))
    numbers = full.numbers()
    assert numbers["row_noise_e"] == 0.25
    assert numbers["fixed_pattern_counts"] == 1.75
    assert numbers["camera_maps"].startswith("chip.tif sha256 ")


@pytest.mark.parametrize("gain", [GAINS, None])
def test_a_file_gives_back_what_was_written(tmp_path, gain):
    file = tmp_path / "maps.tif"
    save_maps(file, CameraMaps(OFFSETS, gain, 2))
    save_maps(file, CameraMaps(OFFSETS + 1, gain, 2))
    found = load_maps(file)
    np.testing.assert_array_equal(found.offset_counts, OFFSETS + 1)
    assert found.binning == 2
    if gain is None:
        assert found.relative_gain is None
    else:
        np.testing.assert_array_equal(found.relative_gain, gain)
    assert [path.name for path in tmp_path.iterdir()] == ["maps.tif"]
    assert tifffile.imread(file).shape[-2:] == CHIP


def test_files_that_are_no_maps_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read.*calibrate"):
        load_maps(tmp_path / "nowhere.tif")
    for name, content in (("text.tif", b"hello"), ("empty.tif", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="not a file of camera maps"):
            load_maps(tmp_path / name)
    tifffile.imwrite(tmp_path / "other.tif", OFFSETS)
    with pytest.raises(UserError, match="not a file of camera maps"):
        load_maps(tmp_path / "other.tif")
    save_maps(tmp_path / "cut.tif", MODEL.maps)
    whole = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(UserError, match="not a file of camera maps"):
        load_maps(tmp_path / "cut.tif")


def test_names_and_folders_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match=r"end in \.tif"):
        save_maps(tmp_path / "maps.npz", MODEL.maps)
    with pytest.raises(Failure, match="cannot be written"):
        save_maps(tmp_path / "missing" / "maps.tif", MODEL.maps)


@pytest.mark.parametrize(
    ("offsets", "gains", "message"),
    [
        (OFFSETS[:5], GAINS, "of one size"),
        (OFFSETS[0], None, "of one size"),
        (OFFSETS + np.nan, None, "NaN"),
        (OFFSETS, GAINS - 1, "above 0"),
    ],
)
def test_impossible_maps_are_refused(offsets, gains, message):
    with pytest.raises(UserError, match=message):
        CameraMaps(offsets, gains)
