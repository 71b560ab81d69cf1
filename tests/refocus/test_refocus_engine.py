"""The card of a refocusing engine, and where such an engine cannot be used."""

import pytest
from rich.console import Console

from liverestore.cli.run import run_plan
from liverestore.errors import UserError
from liverestore.model_spec import (
    ModelSpec,
    TrainedOptics,
    engine_problems,
    find_engine,
    live_engines,
)
from liverestore.rig import load_rig
from liverestore.service.engine import open_live


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


def test_a_live_run_refuses_before_anything_starts(make_package):
    make_package()
    with pytest.raises(UserError, match=r"'bend' refocuses .* use a denoising engine here"):
        run_plan(load_rig("demo"), "bend", view=None, frames=1, console=Console(quiet=True))
    with pytest.raises(UserError, match="restore IN OUT --engine bend"):
        open_live("bend", 1)
    assert ModelSpec("d", "denoise", "1", "").why_not_live() is None


def test_the_view_does_not_offer_it(make_package):
    make_package()
    offered = live_engines()
    assert "bend" not in offered
    assert {"denoise-live", "mean5"} <= set(offered)
