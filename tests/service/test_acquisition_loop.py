"""The loop of an acquisition: what it does when a drive moves, the engine fails or is late."""

import threading

import numpy as np
import pytest

from liverestore.acquisition_plan import AcquisitionPlan, Position, even_times
from liverestore.camera.clock import SteppedClock
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.movie import open_movie
from liverestore.service.acquisition import AcquisitionLoop
from liverestore.service.acquisition_files import AcquisitionFiles, check_space
from liverestore.service.acquisition_report import mean_interval_s
from liverestore.zstack import ZStack


class FakeMicroscope:
    """Camera and stages; time passes only by exposures, which take `snap_s`."""

    focus, xy = "Z", "XY"

    def __init__(self, clock, *, snap_s=0.0):
        self.clock, self.snap_s = clock, snap_s
        self.z_um, self.place, self.number = 2.0, (0.0, 0.0), 0
        self.drifts = {}
        """Position of Z after the exposure of that number."""
        self.piezo_um = 50.0

    def snap(self):
        self.clock.sleep(self.snap_s)
        pixels = np.full((8, 8), self.number, np.uint16)
        header = FrameHeader(
            run_id="r", number=self.number, shape=(8, 8), dtype="uint16",
            captured_ns=round(self.clock.now() * 1e9), captured_utc="2026-01-01T00:00:00+00:00",
            camera="c", exposure_ms=10.0, z_um=self.z_um, pixel_size_um=0.3,
        )  # fmt: skip
        self.z_um = self.drifts.get(self.number, self.z_um)
        self.number += 1
        return Frame(pixels, header)

    def select(self, channel):
        raise AssertionError("there are no channels")

    def drives_um(self):
        return {"Z": self.z_um, "Piezo": self.piezo_um}

    def focus_um(self):
        return self.z_um

    def xy_um(self):
        return self.place

    def go_to(self, x_um, y_um):
        self.place = (x_um, y_um)
        return self.place


def two_planes(frame):
    made = Provenance(
        engine="e", version="1", sha256="", runtime="r", started_ns=0, finished_ns=1, parameters={}
    )
    return [Restored(frame.pixels + plane, frame, made) for plane in (100, 200)]


@pytest.fixture
def acquire(tmp_path):
    """Run a plan with a fake microscope: (outcome, microscope)."""

    def run(plan, *, made_of=two_planes, microscope=None, **options):
        clock = SteppedClock()
        microscope = microscope or FakeMicroscope(clock)
        microscope.clock = clock
        names = range(len(plan.positions))
        files = AcquisitionFiles(
            [(tmp_path / f"raw{n}.ome.zarr", tmp_path / f"made{n}.ome.zarr") for n in names],
            stack=ZStack(-1.0, 2.0, 2),
        )
        loop = AcquisitionLoop(plan, microscope, microscope, files, made_of, clock=clock, **options)
        return loop.run(), microscope

    return run


def test_time_points_are_taken_when_they_are_due(acquire):
    outcome, _ = acquire(AcquisitionPlan(even_times(5, 10.0)))
    assert outcome.error is None
    assert outcome.started_s == pytest.approx([0, 10, 20, 30, 40])
    assert outcome.late_s == pytest.approx([0.0] * 5)
    assert mean_interval_s(outcome) == pytest.approx(10.0)
    assert (outcome.exposures, outcome.restored) == (5, 5)
    assert outcome.light_s == pytest.approx(0.05)


def test_a_slow_camera_is_late_and_leaves_nothing_out(acquire):
    outcome, microscope = acquire(
        AcquisitionPlan(even_times(4, 1.0)), microscope=FakeMicroscope(None, snap_s=3.0)
    )
    assert outcome.started_s == pytest.approx([0, 3, 6, 9])
    assert outcome.late_s == pytest.approx([0, 2, 4, 6])
    assert microscope.number == outcome.restored == 4


