from datetime import datetime, timedelta

import pytest

from liverestore.camera.stamp import capture_moment, waited_s


def test_the_time_in_the_ring_belongs_to_the_age():
    received = datetime.now() - timedelta(seconds=3)
    waited = waited_s(received.isoformat(sep=" "))
    assert waited == pytest.approx(3, abs=0.5)
    now_ns, now_utc = capture_moment()
    then_ns, then_utc = capture_moment(waited)
    assert (now_ns - then_ns) / 1e9 == pytest.approx(waited, abs=0.5)
    gap = datetime.fromisoformat(now_utc) - datetime.fromisoformat(then_utc)
    assert gap.total_seconds() == pytest.approx(waited, abs=0.5)


@pytest.mark.parametrize(
    "tag", [None, "", "soon", "2001-01-01 00:00:00.0", "2999-01-01 00:00:00.0"]
)
def test_without_a_usable_tag_the_image_is_as_old_as_its_arrival(tag):
    assert waited_s(tag) == 0.0
