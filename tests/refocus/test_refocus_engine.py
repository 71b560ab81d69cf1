"""The card of a refocusing engine."""

import pytest

from liverestore.errors import UserError
from liverestore.model_spec import TrainedOptics, engine_problems, find_engine, live_engines


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dpm": None}, "needs dpm and reach_um"),
        ({"reach_um": None}, "needs dpm and reach_um"),
        ({"dpm": "um"}, "dpm"),
        ({"reach_um": -3}, "reach_um"),
        ({"optics": {"depth_um": "deep"}}, "depth_um"),
        ({"optics": {"wavelength_nm": [500]}}, "wavelength_nm"),
    ],
)
def test_a_card_that_lacks_something_is_refused(make_package, change, says):
    make_package(**change)
    with pytest.raises(UserError, match=says):
        find_engine("bend")
    assert "bend" in engine_problems()


def test_a_card_without_optics_sets_no_limits(make_package):
    make_package(optics=None)
    assert find_engine("bend").optics is None


def test_a_single_number_is_a_range_of_no_width():
    optics = TrainedOptics(immersion_index=1.0, depth_um=(5.0, 40.0))
    assert optics.ranges() == {"immersion_index": (1.0, 1.0), "depth_um": (5.0, 40.0)}


def test_the_view_offers_it(make_package):
    make_package()
    assert {"bend", "denoise-live", "mean5"} <= set(live_engines())
