import pytest

from liverestore.errors import Failure, UserError
from liverestore.view.keymap import Keymap, KeyTaken, load_keys, save_keys
from liverestore.view.shortcuts import GROUPS, MEANINGS, SHORTCUTS, groups, portable_key

USUAL = {"fit": ("F",), "zoom_in": ("+", "="), "lut": ("L",)}


@pytest.fixture
def keymap():
    return Keymap(USUAL)


def test_no_key_starts_two_actions():
    keymap = Keymap(SHORTCUTS)
    taken = {
        (key, action, keymap.taken_by(key, action))
        for action, keys in SHORTCUTS.items()
        for key in keys
        if keymap.taken_by(key, action)
    }
    assert not taken


def test_every_key_of_the_table_is_a_key_and_every_action_has_a_meaning():
    assert {k: portable_key(k) for keys in SHORTCUTS.values() for k in keys} == {
        k: k for keys in SHORTCUTS.values() for k in keys
    }
    assert set(SHORTCUTS) == set(MEANINGS)


def test_the_groups_of_the_list_leave_no_action_out_and_name_none_twice():
    listed = [action for members in groups(tuple(SHORTCUTS)).values() for action in members]
    assert sorted(listed) == sorted(SHORTCUTS)
    grouped = [action for members in GROUPS.values() for action in members]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) <= set(SHORTCUTS), "a group names an action that is gone"
    assert groups((*SHORTCUTS, "brand_new"))["Tools"][-1] == "brand_new"


def test_an_action_takes_other_keys_and_gives_its_own_away(keymap):
    keymap.give("fit", ("Z", "Ctrl+F"))
    assert keymap.keys("fit") == ("Z", "Ctrl+F")
    assert keymap.changed("fit")
    keymap.give("lut", ("F",))
    assert keymap.keys("lut") == ("F",)
    assert keymap.own == {"fit": ("Z", "Ctrl+F"), "lut": ("F",)}


def test_a_key_that_another_action_has_is_refused_by_its_name(keymap):
    with pytest.raises(KeyTaken) as error:
        keymap.give("fit", ("Z", "="))
    assert (error.value.key, error.value.action) == ("=", "zoom_in")
    assert keymap.keys("fit") == ("F",)


def test_the_usual_keys_come_back_unless_they_were_given_away(keymap):
    keymap.give("fit", ("Z",))
    keymap.give("lut", ("F",))
    with pytest.raises(KeyTaken) as error:
        keymap.reset("fit")
    assert error.value.action == "lut"
    keymap.reset("lut")
    keymap.reset("fit")
    assert keymap.own == {}
    keymap.give("fit", ("Z",))
    keymap.reset_all()
    assert keymap.keys("fit") == ("F",)


def test_the_users_keys_come_back_from_the_file(keymap, tmp_path):
    path = tmp_path / "view" / "keys.json"
    keymap.give("fit", ("Z",))
    save_keys(keymap, path, portable_key)
    again = Keymap(USUAL)
    assert load_keys(again, path, portable_key) == ""
    assert again.own == {"fit": ("Z",)}


def test_a_new_action_never_takes_the_users_key(tmp_path):
    path = tmp_path / "keys.json"
    before = Keymap(USUAL)
    before.give("fit", ("K",))
    save_keys(before, path, portable_key)
    after = Keymap({**USUAL, "profile": ("K", "P")})
    assert load_keys(after, path, portable_key) == ""
    assert after.keys("fit") == ("K",)
    assert after.keys("profile") == ("P",)


BROKEN = {
    "{": "not JSON",
    '{"version": 1, "keys": {"fitt": ["Q"]}}': "fitt",
    '{"version": 1, "keys": {"fit": ["nonsense"]}}': "nonsense",
    '{"version": 1, "keys": {"fit": ["Q"], "lut": ["q"]}}': "Q is given to 'fit' and to 'lut'",
    '{"version": 1, "keys": {"fit": "Q"}}': "array",
    '{"version": 9, "keys": {}}': "version 9",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_of_keys_that_cannot_be_used_is_said_and_kept(keymap, tmp_path, text):
    path = tmp_path / "keys.json"
    path.write_text(text, encoding="utf-8")
    notice = load_keys(keymap, path, portable_key)
    assert BROKEN[text] in notice
    assert str(path) in notice
    assert keymap.own == {}
    keymap.give("fit", ("Z",))
    save_keys(keymap, path, portable_key)
    assert (tmp_path / "keys.json.kept-1").read_text(encoding="utf-8") == text
    again = Keymap(USUAL)
    assert load_keys(again, path, portable_key) == ""


def test_keys_typed_by_hand_are_read_in_any_spelling(keymap, tmp_path):
    path = tmp_path / "keys.json"
    text = '{"version": 1, "keys": {"fit": ["shift+ctrl+z", "Ctrl+Shift+Z"]}}'
    path.write_text(text, encoding="utf-8")
    assert load_keys(keymap, path, portable_key) == ""
    assert keymap.keys("fit") == ("Ctrl+Shift+Z",)


def test_a_newer_file_may_name_actions_that_are_not_there_yet(keymap, tmp_path):
    path = tmp_path / "keys.json"
    text = '{"version": 2, "readable_by": 1, "keys": {"fly": ["Q"], "fit": ["Z"]}, "more": 1}'
    path.write_text(text, encoding="utf-8")
    assert load_keys(keymap, path, portable_key) == ""
    assert keymap.own == {"fit": ("Z",)}
    save_keys(keymap, path, portable_key)
    assert (tmp_path / "keys.json.kept-1").read_text(encoding="utf-8") == text


def test_unknown_actions_are_refused_as_a_whole(keymap):
    with pytest.raises(UserError, match="no action 'fly'"):
        keymap.adopt({"lut": ("Q",), "fly": ("Z",)})
    assert keymap.own == {}


def test_keys_that_cannot_be_stored_are_said(keymap, tmp_path):
    (tmp_path / "view").write_text("", encoding="utf-8")
    with pytest.raises(Failure, match=r"cannot write .*keys\.json"):
        save_keys(keymap, tmp_path / "view" / "keys.json", portable_key)
