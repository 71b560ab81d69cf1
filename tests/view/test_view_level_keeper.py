import numpy as np
import pytest

from liverestore.view.level_keeper import LevelKeeper, Side

RAW = np.arange(0, 1000, dtype=np.uint16).reshape(20, 50)
RESTORED = np.arange(400, 600, dtype=np.uint16).reshape(10, 20)


@pytest.fixture
def keeper():
    return LevelKeeper(0.0)


def test_linked_levels_are_those_of_the_restored_image(keeper):
    assert keeper.linked
    assert keeper.step(None, None, 0.0) == (None, None)
    assert keeper.step(RAW, None, 0.0) == ((0, 999), (0, 999))
    keeper.reset()
    assert keeper.step(RAW, RESTORED, 1.0) == ((400, 599), (400, 599))
    assert keeper.levels == (400, 599)


def test_separate_levels_follow_each_image(keeper):
    keeper.linked = False
    assert keeper.step(RAW, RESTORED, 0.0) == ((0, 999), (400, 599))
    assert keeper.step(RAW, None, 0.1) == ((0, 999), None)


def test_by_hand_changes_the_chosen_image_only(keeper):
    keeper.linked = False
    keeper.chosen = Side.RAW
    keeper.set_levels(5, 50)
    assert not keeper.autostretch
    assert keeper.step(RAW, RESTORED, 0.0) == ((5, 50), (400, 599))
    keeper.chosen = Side.RESTORED
    assert keeper.autostretch
    assert keeper.levels == (400, 599)
    keeper.set_autostretch(False, 0.0)
    keeper.reset()
    assert keeper.step(RAW, RESTORED + 100, 9.0) == ((5, 50), (400, 599)), "it stays"
    keeper.chosen = Side.RAW
    keeper.set_autostretch(True, 10.0)
    assert keeper.step(RAW, RESTORED, 9.1)[0] == (100, 899)
    assert keeper.ignore_percent == 10.0


def test_separated_each_goes_on_as_both_stood_and_linked_as_the_chosen_one(keeper):
    keeper.set_levels(1, 2)
    keeper.linked = False
    assert keeper.step(RAW, RESTORED, 0.0) == ((1, 2), (1, 2))
    keeper.chosen = Side.RAW
    keeper.set_levels(7, 70)
    keeper.linked = True
    assert keeper.step(RAW, RESTORED, 0.0) == ((7, 70), (7, 70))
    keeper.linked = False
    keeper.chosen = Side.RESTORED
    keeper.set_autostretch(True, 0.0)
    keeper.linked = True
    assert keeper.autostretch
    assert keeper.step(RAW, RESTORED, 0.0) == ((400, 599), (400, 599))


def test_levels_of_a_float_image_keep_their_decimals(keeper):
    keeper.linked = False
    pixels = np.linspace(0, 0.5, 100, dtype=np.float32).reshape(10, 10)
    raw, _ = keeper.step(pixels, RESTORED, 0.0)
    assert raw == pytest.approx((0.0, 0.5))


def test_settings_are_given_back_whole(keeper):
    start = keeper.settings
    keeper.linked = False
    keeper.chosen = Side.RAW
    keeper.set_levels(5, 50)
    separate = keeper.settings
    assert separate.words == "raw 5 to 50"
    keeper.put(start)
    assert keeper.linked
    assert keeper.autostretch
    keeper.put(separate)
    assert keeper.step(RAW, RESTORED, 0.0) == ((5, 50), (400, 599))
