"""Surfaces in um: their shape, their text, and what is refused."""

import re

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from liverestore.dpm import Dpm, parse_dpm
from liverestore.errors import UserError

SHAPE, PIXEL_UM = (41, 61), 0.5
"""The middle pixel is [20, 30]; the frame reaches 10 um up and down, 15 um to the sides."""


def surface(text):
    return parse_dpm(text).surface_um(SHAPE, PIXEL_UM)


def test_uniform():
    np.testing.assert_array_equal(surface("-3.5"), np.full(SHAPE, np.float32(-3.5)))
    assert parse_dpm("-3.5").uniform_um == -3.5
    assert parse_dpm("1+plane:0,0,0").uniform_um is None


def test_a_plane_tilts_about_the_middle_of_the_frame():
    z = surface("plane:2,0.1,-0.2")
    assert z[20, 30] == pytest.approx(2)
    assert z[20, 60] == pytest.approx(2 + 0.1 * 15)
    assert z[40, 30] == pytest.approx(2 - 0.2 * 10)
    assert z.dtype == np.float32


def test_binning_and_pixel_size_change_nothing_in_um():
    fine = parse_dpm("plane:0,0.3,0.1").surface_um((40, 60), 0.5)
    binned = parse_dpm("plane:0,0.3,0.1").surface_um((20, 30), 1.0)
    np.testing.assert_allclose(fine.reshape(20, 2, 30, 2).mean((1, 3)), binned, atol=1e-5)


def test_a_sphere_has_its_radius_and_its_apex():
    z = surface("sphere:1,50")
    assert z[20, 30] == pytest.approx(1)
    assert z[20, 60] == pytest.approx(1 + 50 - np.sqrt(50**2 - 15**2), abs=1e-5)
    np.testing.assert_allclose(surface("sphere:1,-50") - 1, 1 - z, atol=1e-5)
    moved = surface("sphere:1,50,15,-10")
    assert moved[0, 60] == pytest.approx(1)
    assert np.unravel_index(moved.argmin(), SHAPE) == (0, 60)


def test_a_cylinder_is_straight_along_its_axis():
    z = surface("cylinder:0,40")
    np.testing.assert_allclose(z, np.broadcast_to(z[:, :1], SHAPE), atol=1e-6)
    assert z[40, 5] == pytest.approx(40 - np.sqrt(40**2 - 10**2), abs=1e-5)
    upright = surface("cylinder:0,40,90")
    assert upright[7, 60] == pytest.approx(40 - np.sqrt(40**2 - 15**2), abs=1e-5)
    shifted = surface("cylinder:0,40,0,5")
    assert shifted[30, 12] == pytest.approx(0, abs=1e-6)


def test_a_sine_has_its_period_direction_and_phase():
    z = surface("sine:1,2,10")
    assert z[3, 30] == pytest.approx(1, abs=1e-5)
    assert z[3, 35] == pytest.approx(3, abs=1e-5)
    np.testing.assert_allclose(z[:, 20:], z[:, :-20], atol=1e-4)
    assert surface("sine:1,2,10,90")[25, 3] == pytest.approx(3, abs=1e-5)
    assert surface("sine:1,2,10,0,90")[20, 30] == pytest.approx(3, abs=1e-5)


def test_a_quadratic_surface():
    z = surface("quadratic:1,0,0,0.01,0.002,0.03")
    assert z[40, 60] == pytest.approx(1 + 0.01 * 225 + 0.002 * 150 + 0.03 * 100, rel=1e-5)


def test_sums_add_up():
    together = surface("1e+1+sine:0,1,30+plane:0,1e-1,0")
    parts = sum(surface(text) for text in ("10", "sine:0,1,30", "plane:0,0.1,0"))
    np.testing.assert_allclose(together, parts, atol=1e-5)
    assert Dpm.uniform(2) + Dpm.uniform(0.5) == parse_dpm("2+uniform:0.5")
    assert (Dpm.uniform(2) + Dpm.uniform(0.5)).uniform_um == 2.5


number = st.floats(-1e4, 1e4).map(lambda v: round(v, 5))
length = number.filter(lambda v: v != 0)
term = st.one_of(
    number.map(lambda z: Dpm.uniform(z)),
    st.tuples(number, number, number).map(lambda n: Dpm.plane(*n)),
    st.tuples(number, length).map(lambda n: parse_dpm(f"sphere:{n[0]!r},{n[1]!r}")),
    st.tuples(number, number, length, number).map(
        lambda n: parse_dpm(f"sine:{n[0]!r},{n[1]!r},{n[2]!r},{n[3]!r}")
    ),
)


@given(st.lists(term, min_size=1, max_size=4))
def test_text_and_back(terms):
    dpm = sum(terms[1:], terms[0])
    assert parse_dpm(str(dpm)) == dpm


def test_maps_come_from_npy_and_tif(tmp_path):
    values = np.random.default_rng(0).normal(0, 3, SHAPE)
    np.save(tmp_path / "a.npy", values)
    tifffile.imwrite(tmp_path / "a.tif", values.astype(np.float32))
    for name in ("a.npy", "a.tif"):
        dpm = parse_dpm(str(tmp_path / name))
        np.testing.assert_array_equal(dpm.surface_um(SHAPE), values.astype(np.float32))
        assert parse_dpm(str(dpm)) == dpm
        assert str(dpm).endswith(name)
    assert parse_dpm(str(tmp_path / "a.npy")) == parse_dpm(str(tmp_path / "a.tif"))
    assert dpm.sha256
    tilted = parse_dpm(f"{tmp_path / 'a.npy'}+plane:0,0.1,0").surface_um(SHAPE, PIXEL_UM)
    expected = values + surface("plane:0,0.1,0")
    np.testing.assert_allclose(tilted, expected, atol=1e-5)


