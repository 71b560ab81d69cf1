"""What a live run had no time for, made after it: surfaces, virtual stacks, several files."""

import numpy as np
import pytest
from kept_results import FrameMaker, numbers_in
from refocus_run import AIR

from liverestore.camera_model import CameraModel
from liverestore.cli.backlog_job import Backlog
from liverestore.cli.backlog_plan import Results
from liverestore.dpm import parse_dpm
from liverestore.errors import UserError
from liverestore.model_spec import find_engine
from liverestore.movie import open_movie
from liverestore.optics import Optics
from liverestore.restore import restore, restore_planes
from liverestore.runtime.table import open_runtime
from liverestore.service.result_files import StackSink
from liverestore.writer.layout import RECORDING, recording_of
from liverestore.writer.ome import OmeSink
from liverestore.zstack import parse_zstack

CAMERA = CameraModel(100.0, 0.5, 1.4)
OPTICS = Optics(
    AIR.numerical_aperture, AIR.wavelength_nm, AIR.immersion_index, AIR.sample_index,
    AIR.pixel_size_um, AIR.depth_um, zernike_waves=((6, 0.0333333333),),
)  # fmt: skip
STACK = parse_zstack("-1:1:0.5")


@pytest.fixture
def bend(make_package):
    """An engine that refocuses, which makes results as a live run does."""
    make_package()
    spec = find_engine("bend")
    runtime = open_runtime(spec, threads=1)

    class Bend:
        def picture(self, frame, dpm):
            return restore(
                frame, spec, runtime.infer, CAMERA, parse_dpm(dpm), optics=OPTICS,
                runtime=runtime.description,
            )  # fmt: skip

        def stack(self, frame):
            return list(
                restore_planes(
                    frame, spec, runtime.infer, CAMERA, STACK.planes_um, optics=OPTICS,
                    runtime=runtime.description,
                )
            )  # fmt: skip

    yield Bend()
    runtime.close()


@pytest.fixture(params=[".ome.zarr", ".ome.tif"])
def extension(request):
    return request.param


def write(path, items, layout=RECORDING):
    sink = OmeSink(path, layout=layout)
    for item in items:
        sink.append(item)
    sink.close()
    return path


def write_stacks(path, stacks, channels=(None,)):
    sink = StackSink(path, STACK, channels, lambda _channel: OPTICS)
    for stack in stacks:
        for plane in stack:
            sink.append(plane)
    sink.close()
    return path


def complete(raw, files, stop_after=None):
    steps = []

    def on_step():
        steps.append(1)
        return len(steps) == stop_after

    with open_movie(raw) as movie:
        results = Results(movie.header(0).run_id)
        for path in files:
            results.add(path)
        try:
            return Backlog(movie, results, None, on_step=on_step).run()
        finally:
            results.close()


def check(movie, index, expected):
    np.testing.assert_array_equal(movie[index], expected.pixels)
    record = movie.record(index)
    assert record.header == expected.source.header
    assert record.provenance.parameters == expected.provenance.parameters
    assert record.provenance.warnings == expected.provenance.warnings


def test_a_surface_goes_on_as_it_was_turned(tmp_path, bend, extension):
    make = FrameMaker((32, 48))
    frames = [make(number) for number in range(8)]
    raw = write(tmp_path / f"raw{extension}", frames)
    surfaces = {0: "1.5", 4: "plane:1,0.05,-0.1"}
    given = [bend.picture(frames[n], surface) for n, surface in surfaces.items()]
    out = write(tmp_path / f"restored{extension}", given)
    said = complete(raw, [out])
    assert (said.asked, said.restored, said.files) == (6, 6, [(out, 8)])
    with open_movie(out) as movie:
        for number, frame in enumerate(frames):
            check(movie, number, bend.picture(frame, surfaces[4 * (number // 4)]))


@pytest.mark.parametrize("channels", [1, 2])
def test_stacks_of_all_frames(tmp_path, bend, extension, channels):
    names = ("DAPI", "GFP")[:channels] if channels > 1 else (None,)
    make = FrameMaker((32, 48))
    frames = [make(n, channel=names[n % channels]) for n in range(6)]
    raw = write(tmp_path / f"raw{extension}", frames, recording_of(channels))
    given = [bend.stack(frames[n]) for n in ((2,) if channels == 1 else (0, 3))]
    out = write_stacks(tmp_path / f"restored{extension}", given, names)
    said = complete(raw, [out])
    assert said.restored == 6 - channels
    with open_movie(out) as movie:
        assert movie.axes == ("TZYX" if channels == 1 else "TCZYX")
        assert movie.leading_shape == ((6, 5) if channels == 1 else (3, 2, 5))
        assert movie.z_step_um == pytest.approx(0.5)
        for number, frame in enumerate(frames):
            for z, expected in enumerate(bend.stack(frame)):
                check(movie, 5 * number + z, expected)


def test_a_stack_that_was_switched_on_and_off_keeps_two_files(tmp_path, bend, extension):
    make = FrameMaker((32, 48))
    frames = [make(number) for number in range(12)]
    raw = write(tmp_path / f"raw{extension}", frames)
    plain = write(tmp_path / f"restored{extension}", [bend.picture(frames[n], "2") for n in (1, 9)])
    stacks = write_stacks(
        tmp_path / f"restored_part2{extension}", [bend.stack(frames[n]) for n in (4, 6)]
    )
    first = complete(raw, [plain, stacks], stop_after=8)
    assert first.interrupted
    # the first file is whole, of the second one a part
    assert first.files[0] == (plain, 7)
    working = tmp_path / f"restored_part2_resuming{extension}"
    assert first.files[1] == (working, 2)
    said = complete(raw, [plain, stacks, working])
    assert not said.interrupted
    assert said.files == [(plain, 7), (stacks, 5)]
    assert numbers_in(plain) == [0, 1, 2, 3, 9, 10, 11]
    assert numbers_in(stacks) == [number for number in range(4, 9) for _ in range(5)]
    with open_movie(stacks) as movie:
        assert (movie.axes, movie.leading_shape) == ("TZYX", (5, 5))
        for place, expected in enumerate(bend.stack(frames[8])):
            check(movie, 20 + place, expected)
    with open_movie(plain) as movie:
        check(movie, 6, bend.picture(frames[11], "2"))
    kept = {path.name for path in tmp_path.iterdir() if path.name.startswith("r")}
    assert kept >= {raw.name, plain.name, stacks.name}
    assert not [name for name in kept if "resuming" in name or "replaced" in name]


def test_a_surface_that_is_gone_is_told(tmp_path, bend):
    frames = [FrameMaker((32, 48))(number) for number in range(3)]
    raw = write(tmp_path / "raw.ome.zarr", frames)
    surface = tmp_path / "surface.npy"
    np.save(surface, np.full((32, 48), 2.0, np.float32))
    out = write(tmp_path / "restored.ome.zarr", [bend.picture(frames[0], str(surface))])
    np.save(surface, np.full((32, 48), 3.0, np.float32))
    with pytest.raises(UserError, match="frame 1 would be restored with dpm_m"):
        complete(raw, [out])
    surface.unlink()
    with pytest.raises(UserError, match="is not to be found any more"):
        complete(raw, [out])
    assert numbers_in(out) == [0]
