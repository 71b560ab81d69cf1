"""A frame to a surface and to a stack, through an engine whose answer is known by hand."""

import dataclasses

import numpy as np
import pytest

from liverestore import restore as restore_module
from liverestore.camera_model import CameraModel
from liverestore.dpm import Dpm, parse_dpm
from liverestore.errors import Failure, UserError
from liverestore.microscopes import defocus_waves_per_um
from liverestore.model_spec import BUILT_IN, ModelSpec, find_engine
from liverestore.optics import Optics, widefield_psf
from liverestore.refocus import parse_zstack, tells_sign
from liverestore.restore import restore, restore_planes
from liverestore.runtime.table import open_runtime

CAMERA = CameraModel(100.0, 0.5, 1.5)
SPEC = ModelSpec(
    "bend", "refocus", "1", "", divisor=16, halo_px=16, reach_um=10.0,
    pixel_size_range_um=(0.28, 0.36),
)  # fmt: skip


def bend(batch):
    """Picture + 0.1 x waves."""
    return batch[:, :1] + np.float32(0.1) * batch[:, 1:]


@pytest.fixture
def frame(frame_of_pixels):
    rng = np.random.default_rng(0)
    counts = rng.poisson(40, (45, 70)) / 0.5 + 100
    return frame_of_pixels(counts.astype(np.float32), pixel_size_um=0.325)


def expected(frame, waves):
    return CAMERA.unstabilise(CAMERA.stabilise(frame.pixels) + np.float32(0.1) * waves)


def test_the_network_gets_the_picture_and_the_waves(frame, air):
    seen = []

    def infer(batch):
        seen.append(batch.copy())
        return bend(batch)

    out = restore(frame, SPEC, infer, CAMERA, parse_dpm("plane:1,0.05,-0.1"), optics=air)
    (batch,) = seen
    assert batch.shape == (1, 2, 48, 80)
    assert batch.dtype == np.float32
    surface = parse_dpm("plane:1,0.05,-0.1").surface_um((45, 70), 0.325)
    waves = surface * np.float32(defocus_waves_per_um(air))
    np.testing.assert_array_equal(batch[0, 0, :45, :70], CAMERA.stabilise(frame.pixels))
    np.testing.assert_allclose(batch[0, 1, :45, :70], waves, rtol=1e-6)
    # Both channels are mirrored alike.
    for channel in batch[0]:
        np.testing.assert_array_equal(channel[45:48, :70], channel[41:44, :70][::-1])
        np.testing.assert_array_equal(channel[:45, 70:80], channel[:45, 59:69][:, ::-1])
    np.testing.assert_allclose(out.pixels, expected(frame, waves), rtol=1e-6)


@pytest.mark.parametrize("z_um", [0.0, 2.5, -2.5])
def test_a_number_an_array_and_a_dpm_mean_the_same(frame, air, z_um):
    array = np.full((45, 70), z_um, np.float32)
    ways = [z_um, np.float64(z_um), array, Dpm.uniform(z_um), Dpm.plane(z_um, 0, 0)]
    pictures = [restore(frame, SPEC, bend, CAMERA, way, optics=air).pixels for way in ways]
    for picture in pictures[1:]:
        np.testing.assert_allclose(picture, pictures[0], rtol=1e-6)
    waves = np.float32(z_um * defocus_waves_per_um(air))
    np.testing.assert_allclose(pictures[0], expected(frame, waves), rtol=1e-6)


def test_a_real_engine_package(make_package, frame, air):
    make_package()
    spec = find_engine("bend")
    assert (spec.refocuses, spec.channels, spec.reach_um) == (True, 2, 10.0)
    assert spec.optics.ranges()["immersion_index"] == (1.0, 1.0)
    runtime = open_runtime(spec, threads=1)
    runtime.warm_up((45, 70))
    made = restore(frame, spec, runtime.infer, CAMERA, 3.0, optics=air, runtime="here")
    waves = np.float32(3 * defocus_waves_per_um(air))
    np.testing.assert_allclose(made.pixels, expected(frame, waves), rtol=1e-5)
    assert made.provenance.warnings == ()
    planes = restore_planes(frame, spec, runtime.infer, CAMERA, (-1, 0, 1), optics=air)
    one_by_one = [restore(frame, spec, runtime.infer, CAMERA, z, optics=air) for z in (-1, 0, 1)]
    for together, alone in zip(planes, one_by_one, strict=True):
        np.testing.assert_allclose(together.pixels, alone.pixels, rtol=1e-5)
    runtime.close()


