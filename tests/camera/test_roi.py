"""A camera that rounds a ROI, one that has none and one that does as it likes."""

import pytest

from liverestore.camera.roi import set_core_roi
from liverestore.errors import UserError


class Core:
    """A core whose camera of 640 x 480 pixels takes `snapped(roi)` for a ROI."""

    def __init__(self, snapped):
        self.snapped = snapped
        self.roi = (0, 0, 640, 480)

    def get_roi(self):
        return list(self.roi)

    def get_image_width(self):
        return self.roi[2]

    def get_image_height(self):
        return self.roi[3]

    def clear_roi(self):
        self.roi = (0, 0, 640, 480)

    def set_roi(self, *roi):
        self.roi = self.snapped(roi)


def test_rounding_to_the_steps_of_the_readout_is_usual():
    core = Core(lambda roi: tuple(16 * (edge // 16) for edge in roi))
    set_core_roi(core, "Cam", (21, 35, 130, 99))
    assert core.roi == (16, 32, 128, 96)
    set_core_roi(core, "Cam", None)
    assert core.roi == (0, 0, 640, 480)


def test_a_camera_with_other_ideas_is_left_as_it_was():
    core = Core(lambda roi: (0, 0, roi[2], roi[3]))  # centres nothing, keeps its corner
    core.roi = (0, 0, 320, 240)
    with pytest.raises(UserError, match=r"got a ROI of 64 x 64 at \(200, 200\) and would read out"):
        set_core_roi(core, "Cam", (200, 200, 64, 64))
    assert core.roi == (0, 0, 320, 240)


def test_a_camera_without_a_roi_says_so():
    def refuse(_roi):
        raise RuntimeError("This operation\n is not supported")

    core = Core(refuse)
    with pytest.raises(UserError, match=r"refuses a ROI.*This operation is not supported"):
        set_core_roi(core, "Cam", (0, 0, 64, 64))
    assert core.roi == (0, 0, 640, 480)
