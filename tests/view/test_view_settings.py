import json
import subprocess
import sys

import msgspec
import pytest

from liverestore.errors import Failure
from liverestore.view.memory import Memory
from liverestore.view.settings import (
    SettingsFile,
    ViewSettings,
    on_a_screen,
    remembered_engine,
    settings_path,
)

CHANGED = ViewSettings(
    place=(10, 20, 1300, 820),
    maximised=True,
    compare="curtain",
    blink_hz=2.5,
    difference_limit_sd=3.0,
    curtain_edge=0.25,
    lut="fire",
    ignore_percent=1.5,
    levels=(100.0, 900.0),
    raw_levels=(90.0, 1000.0),
    levels_linked=False,
    mark_saturated=True,
    histogram_log=False,
    histogram_whole_range=True,
    theme="light",
    large_text=True,
    tools=("Histogram",),
    engine="mean5",
    z_step_um=0.2,
    stack_um=(-3.0, 4.0, 0.5),
    stack_view="depth colour",
    stack_share=0.3,
)


@pytest.fixture
def file(tmp_path):
    return SettingsFile(tmp_path / "view" / "rigs" / "demo.json")


def _store(file, text):
    file.path.parent.mkdir(parents=True, exist_ok=True)
    file.path.write_text(text, encoding="utf-8")


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _copies(file):
    return sorted(p.name for p in file.path.parent.glob("*.kept-*"))


def test_all_fields_come_back(file):
    defaults = msgspec.to_builtins(ViewSettings())
    same = [k for k, v in msgspec.to_builtins(CHANGED).items() if v == defaults[k]]
    assert same == [], "every field must be tried with a value that is not its default"
    file.save(CHANGED)
    assert file.load() == (CHANGED, "")
    assert _names(file.path.parent) == ["demo.json"]
    assert file.path.read_text(encoding="utf-8").count("\n") > 15, "one field a line"


def test_no_file_means_the_normal_settings_and_nothing_to_say(file):
    assert file.load() == (ViewSettings(), "")
    assert not file.path.parent.exists(), "reading makes nothing"


def test_a_field_left_out_by_hand_has_its_default(file):
    _store(file, '{"version": 1, "theme": "light"}')
    assert file.load() == (ViewSettings(theme="light"), "")


BROKEN = {
    "": "not JSON",
    '{"version": 1, "theme": "li': "not JSON",
    "[1, 2]": "no JSON object",
    '{"theme": "light"}': '"version"',
    '{"version": true}': '"version"',
    '{"version": 1, "theem": "light"}': "theem",
    '{"version": 1, "theme": "pink"}': "pink",
    '{"version": 1, "lut": "rainbow"}': "rainbow",
    '{"version": 1, "blink_hz": 0}': "0.1",
    '{"version": 1, "place": [0, 0, 0, 5]}': "place",
    '{"version": 1, "levels": [9, 3]}': "levels",
    '{"version": 1, "levels": [-1e308, 1e308]}': "levels",
    '{"version": 1, "raw_levels": [0, 3e38]}': "raw_levels",
    '{"version": 2, "theme": "light"}': "version 2",
    '{"version": 7, "readable_by": 3}': "version 7",
    "[" * 5000: "not JSON",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_cannot_be_used_is_said_and_kept(file, text):
    _store(file, text)
    loaded, notice = file.load()
    assert loaded == ViewSettings()
    assert BROKEN[text] in notice
    assert str(file.path) in notice
    assert "\n" not in notice
    assert file.path.read_text(encoding="utf-8") == text, "reading changes nothing"
    file.save(CHANGED)
    assert _copies(file) == ["demo.json.kept-1"]
    assert (file.path.parent / "demo.json.kept-1").read_text(encoding="utf-8") == text
    assert file.load() == (CHANGED, "")


def test_every_strange_file_has_a_copy_of_its_own(file):
    for text in ("one", "two", "one"):
        _store(file, text)
        file.save(CHANGED)
    assert _copies(file) == ["demo.json.kept-1", "demo.json.kept-2"]


def test_a_newer_version_may_say_that_this_one_can_read_it(file):
    text = json.dumps({"version": 2, "readable_by": 1, "theme": "light", "hologram": {"depth": 3}})
    _store(file, text)
    assert file.load() == (ViewSettings(theme="light"), "")
    file.save(CHANGED)
    assert (file.path.parent / _copies(file)[0]).read_text(encoding="utf-8") == text


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "view").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(Failure, match=r"cannot write .*demo\.json"):
        SettingsFile(tmp_path / "view" / "demo.json").save(CHANGED)