def test_tiled_is_untiled(monkeypatch, frame_of_pixels, air):
    """With a network that looks two pixels around, in both channels."""

    def infer(batch):
        padded = np.pad(batch, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
        return bend(sum(padded[..., k : k + batch.shape[2], 2:-2] for k in range(5)) / 5)

    rng = np.random.default_rng(0)
    frame = frame_of_pixels(rng.poisson(40, (150, 170)).astype(np.float32), pixel_size_um=0.3)
    dpm = parse_dpm("sine:1,3,12,30")
    whole = restore(frame, SPEC, infer, CAMERA, dpm, optics=air)
    stack = list(restore_planes(frame, SPEC, infer, CAMERA, (-2, 3), optics=air))
    monkeypatch.setattr(restore_module, "_LARGEST_WHOLE_PX", 64 * 64)
    monkeypatch.setattr(restore_module, "_TILE_PX", 48)
    tiled = restore(frame, SPEC, infer, CAMERA, dpm, optics=air)
    np.testing.assert_allclose(tiled.pixels, whole.pixels, rtol=1e-6)
    assert tiled.provenance.parameters["tile_px"] == 48
    for a, b in zip(
        restore_planes(frame, SPEC, infer, CAMERA, (-2, 3), optics=air), stack, strict=True
    ):
        np.testing.assert_allclose(a.pixels, b.pixels, rtol=1e-6)


def test_planes_go_through_together_and_outlive_the_buffer(monkeypatch, frame, air):
    sizes, buffer = [], {}

    def infer(batch):
        sizes.append(len(batch))
        held = buffer.setdefault(batch.shape, np.empty_like(batch[:, :1]))
        np.copyto(held, bend(batch))
        return held

    monkeypatch.setattr(restore_module, "_BATCH_PX", 4 * 48 * 80)
    planes_um = [0.5 * k for k in range(-4, 5)]
    made = list(restore_planes(frame, SPEC, infer, CAMERA, planes_um, optics=air))
    assert sizes == [3, 3, 3]
    # Planes that went through together say the times of all of them (docs/files.md).
    times = [(plane.provenance.started_ns, plane.provenance.finished_ns) for plane in made]
    assert [times.count(both) for both in times] == [3] * 9
    for z_um, plane in zip(planes_um, made, strict=True):
        waves = np.float32(z_um * defocus_waves_per_um(air))
        np.testing.assert_allclose(plane.pixels, expected(frame, waves), rtol=1e-6)
        assert plane.provenance.parameters["virtual_z_um"] == z_um
        assert plane.source is frame


def test_integer_frames_stay_integer(frame_of_pixels, air):
    frame = frame_of_pixels(np.full((16, 16), 300, np.uint16), pixel_size_um=0.3)
    out = restore(frame, SPEC, bend, CAMERA, 4.0, optics=air)
    waves = np.float32(4 * defocus_waves_per_um(air))
    assert out.pixels.dtype == np.uint16
    np.testing.assert_array_equal(out.pixels, np.rint(expected(frame, waves)))


def test_beyond_the_reach_is_clipped_and_said(frame, air):
    out = restore(frame, SPEC, bend, CAMERA, Dpm.plane(0, 1.0, 0), optics=air)
    surface = Dpm.plane(0, 1.0, 0).surface_um((45, 70), 0.325)
    beyond = int((np.abs(surface) > 10).sum())
    assert 0 < beyond < surface.size
    waves = np.clip(surface, -10, 10) * np.float32(defocus_waves_per_um(air))
    np.testing.assert_allclose(out.pixels, expected(frame, waves), rtol=1e-6)
    (word,) = out.provenance.warnings
    assert word.startswith(f"{beyond:,} of 3,150 pixels")
    assert "-10 to 10 um" in word
    parameters = out.provenance.parameters
    assert parameters["dpm_clipped_px"] == beyond
    assert parameters["dpm_max_um"] == pytest.approx(34.5 * 0.325, abs=1e-3)
    everywhere = restore(frame, SPEC, bend, CAMERA, -12.0, optics=air).provenance
    assert everywhere.parameters["dpm_clipped_px"] == 3150
    assert everywhere.warnings[0].startswith("3,150 of 3,150")
    at_the_limit = restore(frame, SPEC, bend, CAMERA, -10.0, optics=air).provenance
    assert at_the_limit.warnings == ()


def test_provenance_names_the_surface_and_the_optics(frame, air):
    made = restore(frame, SPEC, bend, CAMERA, parse_dpm("2+plane:0,0.1,0"), optics=air).provenance
    found = made.parameters
    assert found["dpm"] == "2+plane:0,0.1,0"
    assert found["dpm_mean_um"] == pytest.approx(2, abs=1e-3)
    assert found["dpm_min_um"] == pytest.approx(2 - 34.5 * 0.0325, abs=1e-3)
    assert found["reach_um"] == 10.0
    assert found["waves_per_um"] == pytest.approx(defocus_waves_per_um(air), abs=1e-5)
    for name in ("numerical_aperture", "wavelength_nm", "immersion_index", "sample_index",
                 "depth_um"):  # fmt: skip
        assert found[name] == getattr(air, name)
    assert found["gain_e_per_count"] == 0.5
    assert "virtual_z_um" not in found
    mapped = restore(frame, SPEC, bend, CAMERA, np.ones((45, 70)), optics=air).provenance
    assert mapped.parameters["dpm"].startswith("array of 45x70")
    assert len(mapped.parameters["dpm_sha256"]) == 64
    bent = dataclasses.replace(air, zernike_waves=((5, 0.1),))
    made = restore(frame, SPEC, bend, CAMERA, 1.0, optics=bent).provenance
    assert made.parameters["zernike_waves"] == "5: 0.1"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"numerical_aperture": 0.5}, "a numerical aperture of 0.5: engine 'bend' was trained"),
        ({"wavelength_nm": 700.0}, "a wavelength of 700 nm: engine 'bend' was trained for 500 to"),
        ({"immersion_index": 1.33}, "an immersion of index 1.33: engine 'bend' was trained for 1"),
        ({"sample_index": 1.5}, "a sample of index 1.5: engine 'bend' was trained for 1.33 to 1.4"),
        ({"depth_um": 50.0}, "a depth of 50 um: engine 'bend' was trained for 5 to 40 um"),
    ],
)
def test_optics_outside_of_the_card_are_said_field_by_field(make_package, frame, air, change, says):
    make_package()
    spec = find_engine("bend")
    optics = dataclasses.replace(air, **change)
    words = restore(frame, spec, bend, CAMERA, 1.0, optics=optics).provenance.warnings
    assert sum(word.startswith(says) for word in words) == 1
    assert sum("was trained for" in word for word in words) == 1


