"""Parts of the restore command that need no engine."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from liverestore.cli.camera_choice import choose_camera
from liverestore.cli.output_file import as_dtype, check_output, frame_of, open_output, replace_old
from liverestore.errors import UserError
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.model_spec import BUILT_IN, ModelSpec
from liverestore.movie import open_movie
from liverestore.writer.ome import OmeSink

NETWORK = ModelSpec(name="net", task="denoise", version="1", description="")
GAIN, OFFSET, READ_NOISE = 0.5, 100.0, 1.5


def noisy(rng, electrons, count):
    light = rng.poisson(electrons, (count, *electrons.shape))
    counts = (light + rng.normal(0, READ_NOISE, light.shape)) / GAIN + OFFSET
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)


@pytest.fixture
def electrons():
    y, x = np.mgrid[:128, :128]
    return 60 * (1 + np.sin(x / 13) * np.cos(y / 17)) ** 2 + 3


def save(path, stack, axes=None):
    if axes is None:
        tifffile.imwrite(path, stack, photometric="minisblack", metadata=None)
    else:
        tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": axes})
    return path


def test_camera_from_successive_frames(tmp_path, electrons):
    stack = noisy(np.random.default_rng(0), electrons, 12)
    with open_movie(save(tmp_path / "a.ome.tif", stack, "TYX")) as movie:
        model, text = choose_camera(movie, None, NETWORK)
    assert model.gain_e_per_count == pytest.approx(GAIN, rel=0.1)
    assert "estimated from 12 frames" in text


def test_camera_from_a_z_stack_is_not_fooled_by_structure(tmp_path, electrons):
    rng = np.random.default_rng(0)
    planes = [noisy(rng, np.roll(electrons, 9 * n, axis=1), 1)[0] for n in range(8)]
    for name, axes in (("a.ome.tif", "ZYX"), ("b.tif", None)):
        with open_movie(save(tmp_path / name, np.stack(planes), axes)) as movie:
            model, text = choose_camera(movie, None, NETWORK)
        assert model.gain_e_per_count == pytest.approx(GAIN, rel=0.3)
        assert "from one" in text


def test_camera_from_a_rig(tmp_path, electrons):
    stack = noisy(np.random.default_rng(0), electrons, 4)
    source = save(tmp_path / "a.tif", stack)
    rig = tmp_path / "mine.toml"
    head = f'name = "mine"\n[source]\nkind = "replay"\npath = "{source.name}"\n[camera]\n'
    rig.write_text(head + "offset_counts = 100.0\ngain_e_per_count = 0.46\nread_noise_e = 1.6\n")
    with open_movie(source) as movie:
        model, text = choose_camera(movie, str(rig), NETWORK)
        numbers = (model.offset_counts, model.gain_e_per_count, model.read_noise_e)
        assert numbers == (100.0, 0.46, 1.6)
        assert text.endswith("(rig mine)")
        rig.write_text(head + "offset_counts = 90.0\n")
        model, text = choose_camera(movie, str(rig), NETWORK)
        assert model.offset_counts == 90.0
        assert "the rig has no gain_e_per_count, read_noise_e" in text
        with pytest.raises(UserError, match="nowhere"):
            choose_camera(movie, "nowhere", NETWORK)


def test_filters_need_no_camera(tmp_path):
    with open_movie(save(tmp_path / "a.tif", np.zeros((2, 4, 4), np.uint16))) as movie:
        _, text = choose_camera(movie, None, BUILT_IN["mean5"])
    assert text.startswith("not needed")


def test_in_is_never_overwritten(tmp_path):
    source = save(tmp_path / "a.tif", np.zeros((2, 4, 4), np.uint16))
    for out in (source, Path(str(tmp_path) + "/./a.tif"), source / "b.tif"):
        with pytest.raises(UserError, match="the same or lie in each other"):
            check_output(source, out, force=True)


def test_out_that_exists_needs_force(tmp_path):
    source = save(tmp_path / "a.tif", np.zeros((2, 4, 4), np.uint16))
    out = save(tmp_path / "b.tif", np.ones((4, 4), np.uint16))
    with pytest.raises(UserError, match="exists already"):
        check_output(source, out, force=False)
    check_output(source, out, force=True)
    folder = tmp_path / "c.ome.zarr"
    folder.mkdir()
    (folder / "thesis.tex").touch()
    with pytest.raises(UserError, match="no OME-Zarr"):
        check_output(source, folder, force=True)
    with pytest.raises(UserError, match=r"\.png"):
        check_output(source, tmp_path / "d.png", force=False)


@pytest.mark.parametrize("extension", [".tif", ".ome.tif", ".ome.zarr"])
def test_output_is_like_the_movie(tmp_path, extension):
    data = np.arange(2 * 3 * 2 * 4 * 4, dtype=np.uint16).reshape(2, 3, 2, 4, 4)
    source = tmp_path / "a.tif"
    tifffile.imwrite(
        source,
        data,
        imagej=True,
        resolution=(10, 10),
        metadata={"axes": "TZCYX", "unit": "um", "spacing": 0.5, "finterval": 2.0},
    )
    out = tmp_path / f"b{extension}"
    with open_movie(source) as movie:
        sink, order = open_output(movie, out, force=False)
        for index in order:
            sink.append(frame_of(movie, int(index), "uint16"))
        sink.close()
    with open_movie(out) as result:
        expected = data.transpose(0, 2, 1, 3, 4) if extension == ".ome.zarr" else data
        assert result.axes == ("TCZYX" if extension == ".ome.zarr" else "TZCYX")
        assert result.leading_shape == expected.shape[:3]
        stack = np.stack(list(result)).reshape(expected.shape)
        np.testing.assert_array_equal(stack, expected)
        assert result.pixel_size_um == pytest.approx(0.1)
        assert result.z_step_um == pytest.approx(0.5)
        assert result.interval_ms == pytest.approx(2000)


def test_force_replaces(tmp_path):
    source = save(tmp_path / "a.tif", np.zeros((2, 4, 4), np.uint16))
    for out in (tmp_path / "b.tif", tmp_path / "b.ome.zarr"):
        for _ in range(2):
            with open_movie(source) as movie:
                sink, order = open_output(movie, out, force=True)
                for index in order:
                    sink.append(frame_of(movie, int(index), "uint16"))
                # the old file stays until the new one is finished
                new = sink.close().path
                assert replace_old(new, out) == out
        with open_movie(out) as movie:
            assert len(movie) == 2
        assert [p.name for p in tmp_path.glob("b*") if "_" in p.name] == []


def test_frames_of_a_recording_keep_their_headers(tmp_path):
    header = FrameHeader(
        run_id="r", number=41, shape=(4, 4), dtype="uint16", captured_ns=7,
        captured_utc="2026-11-22T20:00:00+00:00", camera="c", exposure_ms=3.0,
    )  # fmt: skip
    sink = OmeSink(tmp_path / "a.ome.tif")
    sink.append(Frame(np.zeros((4, 4), np.uint16), header))
    sink.close()
    with open_movie(tmp_path / "a.ome.tif") as movie:
        assert frame_of(movie, 0, "uint16").header == header
        wide = frame_of(movie, 0, "float32")
        assert wide.pixels.dtype == np.float32
        assert (wide.header.number, wide.header.dtype) == (41, "float32")
        # A narrower dtype comes after restoring, not before.
        assert frame_of(movie, 0, "uint8").pixels.dtype == np.uint16


def test_frames_of_other_programs_have_no_date(tmp_path):
    source = save(tmp_path / "a.tif", np.zeros((2, 4, 4), np.uint16))
    with open_movie(source) as movie:
        header = frame_of(movie, 1, "uint16").header
    assert (header.number, header.captured_utc, header.exposure_ms) == (1, "", None)


@pytest.mark.parametrize(
    ("stored", "wanted", "values", "expected", "clipped"),
    [
        ("float32", "uint16", [-2.0, 1.4, 70000.0], [0, 1, 65535], 2),
        ("float32", "uint8", [-0.4, 255.4, 256.0], [0, 255, 255], 1),
        ("uint16", "uint8", [1, 255, 256], [1, 255, 255], 1),
        ("uint16", "float32", [1, 255, 256], [1, 255, 256], 0),
        ("uint16", "uint16", [1, 255, 256], [1, 255, 256], 0),
    ],
)
def test_conversion_rounds_clips_and_counts(stored, wanted, values, expected, clipped):
    pixels = np.array([values], dtype=stored)
    header = FrameHeader(
        run_id="r", number=0, shape=(1, 3), dtype=stored, captured_ns=0, captured_utc="", camera=""
    )
    made_by = Provenance(
        engine="e", version="1", sha256="", runtime="r", parameters={}, started_ns=0, finished_ns=0
    )
    result, count = as_dtype(Restored(pixels, Frame(pixels, header), made_by), wanted)
    assert result.pixels.dtype == wanted
    np.testing.assert_array_equal(result.pixels, [expected])
    assert count == clipped
