import pytest

from liverestore.view.undo import Change, History


class Setting:
    """A number that remembers in a history what it was."""

    def __init__(self, history, what="exposure", value=10, **facts):
        self.history, self.what, self.value, self.facts = history, what, value, facts

    def put(self, value):
        self.value = value

    def change(self, value, now_s=0.0):
        self.history.add(Change(self.what, self.value, value, self.put, **self.facts), now_s)
        self.value = value


def test_changes_are_undone_and_redone_in_order():
    history = History()
    exposure = Setting(history, words=lambda ms: f"{ms} ms")
    engine = Setting(history, "engine", "denoise")
    exposure.change(20)
    engine.change("mean5")
    assert history.undo_name == "engine denoise → mean5"
    assert history.undo().what == "engine"
    assert (exposure.value, engine.value) == (20, "denoise")
    assert history.undo_name == "exposure 10 ms → 20 ms"
    assert history.redo_name == "engine denoise → mean5"
    history.undo()
    assert exposure.value == 10
    assert history.undo_name is None
    assert history.undo() is None
    history.redo()
    history.redo()
    assert (exposure.value, engine.value) == (20, "mean5")
    assert history.redo_name is None
    assert history.redo() is None


def test_a_new_change_ends_what_could_be_redone():
    history = History()
    exposure = Setting(history)
    exposure.change(20)
    history.undo()
    exposure.change(30)
    assert history.redo_name is None
    history.undo()
    assert exposure.value == 10


def test_turning_a_number_is_one_change_and_choosing_is_not():
    history = History(gather_s=1.0)
    z = Setting(history, "z", 0.0, gathers=True)
    for step in range(1, 6):
        z.change(float(step), now_s=0.5 * step)
    assert history.undo_name == "z 0.0 → 5.0"
    z.change(9.0, now_s=10.0)
    assert history.undo_name == "z 5.0 → 9.0", "after a rest it is another change"
    engine = Setting(history, "engine", "a")
    engine.change("b", now_s=10.1)
    engine.change("c", now_s=10.2)
    history.undo()
    assert engine.value == "b"


def test_what_was_turned_back_leaves_nothing_to_undo():
    history = History()
    z = Setting(history, "z", 0.0, gathers=True)
    z.change(0.0)
    z.change(1.0, now_s=0.1)
    z.change(0.0, now_s=0.2)
    assert history.undo_name is None


def test_a_change_after_an_undo_does_not_join_the_one_before():
    history = History()
    z = Setting(history, "z", 0.0, gathers=True)
    z.change(1.0, now_s=0.0)
    z.change(2.0, now_s=5.0)
    history.undo()
    z.change(3.0, now_s=5.1)
    history.undo()
    assert z.value == 1.0


def test_putting_a_value_is_no_change_of_its_own():
    history = History()
    exposure = Setting(history)
    exposure.put = lambda value: exposure.change(value)
    exposure.change(20)
    history.undo()
    assert exposure.value == 10
    assert history.undo_name is None
    assert history.redo_name == "exposure 10 → 20"


def test_a_failing_put_leaves_a_history_that_goes_on():
    history = History()

    def refuse(_value):
        raise ValueError("no")

    history.add(Change("exposure", 1, 2, refuse), 0.0)
    with pytest.raises(ValueError, match="no"):
        history.undo()
    exposure = Setting(history)
    exposure.change(20)
    history.undo()
    assert exposure.value == 10


def test_the_oldest_are_forgotten():
    history = History(most=3)
    exposure = Setting(history)
    for ms in range(11, 21):
        exposure.change(ms)
    while history.undo():
        pass
    assert exposure.value == 17