def test_pixel_sizes_are_compared(frame_of_pixels, air):
    pixels = np.full((16, 16), 300, np.uint16)
    fine = dataclasses.replace(air, pixel_size_um=0.1)

    def words(optics, **known):
        frame = frame_of_pixels(pixels, **known)
        return restore(frame, SPEC, bend, CAMERA, 1.0, optics=optics).provenance.warnings

    assert words(air) == ()
    assert words(air, pixel_size_um=0.33) == ()
    (word,) = words(fine)
    assert word.startswith("pixels of 0.1 um: engine")
    (word,) = words(air, pixel_size_um=0.29)
    assert "where the rig says 0.325 um" in word
    # Without a pixel size of its own the frame is placed with that of the rig.
    frame = frame_of_pixels(pixels)
    out = restore(frame, SPEC, bend, CAMERA, Dpm.plane(0, 1, 0), optics=air).provenance
    assert out.parameters["dpm_max_um"] == pytest.approx(7.5 * 0.325)


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({}, True),
        ({"depth_um": 0.0}, False),
        ({"depth_um": 0.5}, False),
        ({"immersion_index": 1.35}, False),
        ({"depth_um": 0.0, "zernike_waves": ((5, 0.1),)}, True),
        ({"depth_um": 0.0, "zernike_waves": ((11, -0.1),)}, True),
        # Defocus only shifts the focus; coma turns the picture over with the sign.
        ({"depth_um": 0.0, "zernike_waves": ((4, 0.3), (7, 0.3), (8, 0.3))}, False),
    ],
)
def test_optics_without_a_sign_of_z_are_said(frame, air, change, known):
    optics = dataclasses.replace(air, **change)
    assert tells_sign(optics) is known
    made = restore(frame, SPEC, bend, CAMERA, 1.0, optics=optics).provenance
    words = made.warnings
    assert any("+z and -z cannot be told apart" in word for word in words) is not known
    assert (made.parameters["sign_error"] < 0.5) is known


