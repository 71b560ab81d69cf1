"""The stages of a core: the XY stage moves the field of view and nothing else."""

import msgspec
import numpy as np
import pytest

from liverestore.camera.instrument import SimulatedMicroscope
from liverestore.camera.open import open_core_source
from liverestore.errors import UserError
from liverestore.rig import load_rig


def small(rig, **specimen):
    made = msgspec.structs.replace(rig.specimen, shape=(96, 128), **specimen)
    source = msgspec.structs.replace(rig.source, buffer_size_mb=16)
    return msgspec.structs.replace(rig, specimen=made, source=source)


def test_the_simulated_field_moves_by_what_the_stage_does():
    rig = small(load_rig("demo_refocus"), speed_um_s=0.0)
    microscope = SimulatedMicroscope(rig)
    microscope.set(1, xy_um=(10 * 0.325, -20 * 0.325))
    before, after = microscope.truth(0), microscope.truth(1)
    np.testing.assert_allclose(after[20:, :-10], before[:-20, 10:], atol=1e-3 * before.max())
    assert np.abs(after - before).max() > 0.1 * before.max()


def test_stages_of_the_simulated_core():
    source = open_core_source(small(load_rig("demo_refocus")))
    source.start()
    try:
        stages = source.stages()
        source.configure(z_um=1.5)
        assert stages.go_to(100.0, -30.0) == (100.0, -30.0)
        source.snap()
        assert source.microscope.exposure(0).xy_um == (100.0, -30.0)
        assert source.microscope.exposure(0).z_um == 1.5
        assert stages.drives_um() == {stages.focus: 1.5}
        with pytest.raises(UserError, match=r"does not go to 1e\+09, 0 um .*50000"):
            stages.go_to(1e9, 0.0)
        assert stages.xy_um() == (100.0, -30.0)
    finally:
        source.stop()


def test_a_configuration_without_an_xy_stage_says_so():
    source = open_core_source(load_rig("mmcore_demo"))
    source.start()
    try:
        stages = source.stages()
        assert (stages.drives_um(), stages.xy_um()) == ({"Z": 0.0}, None)
        with pytest.raises(UserError, match="no XY stage"):
            stages.go_to(1.0, 2.0)
    finally:
        source.stop()


def test_a_replay_has_no_stages():
    with pytest.raises(UserError, match="'replay', which has no camera"):
        open_core_source(load_rig("replay"))
