import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liverestore.errors import UserError
from liverestore.view.feed import ShownPair
from liverestore.view.presenter import Presenter

MS_NS = 1_000_000


@pytest.fixture
def flat(make_frame, make_restored):
    """A pair whose raw frame spans 0..200 and whose restored one spans 50..100 counts."""

    def make(number=0, *, restored=True, shape=(40, 50), scale=1):
        ramp = np.linspace(0, 1, shape[0] * shape[1]).reshape(shape)
        raw = make_frame((200 * scale * ramp).astype(np.uint16), number)
        result = make_restored(raw, (50 * scale * (1 + ramp)).astype(np.uint16))
        return ShownPair(raw, result if restored else None)

    return make


def test_the_restored_image_sets_the_levels_of_both(flat):
    presenter = Presenter(ignore_percent=0.0)
    assert presenter.step(flat(), None, 0).levels == (50, 100)
    assert Presenter(ignore_percent=0.0).step(flat(restored=False), None, 0).levels == (0, 200)


def test_levels_of_counts_are_whole(flat):
    presenter = Presenter(ignore_percent=3.3)
    for i in range(20):
        low, high = presenter.step(flat(i, scale=1 + i), None, i * 210 * MS_NS).levels
        assert low == round(low)
        assert high == round(high)


def test_a_frame_of_another_size_takes_its_own_levels_and_numbers_at_once(flat, make_status):
    presenter = Presenter(ignore_percent=0.0)
    first = presenter.step(flat(), make_status(), 0)
    again = presenter.step(None, make_status(lost=4), 10 * MS_NS)
    assert again.cells is first.cells, "numbers change at a rate that can be read"
    other = presenter.step(flat(1, shape=(30, 30), scale=9), make_status(lost=4), 20 * MS_NS)
    assert other.levels == (450, 900)
    assert other.cells is not first.cells


def test_switching_autostretch_off_keeps_the_levels(flat):
    presenter = Presenter(ignore_percent=0.0)
    presenter.step(flat(), None, 0)
    presenter.levels.set_autostretch(False, 0.0)
    assert presenter.step(flat(1, scale=9), None, 10_000 * MS_NS).levels == (50, 100)
    presenter.levels.set_autostretch(True, 0.0)
    assert presenter.step(None, None, 10_001 * MS_NS).levels == (450, 900)


def test_levels_by_hand_need_no_frame():
    presenter = Presenter()
    presenter.levels.set_levels(10.0, 20.0)
    assert presenter.step(None, None, 0).levels == (10.0, 20.0)


def test_an_unknown_lut_is_refused():
    with pytest.raises(UserError, match="jet"):
        Presenter(lut="jet")


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3000),
        st.sampled_from(["nothing", "raw", "pair", "late", "other run", "other size"]),
        st.sampled_from([None, "starting", "running", "stopped", "failed"]),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STEPS)
def test_whatever_arrives_no_image_is_shown_that_was_not_delivered(
    make_frame, make_restored, make_status, steps
):
    presenter = Presenter()
    now_ns, raws, results = 0, [], []
    run, shape = "run", (8, 8)
    for number, (wait_ms, what, state) in enumerate(steps):
        now_ns += wait_ms * MS_NS
        if what == "other run":
            run = f"run {number}"
        if what == "other size":
            shape = (shape[1] + 1, shape[0])
        pair = None
        if what != "nothing":
            raw = make_frame(
                np.full(shape, number, np.uint16), number, run_id=run, captured_ns=now_ns
            )
            raws.append(raw)
            source = {"pair": raw, "late": raws[max(0, len(raws) - 3)]}.get(what)
            result = None if source is None else make_restored(source)
            results.append(result)
            pair = ShownPair(raw, result)
        status = None if state is None else make_status(state=state)
        shown = presenter.step(pair, status, now_ns)
        assert (shown.raw.image is None) == (not raws)
        assert shown.raw.image is None or shown.raw.image in raws
        assert shown.restored.image is None or shown.restored.image in results
        for pane in (shown.raw, shown.restored):
            assert (pane.image is None) == bool(pane.waiting), "an empty pane says why"
        if shown.restored.image is not None:
            assert shown.restored.image.source.header.run_id == shown.header.run_id
