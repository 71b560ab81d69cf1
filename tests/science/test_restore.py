"""Counts in, counts out."""

import numpy as np
import pytest

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import BUILT_IN, ModelSpec
from liverestore.normalise import Padding, as_pixels
from liverestore.restore import restore
from liverestore.tiling import infer_tiled, tiles

SPEC = ModelSpec("test", "denoise", "1", "", divisor=8)
CAMERA = CameraModel(100.0, 0.5, 1.5)


def frame(pixels, **header):
    return Frame(
        pixels,
        FrameHeader(
            run_id="r",
            number=3,
            shape=pixels.shape,
            dtype=pixels.dtype.name,
            captured_ns=1,
            captured_utc="2026-01-01T00:00:00+00:00",
            camera="c",
            **header,
        ),
    )


def counts(shape=(64, 72), dtype="uint16", light=30.0, seed=0):
    rng = np.random.default_rng(seed)
    electrons = rng.poisson(light, shape) + 1.5 * rng.standard_normal(shape)
    return np.rint(electrons / 0.5 + 100).astype(dtype)


def flat(batch):
    """A perfect denoiser of flat scenes: everything is the mean."""
    return np.full_like(batch, batch.mean())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(64, 72), (61, 73), (8, 8), (1, 5), (3, 250)])
def test_shape_dtype_and_mean_stay(dtype, shape):
    source = frame(counts(shape, dtype))
    out = restore(source, SPEC, flat, CAMERA, runtime="here")
    assert out.pixels.shape == shape
    assert out.pixels.dtype == dtype
    assert out.source is source
    if min(shape) >= 60:
        assert out.pixels.mean() == pytest.approx(source.pixels.mean(), rel=0.005)


@pytest.mark.parametrize("light", [0.5, 2.0, 20.0, 500.0])
def test_flat_light_comes_back_unbiased(light):
    pixels = counts((256, 256), light=light)
    out = restore(frame(pixels.astype(np.float32)), SPEC, flat, CAMERA)
    assert out.pixels.mean() == pytest.approx(light / 0.5 + 100, abs=0.03 + 0.01 * np.sqrt(light))


def test_the_network_sees_multiples_of_its_divisor_and_its_answer_is_cut_in_place():
    seen = []

    def infer(batch):
        seen.append(batch.copy())
        return batch

    pixels = counts((61, 73))
    out = restore(frame(pixels), SPEC, infer, CAMERA)
    assert seen[0].shape == (1, 1, 64, 80)
    np.testing.assert_array_equal(seen[0][0, 0, :61, :73], CAMERA.stabilise(pixels))
    # Mirrored, the edge itself not repeated.
    np.testing.assert_array_equal(seen[0][0, 0, 61], seen[0][0, 0, 59])
    assert out.pixels.shape == (61, 73)