def test_terms_may_come_in_any_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(0, 3, SHAPE).astype(np.float32)
    np.save("map.npy", values)
    np.save("a+1+b.npy", 2 * values)
    wave = surface("sine:0,1,80")
    for text, wanted in {
        "2+map.npy": 2 + values,
        "sine:0,1,80+map.npy": wave + values,
        "map.npy + 3.5 + sine:0,1,80": values + 3.5 + wave,
        "sine:0,1e+0,+80+1e+1": wave + 10,
        "map.npy+map.npy": 2 * values,
        "2+a+1+b.npy+3": 5 + 2 * values,
        "a+1+b.npy": 2 * values,
    }.items():
        np.testing.assert_allclose(surface(text), wanted, atol=1e-5)
        again = parse_dpm(str(parse_dpm(text)))
        np.testing.assert_array_equal(again.surface_um(SHAPE, PIXEL_UM), surface(text))
    assert parse_dpm("2+3.5").uniform_um == 5.5
    # A file of just that name comes before the sum.
    np.save("2+map.npy", values)
    np.testing.assert_array_equal(surface("2+map.npy"), values)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("2+missing.npy", "'missing.npy'"),
        ("missing.npy+plane:0,0,0", "'missing.npy'"),
        ("1+bowl:1,2+plane:0,0,0", "'bowl:1,2'"),
        ("1e+1+plane:1,2,x+3", "'plane:1,2,x'"),
        ("1+~nobody-here/a.npy", "'~nobody-here/a.npy'"),
        ("1+" + 300 * "x", "which is no file"),
    ],
)
def test_the_term_that_is_none_is_named_alone(text, wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        parse_dpm(text)
    assert wrong in str(error.value)
    assert str(error.value).startswith("DPM: got ")
    assert "\n" not in str(error.value)


def test_maps_differ_when_their_values_do():
    zeros = Dpm.from_array(np.zeros((4, 4)))
    assert zeros == Dpm.from_array(np.zeros((4, 4), np.float32), "named")
    assert zeros != Dpm.from_array(np.ones((4, 4)))
    # The same bytes in another shape.
    assert zeros != Dpm.from_array(np.zeros((2, 8)))


def test_a_given_array_is_neither_kept_nor_changed():
    values = np.zeros((4, 4), np.float32)
    dpm = Dpm.from_array(values)
    values += 1
    assert dpm.surface_um((4, 4)).max() == 0
    with pytest.raises(ValueError, match="read-only"):
        dpm.surface_um((4, 4))[0, 0] = 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "allowed are a number in um, plane:"),
        ("nan", "finite"),
        ("inf", "finite"),
        ("plane:1", "plane:z0,dz/dx,dz/dy"),
        ("plane:1,2,x", "plane:z0,dz/dx,dz/dy"),
        ("plane:1,2,nan", "finite"),
        ("sphere:1,0", "any radius but 0"),
        ("sphere:1,50,3", "sphere:z0,radius"),
        ("sine:1,1,0", "any period but 0"),
        ("bowl:1,2", "'bowl:1,2', which is no file"),
        ("missing.npy", "'missing.npy', which is no file"),
        ("sphere:0,10", "reaches 18.0"),
        ("cylinder:0,5", "reaches 10 um"),
    ],
)
def test_mistakes_are_one_line(text, says):
    with pytest.raises(UserError) as error:
        surface(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full((4, 4), np.nan), "16 values that are NaN"),
        (np.zeros((2, 4, 4)), "(2, 4, 4)"),
        (np.zeros((0, 4)), "(0, 4)"),
        (np.zeros((4, 4), complex), "complex"),
        (np.array([["a"]]), "(Y, X) image"),
    ],
)
def test_arrays_that_are_no_surface(tmp_path, values, says):
    with pytest.raises(UserError) as error:
        Dpm.from_array(values)
    assert says in str(error.value)
    np.save(tmp_path / "bad.npy", values)
    with pytest.raises(UserError, match=r"bad\.npy"):
        parse_dpm(str(tmp_path / "bad.npy"))


def test_files_that_are_no_surface(tmp_path):
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "text.tif").write_text("hello")
    (tmp_path / "a.png").write_text("hello")
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    tifffile.imwrite(
        tmp_path / "stack.tif", np.zeros((3, 4, 4), np.float32), photometric="minisblack"
    )
    np.save(tmp_path / "whole.npy", np.zeros((9, 9)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:200])
    (tmp_path / "empty.npy").write_bytes(b"")
    broken = ("text.npy", "object.npy", "cut.npy", "empty.npy")
    for name in (*broken, "text.tif", "a.png", "stack.tif"):
        with pytest.raises(UserError, match=name) as error:
            parse_dpm(str(tmp_path / name))
        assert "\n" not in str(error.value)
        if name in broken:
            assert "one (Y, X) array of float32" in str(error.value)
            assert not re.search("pickle|unsafe|trust", str(error.value))


def test_a_map_of_another_size_and_a_surface_without_pixel_size():
    with pytest.raises(UserError, match=r"4x5 values for frames of 41x61"):
        Dpm.from_array(np.zeros((4, 5))).surface_um(SHAPE, PIXEL_UM)
    for size in (None, 0.0, float("nan")):
        with pytest.raises(UserError, match="no pixel size"):
            Dpm.plane(1, 0.1, 0).surface_um(SHAPE, size)
    assert Dpm.uniform(1).surface_um(SHAPE).shape == SHAPE
