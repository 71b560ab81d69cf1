"""The camera out of a rig file."""

import numpy as np
import pytest

from liverestore.camera_maps import CameraMaps, save_maps
from liverestore.errors import UserError
from liverestore.rig import load_rig
from liverestore.rig_camera import camera_of, missing_camera_numbers

RIG = """
name = "rig"
[source]
kind = "replay"
path = "movie.tif"
[camera]
offset_counts = 99.5
gain_e_per_count = 0.4
{more}
"""
NOISE = "read_noise_e = 1.5\n"


@pytest.fixture
def rig(tmp_path):
    (tmp_path / "movie.tif").write_bytes(b"")
    save_maps(tmp_path / "maps.tif", CameraMaps(np.ones((8, 9), np.float32)))

    def load(more):
        (tmp_path / "rig.toml").write_text(RIG.format(more=more), encoding="utf-8")
        return load_rig(tmp_path / "rig.toml")

    return load


def test_a_camera_with_all_its_numbers(rig):
    config = rig(NOISE + "row_noise_e = 0.3\n")
    model = camera_of(config.camera)
    assert (model.offset_counts, model.gain_e_per_count, model.read_noise_e) == (99.5, 0.4, 1.5)
    assert model.row_noise_e == 0.3
    assert model.origin == "rig"
    assert model.maps is None
    assert missing_camera_numbers(config.camera) == ()


def test_maps_lie_beside_the_rig_file(rig):
    model = camera_of(rig(NOISE + 'maps = "maps.tif"\n').camera)
    assert model.maps.shape == (8, 9)
    assert model.maps.origin.startswith("maps.tif sha256")


def test_an_incomplete_camera_is_none_and_says_what_it_lacks(rig):
    config = rig("")
    assert camera_of(config.camera) is None
    assert missing_camera_numbers(config.camera) == ("read_noise_e",)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (NOISE + 'maps = "gone.tif"\n', r"camera\.maps: got .*gone\.tif, which does not exist"),
        ('maps = "maps.tif"\n', r"camera\.read_noise_e: is missing; camera\.maps"),
        (NOISE + "row_noise_e = -1.0\n", r"camera\.row_noise_e: got -1"),
    ],
)
def test_what_is_wrong_is_said_when_the_rig_is_read(rig, more, message):
    with pytest.raises(UserError, match=message):
        rig(more)


def test_a_file_that_holds_no_maps_is_refused_when_the_camera_is_made(rig):
    config = rig(NOISE + 'maps = "movie.tif"\n')
    with pytest.raises(UserError, match="not a file of camera maps"):
        camera_of(config.camera)
