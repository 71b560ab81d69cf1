import pytest

from liverestore.errors import UserError
from liverestore.paths import shipped
from liverestore.rig import load_rig
from liverestore.rig_channels import COLOURS, ChannelConfig, channel_colour, takes_turns
from liverestore.rig_optics import optics_of

DEMO = (shipped("hardware_configs") / "demo_two_channels.toml").read_text(encoding="utf-8")


def load_text(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return load_rig(file)


def test_channels_of_the_shipped_rig():
    rig = load_rig("demo_two_channels")
    assert [c.name for c in rig.channels] == ["DAPI", "GFP"]
    assert [c.preset for c in rig.channels] == ["nuclei", "filaments"]
    assert [c.engine for c in rig.channels] == ["mean5", "denoise-live"]
    assert takes_turns(rig.channels)


def test_a_rig_without_channels_has_none():
    assert load_rig("demo").channels == ()
    assert not takes_turns(load_rig("demo").channels)


def test_a_channel_sees_with_its_own_wavelength():
    rig = load_rig("demo_two_channels")
    assert optics_of(rig).wavelength_nm == 525.0
    assert optics_of(rig, rig.channels[0]).wavelength_nm == 461.0
    assert optics_of(rig, ChannelConfig(name="white")).wavelength_nm == 525.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('colour = "blue"', 'color = "blue"', r"channels\[0\]\.color: .*mean colour"),
        ('colour = "blue"', 'colour = "mauve"', r"channels\[0\]\.colour: got 'mauve'.*magenta"),
        ('colour = "blue"', 'colour = "#12345"', r"channels\[0\]\.colour: got '#12345'"),
        ('name = "GFP"', 'name = "DAPI"', r"channels\[1\]\.name: got 'DAPI' a second time"),
        ('name = "GFP"', 'name = " "', r"channels\[1\]\.name: got ' '.*1 to 40"),
        ('name = "GFP"\n', "", r"channels\[1\]\.name: is missing"),
        ('preset = "nuclei"\n', "", r"channels\[0\]\.preset: is missing.*both or neither"),
        ('group = "Channel"\npreset = "nuclei"\n', "", r"channels\[0\]\.group: is missing"),
        ("exposure_ms = 30.0", "exposure_ms = 0", r"channels\[0\]\.exposure_ms: got 0.*above 0"),
        (
            "wavelength_nm = 461.0",
            "wavelength_nm = 0.461",
            r"channels\[0\]\.wavelength_nm: got 0\.461.*unit is nm: did you mean 461\?",
        ),
        ("exposure_ms = 30.0", "offset_counts = 3.0", r"channels\[0\]\.offset_counts.*\[camera\]"),
        ("exposure_ms = 30.0", "exposure_ms = nan", r"exposure_ms: got nan"),
    ],
)
def test_each_mistake_in_a_channel_is_one_line(tmp_path, old, new, message):
    assert DEMO.count(old) >= 1
    with pytest.raises(UserError, match=message) as caught:
        load_text(tmp_path, DEMO.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_a_single_table_is_told_how_to_write_a_list(tmp_path):
    text = DEMO[: DEMO.index("[[channels]]")] + '[channels]\nname = "GFP"\n'
    with pytest.raises(UserError, match=r"channels: got .*\[\[double brackets\]\]"):
        load_text(tmp_path, text)


def test_more_channels_than_keys_are_refused(tmp_path):
    head = DEMO[: DEMO.index("[[channels]]")]
    many = "".join(
        f'[[channels]]\nname = "c{n}"\ngroup = "Channel"\npreset = "nuclei"\n' for n in range(10)
    )
    with pytest.raises(UserError, match=r"channels: got 10, allowed are up to 9"):
        load_text(tmp_path, head + many)


def test_a_movie_brings_its_own_channels(tmp_path):
    text = (shipped("hardware_configs") / "replay.toml").read_text(encoding="utf-8")
    (tmp_path / "replay_example.ome.tif").write_bytes(b"")
    with pytest.raises(UserError, match=r"channels: have no meaning for .*'replay'"):
        load_text(tmp_path, text + '\n[[channels]]\nname = "GFP"\n')


def test_colours_by_name_hex_wavelength_and_place():
    channels = (
        ChannelConfig(name="a", colour="red"),
        ChannelConfig(name="b", colour="#0102fF"),
        ChannelConfig(name="c", wavelength_nm=525.0),
        ChannelConfig(name="d", wavelength_nm=700.0),
        ChannelConfig(name="e"),
        ChannelConfig(name="f"),
    )
    hex_of = {name: tuple(bytes.fromhex(text[1:])) for name, text in COLOURS.items()}
    colours = [channel_colour(channels, number) for number in range(6)]
    assert colours[:4] == [hex_of["red"], (1, 2, 255), hex_of["green"], hex_of["magenta"]]
    # Without any hint: colours that no other channel has.
    assert colours[4:] == [hex_of["cyan"], hex_of["yellow"]]
