"""Aberrations by name and in nm, from the rig file to the pupil."""

from pathlib import Path

import pytest

from liverestore.errors import UserError
from liverestore.rig import load_rig
from liverestore.rig_aberrations import NOLL_OF_NAME, ZernikeConfig, zernike_waves
from liverestore.rig_channels import ChannelConfig
from liverestore.rig_optics import optics_of

RIG = """
name = "mine"

[source]
kind = "{kind}"
{more}

[optics]
pixel_size_um = 0.1
numerical_aperture = 0.8
wavelength_nm = 500.0
immersion_index = 1.0
sample_index = 1.33
zernike_nm = {{ {terms} }}
"""


@pytest.fixture
def rig(tmp_path):
    movie = tmp_path / "a.tif"
    movie.write_bytes(b"")

    def make(terms, kind="replay", more=f"path = '{movie}'"):
        file = tmp_path / "mine.toml"
        file.write_text(RIG.format(kind=kind, terms=terms, more=more), encoding="utf-8")
        return load_rig(file)

    return make


def test_terms_become_waves_of_the_wavelength_in_use(rig):
    made = rig("spherical = 25.0, coma_horizontal = -5, astigmatism_oblique = 0.0")
    assert optics_of(made).zernike_waves == ((8, -0.01), (11, 0.05))
    red = ChannelConfig(name="red", wavelength_nm=625.0)
    assert dict(optics_of(made, red).zernike_waves)[11] == pytest.approx(0.04)


def test_every_name_has_its_own_noll_index():
    assert set(NOLL_OF_NAME) == set(ZernikeConfig.__struct_fields__)
    assert len(set(NOLL_OF_NAME.values())) == len(NOLL_OF_NAME)
    for name, noll in NOLL_OF_NAME.items():
        assert zernike_waves(ZernikeConfig(**{name: 50.0}), 500.0) == ((noll, 0.1),)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ("sperical = 3", "did you mean spherical"),
        ('spherical = "3 nm"', "zernike_nm.spherical: got '3 nm', allowed is a number"),
        ("spherical = nan", "write a finite number"),
    ],
)
def test_mistakes_are_one_line(rig, terms, said):
    with pytest.raises(UserError, match=said) as error:
        rig(terms)
    assert "\n" not in str(error.value)


def test_the_simulated_microscope_takes_what_it_can_paint(tmp_path):
    text = Path(load_rig("demo").origin).read_text(encoding="utf-8")
    own = tmp_path / "own.toml"

    def with_terms(terms):
        own.write_text(text.replace("[optics]", f"[optics]\nzernike_nm = {{ {terms} }}"), "utf-8")
        return load_rig(own)

    assert optics_of(with_terms("spherical = 52.5")).zernike_waves == ((11, 0.1),)
    with pytest.raises(UserError, match="coma_vertical: the simulated microscope knows spherical"):
        with_terms("coma_vertical = 10")
