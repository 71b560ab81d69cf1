from pathlib import Path

import pytest

from liverestore.errors import UserError
from liverestore.paths import shipped
from liverestore.rig import list_rigs, load_rig, with_movie

DEMO = (shipped("hardware_configs") / "demo.toml").read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "hardware_configs"
    folder.mkdir(parents=True)
    return folder


def load_text(tmp_path: Path, text: str):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return load_rig(file)


@pytest.mark.parametrize(
    "name", ["demo", "demo_refocus", "demo_two_channels", "mmcore_demo", "replay", "bridge"]
)
def test_shipped_rigs_load_by_name(name):
    rig = load_rig(name)
    assert Path(rig.origin) == (shipped("hardware_configs") / f"{name}.toml").resolve()
    for path in (rig.source.config_file, rig.source.path):
        assert path is None or Path(path).is_file()


def test_every_shipped_file_is_read():
    folder = shipped("hardware_configs")
    assert {file.stem for file in folder.glob("*.toml")} == {
        "demo", "demo_refocus", "demo_two_channels", "mmcore_demo", "replay",
        "example_widefield", "bridge",
    }  # fmt: skip


def test_example_of_a_real_microscope_lacks_its_configuration_only(tmp_path):
    with pytest.raises(UserError, match=r"config_file.*Hardware Configuration Wizard"):
        load_rig("example_widefield")
    text = (shipped("hardware_configs") / "example_widefield.toml").read_text(encoding="utf-8")
    (tmp_path / "my_microscope.cfg").write_text("")
    rig = load_text(tmp_path, text)
    assert rig.optics.immersion_index == 1.515
    assert rig.source.config_file == str(tmp_path / "my_microscope.cfg")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("exposure_ms = 40.0", "exposure_s = 0.04", r"camera\.exposure_s.*mean exposure_ms"),
        ("pixel_size_um = 0.108333", 'pixel_size_um = "65 nm"', r"'65 nm'.*unit is um"),
        ("pixel_size_um = 0.108333", "pixel_size_um = 108.333", r"mean 0\.108333"),
        ("wavelength_nm = 525.0", "wavelength_nm = 0.525", r"wavelength_nm.*0\.525.*300.*mean 525"),
        ("shape = [512, 512]", "shape = [512]", r"specimen\.shape.*2 values"),
        ("shape = [512, 512]", "shape = [512, 10]", r"specimen\.shape\[1\].*10.*from 64"),
        ("[optics]", "[optic]", r"optic: unknown key; did you mean optics"),
        ('kind = "simulated"', 'kind = "camera"', r"source\.kind.*'camera'.*'micromanager'"),
        ("seed = 3", "seed = true", r"specimen\.seed.*True.*whole number"),
        ("seed = 3", "seed =", r"not valid TOML.*line 27"),
        ("seed = 3", "gain = 3", r"specimen\.gain.*allowed here: seed, shape"),
        ("read_noise_e = 1.6", "", r"camera\.read_noise_e: is missing"),
        ("read_noise_e = 1.6", "read_noise_e = inf", r"read_noise_e: got inf.*finite"),
        ("read_noise_e = 1.6", "numerical_aperture = 1.2", r"belongs into \[optics\]"),
        ("numerical_aperture = 1.2", "numerical_aperture = 1.4", r"no objective.*immersion"),
        ('kind = "simulated"', 'kind = "simulated"\nloop = true', r"source\.loop.*'replay'"),
        ('kind = "simulated"', 'kind = "replay"', r"specimen: is only for"),
        ('kind = "simulated"', 'config_file = "C:\\Users\\me"', r"single quotes"),
        ("name =", "title =", r"title: unknown key"),
        ("[camera]", "[[camera]]", r"camera: got .*allowed is a table"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line_with_file_and_field(tmp_path, old, new, message):
    assert old in DEMO
    with pytest.raises(UserError, match=message) as caught:
        load_text(tmp_path, DEMO.replace(old, new, 1))
    assert str(caught.value).startswith(f"rig {tmp_path / 'mine.toml'}: ")
    assert "\n" not in str(caught.value)


def test_required_keys_are_named(tmp_path):
    with pytest.raises(UserError, match=r"name: is missing"):
        load_text(tmp_path, '[source]\nkind = "replay"\n')
    with pytest.raises(UserError, match=r"source\.kind: is missing"):
        load_text(tmp_path, 'name = "x"\n[source]\n')
    with pytest.raises(UserError, match=r"source\.path: is missing"):
        load_text(tmp_path, 'name = "x"\n[source]\nkind = "replay"\n')
    with pytest.raises(UserError, match=r"specimen: is missing"):
        load_text(tmp_path, DEMO.split("[specimen]")[0])


def test_paths_are_relative_to_the_rig_file(tmp_path):
    (tmp_path / "movies").mkdir()
    movie = tmp_path / "movies" / "a.tif"
    text = 'name = "x"\n[source]\nkind = "replay"\npath = "movies/a.tif"\n'
    with pytest.raises(UserError, match=r"source\.path.*does not exist"):
        load_text(tmp_path, text)
    movie.write_bytes(b"")
    assert load_text(tmp_path, text).source.path == str(movie)


def test_unknown_name_lists_what_there_is(home):
    with pytest.raises(UserError, match=r"did you mean 'demo'.*mmcore_demo, replay") as caught:
        load_rig("dmo")
    assert str(home) in str(caught.value)


def test_users_rig_hides_a_shipped_one(home):
    (home / "demo.toml").write_text(DEMO.replace("Demo:", "Mine:", 1), encoding="utf-8")
    assert load_rig("demo").name.startswith("Mine:")
    assert list_rigs()["demo"] == home / "demo.toml"
    assert "mmcore_demo" in list_rigs()


def test_text_that_is_no_rig(tmp_path):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(UserError, match="UTF-8"):
        load_rig(binary)
    movie = tmp_path / "movie.tif"
    movie.write_bytes(b"II")
    with pytest.raises(UserError, match=r"\.tif file.*source\.path"):
        load_rig(movie)


def test_byte_order_mark_of_an_editor_is_no_mistake(tmp_path):
    file = tmp_path / "notepad.toml"
    file.write_bytes(b"\xef\xbb\xbf" + DEMO.encode())
    assert load_rig(file).name.startswith("Demo")


def test_movie_can_be_given_from_outside(tmp_path):
    movie = tmp_path / "mine.ome.tif"
    with pytest.raises(UserError, match="no such file"):
        with_movie(load_rig("replay"), movie)
    movie.write_bytes(b"")
    assert with_movie(load_rig("replay"), movie).source.path == str(movie)
    with pytest.raises(UserError, match=r"source\.kind is 'simulated'"):
        with_movie(load_rig("demo"), movie)