def test_distances_whose_side_is_not_told_are_said_once_for_a_stack(frame, air):
    shallow = dataclasses.replace(air, depth_um=1.0)
    planes = [
        restore(frame, SPEC, bend, CAMERA, z, optics=shallow).provenance for z in (-4.0, 3.0, 6.0)
    ]
    doubts = {w for plane in planes for w in plane.warnings if "+z and -z look alike" in w}
    assert len(doubts) == 1
    assert all(0.1 < plane.parameters["sign_error"] < 0.5 for plane in planes)
    (deep,) = [restore(frame, SPEC, bend, CAMERA, 3.0, optics=air).provenance]
    assert not any("look alike" in word for word in deep.warnings)
    assert deep.parameters["sign_error"] < 0.05


@pytest.mark.parametrize(
    ("terms", "alike"), [((), True), (((7, 0.2),), True), (((5, 0.2),), False)]
)
def test_the_psf_agrees_on_what_hides_the_sign(terms, alike):
    """Ideal, with coma, with astigmatism."""
    optics = Optics(0.8, 550.0, 1.33, 1.33, 0.3, zernike_waves=terms)
    above, below = widefield_psf(optics, [-3.0, 3.0], 41)
    difference = np.abs(above - below).max() / above.max()
    assert difference < 1e-3 if alike else difference > 0.1
    assert tells_sign(optics) is not alike


@pytest.mark.parametrize(
    ("text", "period_px"),
    [
        ("sine:0,3,15", 50),
        ("sine:2,-3,15,45+plane:0,0.2,-0.1", 50),
        ("sine:0,3,45", None),
        ("sine:0,0.4,3", None),
        ("plane:0,2,2", None),
        ("sphere:0,60", None),
    ],
)
def test_surfaces_that_change_fast_are_said(frame_of_pixels, air, text, period_px):
    frame = frame_of_pixels(np.full((160, 192), 300, np.uint16), pixel_size_um=0.3)
    words = restore(frame, SPEC, bend, CAMERA, parse_dpm(text), optics=air).provenance.warnings
    said = [word for word in words if "rises and falls" in word]
    if period_px is None:
        assert said == []
    else:
        found = float(said[0].split("about ")[1].split(" px")[0])
        assert found == pytest.approx(period_px, rel=0.15)


def test_what_is_missing_is_said(frame, air):
    with pytest.raises(UserError, match="not told where to; give a distance in um"):
        restore(frame, SPEC, bend, CAMERA, optics=air)
    with pytest.raises(UserError, match=r"optics\.numerical_aperture, wavelength_nm, immersion"):
        restore(frame, SPEC, bend, CAMERA, 1.0)
    for spec in (BUILT_IN["null"], ModelSpec("d", "denoise", "1", "")):
        with pytest.raises(UserError, match="does not refocus; leave out the DPM"):
            restore(frame, spec, lambda b: b, CAMERA, 1.0, optics=air)
    with pytest.raises(UserError, match="finite"):
        restore(frame, SPEC, bend, CAMERA, float("nan"), optics=air)
    with pytest.raises(UserError, match="4x4 values for frames of 45x70"):
        restore(frame, SPEC, bend, CAMERA, np.zeros((4, 4)), optics=air)
    with pytest.raises(Failure, match="does not match its weights"):
        restore(frame, SPEC, lambda b: b, CAMERA, 1.0, optics=air)


def test_zstack_text():
    stack = parse_zstack("-5:5:0.5")
    assert (stack.count, stack.step_um) == (21, 0.5)
    assert stack.planes_um[0] == -5
    assert stack.planes_um[-1] == 5
    assert parse_zstack("0:1:0.1").planes_um[3] == 0.3
    assert parse_zstack("0:1:0.1").count == 11
    assert parse_zstack("-5:5:3").planes_um == (-5, -2, 1, 4)
    assert str(stack) == "21 planes from -5 to 5 um in steps of 0.5 um"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1:2", "START:STOP:STEP"),
        ("a:b:c", "START:STOP:STEP"),
        ("0:nan:1", "finite"),
        ("0:5:0", "a step above 0"),
        ("0:5:-1", "a step above 0"),
        ("5:-5:1", "START below STOP"),
        ("3:3:1", "for one plane refocus to it"),
        ("0:1:2", "longer than the way"),
        ("0:10:1e-9", "10,000,000,001 planes"),
    ],
)
def test_zstacks_that_are_none(text, says):
    with pytest.raises(UserError, match=r"--zstack") as error:
        parse_zstack(text)
    assert says in str(error.value)