def test_the_camera_waits_for_the_engine_and_no_more_than_four_frames_are_under_way(acquire):
    """One is restored, two wait, one is about to be given."""
    go, ahead = threading.Semaphore(0), []
    microscope = FakeMicroscope(None)

    def slow(frame):
        assert go.acquire(timeout=20)
        ahead.append(microscope.number - frame.header.number)
        return two_planes(frame)

    def show(_outcome, _doing):
        if microscope.number >= 4:
            go.release()

    plan = AcquisitionPlan(even_times(12, 0.0))
    threading.Timer(0.2, lambda: [go.release() for _ in range(12)]).start()
    outcome, _ = acquire(plan, made_of=slow, microscope=microscope, show=show)
    assert outcome.restored == 12
    assert max(ahead) <= 4


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ({1: 2.4}, "focus drive Z: was at 2 um and is at 2.4 um after exposure 2"),
        ({2: 1.0}, "focus drive Z: was at 2 um and is at 1 um after exposure 3"),
    ],
)
def test_a_focus_drive_that_moves_ends_it_with_the_frame_kept(acquire, tmp_path, drift, said):
    microscope = FakeMicroscope(None)
    microscope.drifts = drift
    outcome, _ = acquire(AcquisitionPlan(even_times(5, 0.0)), microscope=microscope)
    assert isinstance(outcome.error, Failure)
    assert said in str(outcome.error)
    assert "--resume" in str(outcome.error)
    exposures = next(iter(drift)) + 1
    assert outcome.exposures == exposures
    with open_movie(tmp_path / "raw0.ome.zarr") as movie:
        assert len(movie) == exposures
    assert outcome.drives["Z"].highest_um == max(2.0, *drift.values())


def test_readings_that_differ_by_nanometres_are_no_movement(acquire):
    microscope = FakeMicroscope(None)
    microscope.drifts = {0: 2.004, 1: 1.997, 2: 2.0}
    outcome, _ = acquire(AcquisitionPlan(even_times(4, 0.0)), microscope=microscope)
    assert outcome.error is None
    assert (outcome.drives["Z"].lowest_um, outcome.drives["Z"].highest_um) == (1.997, 2.004)


def test_another_drive_that_moves_is_named(acquire):
    microscope = FakeMicroscope(None)

    def show(_outcome, _doing):
        microscope.piezo_um = 60.0 if microscope.number == 2 else 50.0

    outcome, _ = acquire(AcquisitionPlan(even_times(5, 0.0)), microscope=microscope, show=show)
    assert "drive Piezo: was at 50 um and is at 60 um at time point 2" in str(outcome.error)


@pytest.mark.parametrize("error", [Failure("no memory"), ZeroDivisionError("bug")])
def test_an_engine_that_fails_costs_no_raw_frame(acquire, tmp_path, error):
    def failing(frame):
        if frame.header.number == 2:
            raise error
        return two_planes(frame)

    outcome, _ = acquire(AcquisitionPlan(even_times(6, 0.0)), made_of=failing)
    assert (outcome.exposures, outcome.restored, outcome.error) == (6, 2, None)
    assert str(error) in str(outcome.engine_error)
    with open_movie(tmp_path / "raw0.ome.zarr") as movie:
        assert len(movie) == 6
    with open_movie(tmp_path / "made0.ome.zarr") as movie:
        assert movie.leading_shape == (2, 1, 2)


def test_ctrl_c_while_waiting_ends_it_at_once(acquire):
    asked = []
    outcome, microscope = acquire(
        AcquisitionPlan(even_times(3, 1000.0)),
        show=lambda _outcome, doing: asked.append(doing),
        stop=lambda: "next in 999 s" in asked,
    )
    assert outcome.interrupted
    assert microscope.number == outcome.restored == 1
    assert outcome.error is None


def test_a_second_ctrl_c_gives_up_what_waits(acquire, tmp_path):
    def pressed(_outcome, doing):
        if doing == "time point 2":
            raise KeyboardInterrupt

    outcome, _ = acquire(AcquisitionPlan(even_times(5, 0.0)), show=pressed)
    assert outcome.interrupted
    assert outcome.exposures == 2
    with open_movie(tmp_path / "raw0.ome.zarr") as movie:
        assert len(movie) == 2


def test_time_points_that_are_there_are_left_out_for_each_position(acquire):
    plan = AcquisitionPlan(
        even_times(3, 100.0), (Position("a", (0.0, 0.0)), Position("b", (50.0, 0.0)))
    )
    assert [(v.time, v.position, v.due_s) for v in plan.visits([2, 1])] == [
        (1, 1, 0.0), (2, 0, 100.0), (2, 1, 100.0),
    ]  # fmt: skip
    outcome, microscope = acquire(plan, done=[2, 1])
    assert microscope.number == 3
    assert outcome.visited_um == [(0.0, 0.0), (50.0, 0.0)]
    assert outcome.started_s == pytest.approx([0, 100])


def test_a_disk_that_cannot_hold_it_is_refused_first(tmp_path):
    with pytest.raises(UserError, match=r"0\.10 GB of free space.* need 0\.7\d GB"):
        check_space(tmp_path, 100, 13, (512, 512), "uint16", free_bytes=lambda _folder: 10**8)
    check_space(tmp_path, 100, 13, (512, 512), "uint16", free_bytes=lambda _folder: 10**9)