def test_the_same_frame_gives_the_same_result_and_the_frame_is_not_touched():
    pixels = counts()
    before = pixels.copy()
    one, two = (restore(frame(pixels), SPEC, lambda b: b * 1.01, CAMERA) for _ in range(2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(pixels, before)


def test_results_outlive_the_buffer_of_the_engine():
    buffer = np.zeros((1, 1, 64, 72), np.float32)

    def infer(batch):
        np.copyto(buffer, batch)
        return buffer

    for spec in (SPEC, BUILT_IN["null"]):
        out = restore(frame(counts()), spec, infer, CAMERA).pixels.copy()
        kept = restore(frame(counts()), spec, infer, CAMERA)
        buffer.fill(0)
        np.testing.assert_array_equal(kept.pixels, out)


def test_an_engine_on_counts_gets_the_counts():
    pixels = counts()
    out = restore(frame(pixels), BUILT_IN["null"], lambda b: b, CAMERA)
    np.testing.assert_array_equal(out.pixels, pixels)
    assert "gain_e_per_count" not in out.provenance.parameters


def test_provenance_names_what_entered():
    spec = ModelSpec("e", "denoise", "2.1", "", sha256="ab" * 32)
    made = restore(frame(counts()), spec, flat, CAMERA, runtime="openvino x").provenance
    assert (made.engine, made.version, made.sha256) == ("e", "2.1", "ab" * 32)
    assert made.runtime == "openvino x"
    assert made.parameters["offset_counts"] == 100.0
    assert made.parameters["gain_e_per_count"] == 0.5
    assert made.parameters["read_noise_e"] == 1.5
    assert made.finished_ns >= made.started_ns


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused_by_the_number_of_the_frame(bad):
    pixels = counts(dtype="float32")
    pixels[5, 5] = bad
    with pytest.raises(UserError, match="frame 3"):
        restore(frame(pixels), SPEC, flat, CAMERA)


def test_an_engine_that_answers_with_another_size_fails():
    with pytest.raises(Failure, match="shape"):
        restore(frame(counts()), SPEC, lambda b: b[..., ::2], CAMERA)


def test_saturation_and_a_guessed_camera_are_said():
    pixels = counts()
    pixels[:10] = 4095
    guessed = CameraModel(100.0, 0.5, 1.5, "assumed")
    words = restore(frame(pixels, bit_depth=12), SPEC, flat, guessed).provenance.warnings
    assert any("saturated" in word for word in words)
    assert any("could not be estimated" in word for word in words)
    assert restore(frame(counts()), SPEC, flat, CAMERA).provenance.warnings == ()


def test_a_pixel_size_outside_the_training_is_said():
    spec = ModelSpec("e", "denoise", "1", "", pixel_size_range_um=(0.05, 0.65))
    words = restore(frame(counts(), pixel_size_um=2.0), spec, flat, CAMERA).provenance.warnings
    assert any("0.05 to 0.65" in word for word in words)
    assert spec.warnings_for(frame(counts(), pixel_size_um=0.1).header) == ()


def test_counts_are_rounded_and_clipped_to_their_type():
    values = np.array([[-3.0, 1.4, 1.6, 300.0]], np.float32)
    np.testing.assert_array_equal(as_pixels(values.copy(), np.dtype("uint8")), [[0, 1, 2, 255]])
    np.testing.assert_array_equal(as_pixels(values.copy(), np.dtype("float32")), values)


@pytest.mark.parametrize("inner", [(1, 1), (1, 9), (5, 5), (16, 16), (17, 31)])
def test_padding_is_reversible(inner):
    padding = Padding(inner, (-(-inner[0] // 8) * 8, -(-inner[1] // 8) * 8))
    image = np.random.default_rng(0).random(inner, np.float32)
    np.testing.assert_array_equal(padding.crop(padding.pad(image)), image)
    assert padding.pad(image).shape == padding.outer


@pytest.mark.parametrize("tile_px", [8, 24, 50, 1000])
def test_tiles_cover_the_picture_once(tile_px):
    covered = np.zeros((48, 80), int)
    for tile in tiles((48, 80), tile_px, 12, 8):
        covered[tile.write] += 1
        assert all(s.start % 8 == 0 for s in tile.read)
    assert (covered == 1).all()


def test_tiled_is_untiled_when_the_halo_reaches_far_enough():
    def infer(batch):
        """Reach of two pixels."""
        padded = np.pad(batch, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="constant")
        return sum(padded[..., i : i + batch.shape[2], 2:-2] for i in range(5))

    batch = np.random.default_rng(1).random((1, 1, 64, 48), np.float32)
    np.testing.assert_array_equal(infer_tiled(infer, batch, 16, 2, 8), infer(batch))


def test_tiles_off_the_grid_are_refused():
    with pytest.raises(UserError, match="multiple of 8"):
        tiles((50, 64), 16, 8, 8)


LIT = ModelSpec("lit", "denoise", "1", "", divisor=8, photon_range_e=(3.0, 1000.0))


def spots(peak_e, seed=0, shape=(256, 300), background_e=0.3, share=0.01):
    """Blurred spots of `peak_e` photoelectrons on a dim background, as CAMERA counts them."""
    rng = np.random.default_rng(seed)
    light = np.zeros(shape)
    for y, x in rng.integers(8, np.array(shape) - 8, (int(share * light.size / 20), 2)):
        v, u = np.mgrid[-6:7, -6:7]
        light[y - 6 : y + 7, x - 6 : x + 7] = np.maximum(
            light[y - 6 : y + 7, x - 6 : x + 7], peak_e * np.exp(-(u**2 + v**2) / (2 * 1.7**2))
        )
    electrons = rng.poisson(light + background_e) + 1.5 * rng.standard_normal(shape)
    return np.rint(electrons / 0.5 + 100).clip(0, 65535).astype(np.uint16)


def said_of_light(pixels, spec=LIT, camera=CAMERA):
    made = restore(frame(pixels), spec, lambda batch: batch, camera).provenance
    return [text for text in made.warnings if "trained for" in text], made.parameters


@pytest.mark.parametrize("peak_e", [4.0, 30.0, 900.0, 1500.0])
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_light_that_the_engine_knows_is_not_spoken_of(peak_e, share):
    for seed in range(4):
        words, parameters = said_of_light(spots(peak_e, seed, share=share))
        assert words == []
        assert "brightest_e" not in parameters


def test_too_much_and_too_little_light_are_said_in_words_that_do_not_flicker():
    bright = [said_of_light(spots(4000.0, seed)) for seed in range(4)]
    assert {tuple(words) for words, _ in bright} == {
        (
            "light above 2000 e at the brightest places: engine 'lit' was trained for 3 to 1000 e "
            "there",
        )
    }
    numbers = {parameters["brightest_e"] for _, parameters in bright}
    assert len(numbers) > 1
    assert all(2000 < number < 4500 for number in numbers)
    dark = [said_of_light(spots(0.0, seed)) for seed in range(4)]
    assert {tuple(words) for words, _ in dark} == {
        (
            "light below 1.5 e at the brightest places: engine 'lit' was trained for 3 to 1000 e "
            "there",
        )
    }
    assert all(parameters["brightest_e"] < 2.5 for _, parameters in dark)


def test_light_is_judged_only_where_range_and_camera_are_known():
    bright = spots(4000.0)
    assert said_of_light(bright, SPEC)[0] == []
    assumed = CameraModel(100.0, 0.5, 1.5, "assumed")
    assert said_of_light(bright, camera=assumed)[0] == []
    for name in ("null", "mean5", "median5"):
        assert said_of_light(bright, BUILT_IN[name])[0] == []
    lit = np.full((64, 64), 9000, np.uint16)
    for height, width, words in ((1, 5, 0), (2, 64, 0), (3, 3, 1), (3, 64, 1), (64, 5, 1)):
        assert len(said_of_light(lit[:height, :width])[0]) == words


def test_one_hot_pixel_is_no_light():
    pixels = spots(100.0)
    pixels[40, 50] = 65535
    assert said_of_light(pixels)[0] == []