def test_every_rig_has_a_file_of_its_own_inside_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    names = [
        "demo",
        "Demo 2",
        "a/b",
        "..",
        ".",
        "con",
        "keys",
        "60x/1.2 W",
        "\u00b5",
        "a" * 400,
        "a" * 401,
    ]
    paths = [settings_path(name) for name in names]
    assert len(set(paths)) == len(names)
    assert {p.parent for p in paths} == {tmp_path / "view" / "rigs"}
    for path in paths:
        SettingsFile(path).save(CHANGED)
    assert len(_names(tmp_path / "view" / "rigs")) == len(names)


def test_the_engine_is_offered_again_only_where_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    assert remembered_engine("demo", ("mean5",)) is None
    SettingsFile(settings_path("demo")).save(CHANGED)
    assert remembered_engine("demo", ("denoise", "mean5")) == "mean5"
    assert remembered_engine("demo", ("denoise",)) is None
    assert remembered_engine("other", ("mean5",)) is None


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ((100, 50, 1280, 800), (100, 50, 1280, 800)),
        ((-300, -20, 1280, 800), (0, 0, 1280, 800)),
        ((2000, 100, 1280, 800), (2000, 100, 1280, 800)),
        ((5000, 4000, 1280, 800), (640, 280, 1280, 800)),
        ((0, 0, 3840, 2160), (1920, 0, 2560, 1440)),
        ((-50, 0, 1900, 2160), (0, 0, 1900, 1080)),
    ],
)
def test_a_window_comes_back_onto_a_screen_that_is_there(place, wanted):
    screens = [(0, 0, 1920, 1080), (1920, 0, 2560, 1440)]
    assert on_a_screen(place, screens) == wanted


class Slow(SettingsFile):
    saved: list

    def __init__(self, path):
        super().__init__(path)
        self.saved = []

    def save(self, settings):
        self.saved.append(settings)
        super().save(settings)


def test_a_change_is_written_once_after_it_has_come_to_rest(tmp_path, nothing_left):
    file = Slow(tmp_path / "demo.json")
    memory = Memory(file)
    looks = [0.3, 0.4, 0.7, 0.7, 0.7, 0.7]
    for second, edge in enumerate(looks):
        for tenth in range(10):
            settings = ViewSettings(curtain_edge=edge)
            memory.step(second + tenth / 10, lambda s=settings: s)
    memory.close(ViewSettings(curtain_edge=0.7))
    assert [s.curtain_edge for s in file.saved] == [0.7]
    assert memory.notices == ()


def test_what_changed_last_is_written_at_the_end(tmp_path, nothing_left):
    file = Slow(tmp_path / "demo.json")
    memory = Memory(file)
    memory.step(0.0, ViewSettings)
    memory.close(CHANGED)
    assert file.load()[0] == CHANGED
    again = Memory(file)
    again.close(CHANGED)
    assert len(file.saved) == 1, "nothing new is not written"


def test_of_two_windows_the_last_one_wins(file, nothing_left):
    one, two = Memory(file), Memory(file)
    two.close(ViewSettings(lut="fire"))
    one.close(ViewSettings(lut="green"))
    assert file.load() == (ViewSettings(lut="green"), "")
    assert _copies(file) == []


def test_a_disk_that_refuses_is_a_notice_and_no_end_of_the_view(tmp_path, nothing_left):
    (tmp_path / "view").write_text("", encoding="utf-8")
    memory = Memory(SettingsFile(tmp_path / "view" / "demo.json"))
    memory.close(CHANGED)
    assert len(memory.notices) == 2, "it could be neither read nor written"
    assert all("demo.json" in line for line in memory.notices)


def test_without_a_file_nothing_is_remembered(nothing_left):
    memory = Memory(None)
    memory.step(0.0, lambda: pytest.fail("nobody may look"))
    memory.close(CHANGED)
    assert memory.settings is None


def test_the_settings_of_the_view_need_no_qt():
    code = "import sys, liverestore.view.settings; sys.exit('PySide6' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
