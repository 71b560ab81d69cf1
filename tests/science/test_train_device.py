"""Everything of a training is made where it trains; nothing waits for the device on the way.

There is no GPU where tests run, so the device "meta" stands for one: its tensors have no values,
so fetching one raises, and so does mixing them with tensors of the CPU. A mode that watches every
operation refuses large tensors that are made on the CPU all the same.
"""

import contextlib
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training takes the train extra")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from liverestore.camera_model import expected_stabilised  # noqa: E402
from liverestore.errors import UserError  # noqa: E402
from liverestore.training import accelerator  # noqa: E402
from liverestore.training.accelerator import (  # noqa: E402
    choose_device,
    exact_products,
    fast_products,
    hardware_words,
    moved,
)
from liverestore.training.adversarial import AdversarialSettings, _Job  # noqa: E402
from liverestore.training.ahead import Ahead  # noqa: E402
from liverestore.training.cross_modality_networks import (  # noqa: E402
    CrossModalityDiscriminator,
    CrossModalityGenerator,
)
from liverestore.training.cross_modality_pairs import SimulatedModalities  # noqa: E402
from liverestore.training.deepz_networks import DeepZDiscriminator, DeepZGenerator  # noqa: E402
from liverestore.training.deepz_pairs import SimulatedRefocusing  # noqa: E402
from liverestore.training.dice import Dice  # noqa: E402
from liverestore.training.fit import FitSettings, LossLog, fit, fit_step, update_average  # noqa: E402
from liverestore.training.live_refocus_unet import LiveRefocusUNet  # noqa: E402
from liverestore.training.losses import LOSSES  # noqa: E402
from liverestore.training.networks import LiveUNet  # noqa: E402
from liverestore.training.photographs import photographed  # noqa: E402
from liverestore.training.prepared import Prepared  # noqa: E402
from liverestore.training.simulate import SimulatedPairs  # noqa: E402
from liverestore.training.specimens import numbered_scene  # noqa: E402
from liverestore.training.volumes import KINDS, Grid, random_volume, voxels  # noqa: E402

META = torch.device("meta")
SMALL = {"batch": 3, "crop_px": 64, "margin_px": 0, "pool_size": 2, "planes": 5, "device": META}


class OnlyOn(TorchDispatchMode):
    """Refuses results of more than 64 numbers that are on the CPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.lift_fresh.default:
            return result  # an array of NumPy, on its way
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu":
                assert tensor.numel() <= 64, f"{function} made {tuple(tensor.shape)} on the CPU"
        return result


def test_the_watch_and_the_device_notice_what_they_are_for():
    with OnlyOn():
        torch.ones(64)
        with pytest.raises(AssertionError, match="on the CPU"):
            torch.ones(65)
    with pytest.raises(RuntimeError, match=r"meta"):
        torch.ones(3, device=META) + torch.ones(3)
    with pytest.raises((RuntimeError, NotImplementedError), match=r"meta"):
        float(torch.ones(3, device=META).sum())


@pytest.fixture
def uploads(monkeypatch):
    """What NumPy made may be moved to the device; the watch looks away for that."""
    sizes = []

    def upload(tensor, device):
        sizes.append(tensor.numel())
        return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)

    for module in ("dice", "photographs", "rendering", "simulate"):
        monkeypatch.setattr(f"liverestore.training.{module}.moved", upload)
    return sizes


SOURCES = {
    "n2n": lambda: SimulatedPairs(1, batch=3, crop_px=64, pool_size=4, scene_px=96, device=META),
    "deepz": lambda: SimulatedRefocusing(1, **SMALL),
    "live-refocus": lambda: SimulatedRefocusing(1, **SMALL),
    "deepz-plus": lambda: SimulatedRefocusing(1, confocal=True, **SMALL),
    "confocal": lambda: SimulatedModalities(1, "confocal", **SMALL),
    "sted": lambda: SimulatedModalities(1, "sted", **SMALL),
}


@pytest.mark.parametrize("name", SOURCES)
def test_data_are_simulated_on_the_device(name, uploads):
    source = SOURCES[name]()
    with OnlyOn():
        for iteration in (0, 1):
            seen, target = source.pair(iteration)
            assert seen.device == target.device == META
            assert target.shape == (3, 1, 64, 64)
    # What NumPy makes is moved once, not with every batch.
    large = sum(size > 5000 for size in uploads)
    source.pair(2)
    assert sum(size > 5000 for size in uploads) - large <= 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_specimen_is_made_on_the_device(kind, uploads):
    grid = Grid(9, 64, 0.5, 0.3)
    with OnlyOn():
        for seed in range(4):
            points = KINDS[kind][0](grid, Dice.seeded(seed, META), 2.0)
            assert all(part.device == META for part in points)
            assert voxels(points, grid).device == META
            assert random_volume(grid, Dice.seeded(seed, META)).device == META


@pytest.mark.parametrize("name", ["n2n", "deepz", "live-refocus", "confocal"])
@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_a_step_is_made_on_the_device(name, loss, uploads):
    makers = {
        "n2n": LiveUNet,
        "deepz": lambda: DeepZGenerator(0.0625),
        "live-refocus": lambda: LiveRefocusUNet((8, 8)),
        "confocal": lambda: CrossModalityGenerator(0.0625),
    }
    with META:
        network, average = makers[name](), makers[name]()
    network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    source = SOURCES[name]()
    with OnlyOn():
        for iteration in range(2):
            pair = source.pair(iteration)
            made = fit_step(network, optimiser, pair, LOSSES[loss], 0.5, bf16=False)
            update_average(average, network, 0.9)
            assert made.device == META


@pytest.mark.parametrize("recipe", ["deepz", "cross-modality"])
def test_an_adversarial_step_is_made_on_the_device(recipe, uploads):
    with META:
        make, tell = (
            (DeepZGenerator(0.0625), DeepZDiscriminator(0.0625))
            if recipe == "deepz"
            else (CrossModalityGenerator(0.0625), CrossModalityDiscriminator(0.0625))
        )
    source = SOURCES["deepz" if recipe == "deepz" else "confocal"]()
    job = _Job(make, tell, AdversarialSettings(recipe, iterations=4), {})
    with OnlyOn():
        for iteration in range(3):
            losses = job.step(*source.pair(iteration))
            assert losses.shape == (3,)
            assert losses.device == META


def test_pairs_of_a_gpu_come_through_a_stream_of_their_own(monkeypatch):
    """The order of what is asked of CUDA, with a stream that only takes notes."""
    notes = []

    class Stream:
        def __init__(self, name="pairs"):
            self.name = name

        def wait_stream(self, other):
            notes.append(f"{self.name} waits for {other.name}")

        def record_event(self):
            notes.append(f"{self.name} records")
            return "ready"

        def wait_event(self, event):
            notes.append(f"{self.name} waits until {event}")

    @contextlib.contextmanager
    def inside(stream):
        notes.append(f"in {stream.name}")
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("training"))
    monkeypatch.setattr(torch.cuda, "stream", inside)
    monkeypatch.setattr("liverestore.training.ahead.moved", lambda tensor, device: tensor)
    monkeypatch.setattr(
        torch.Tensor, "record_stream", lambda self, stream: notes.append(f"kept for {stream.name}")
    )

    class Source:
        closed = 0

        def pair(self, iteration):
            return torch.full((1,), iteration), torch.full((1,), -iteration)

        def close(self):
            self.closed += 1

    source = Source()
    with Ahead(source, depth=1, device=torch.device("cuda", 0)) as ahead:
        for iteration in range(2):
            seen, target = ahead.pair(iteration)
            assert (int(seen), int(target)) == (iteration, -iteration)
    assert source.closed == 1
    one = ["in pairs", "pairs records", "training waits until ready", *["kept for training"] * 2]
    assert notes == ["pairs waits for training", *one, *one]


def test_the_precision_of_a_gpu_is_put_back():
    """These are settings of the process; they can be made without a GPU."""
    gpu, flags = torch.device("cuda", 0), torch.backends.cudnn
    before = flags.benchmark, flags.allow_tf32
    with fast_products(gpu):
        assert flags.benchmark
        exact_products(gpu, exact=True)
        assert not flags.allow_tf32
        exact_products(gpu, exact=False)
        assert flags.allow_tf32
    assert (flags.benchmark, flags.allow_tf32) == before
    with fast_products(torch.device("cpu")):
        exact_products(torch.device("cpu"), exact=True)
        assert (flags.benchmark, flags.allow_tf32) == before


def test_losses_of_a_gpu_are_fetched_in_blocks_and_all_of_them():
    heard = []
    log = LossLog(torch.device("cuda"), "loss", lambda *row: heard.append(row))
    for iteration in range(1, 46):
        log.add(iteration, iteration / 45, torch.tensor([float(iteration)]))
        assert len(heard) == iteration // 20 * 20
    log.fetch()
    assert [row[:2] for row in heard] == [(n, float(n)) for n in range(1, 46)]
    log.fetch()
    assert len(log.rows) == 45


def test_the_mean_table_is_the_exact_mean():
    """Against NumPy's interpolation between the same nodes, and beyond the last of them."""
    from liverestore.training import photographs

    light = torch.tensor([0.0, 0.01, 1.0, 35.9, 36.0, 36.1, 900.0, 4899.0, 1e5])
    roots = np.minimum(np.sqrt(light.numpy()), photographs._LAST_ROOT)
    for row, choice in enumerate(range(7)):
        found = photographs._mean(light.view(1, 1, 1, -1), torch.tensor([choice]))
        exact = np.interp(roots, photographs._TABLE_ROOTS, photographs._mean_tables()[row])
        np.testing.assert_allclose(found.flatten().numpy(), exact, rtol=2e-4)
    many = np.array([901.0, 5000.0])
    for read in (0.5, 3.0):
        np.testing.assert_allclose(
            photographs._mean_of_many(many, read), expected_stabilised(many, read), atol=1e-5
        )
    clean = torch.ones(2, 1, 8, 8)
    assert photographed(clean, clean, Dice.seeded(1)).mean.shape == (2, 1, 8, 8)


def test_scenes_of_other_processes_are_those_made_here():
    there = SimulatedPairs(3, batch=2, crop_px=32, pool_size=5, scene_px=48, workers=1)
    here = SimulatedPairs(3, batch=2, crop_px=32, pool_size=5, scene_px=48)
    with Ahead(there) as ahead:
        for iteration in range(3):
            for a, b in zip(ahead.pair(iteration), here.pair(iteration), strict=True):
                assert torch.equal(a, b)
    with pytest.raises(RuntimeError, match="shutdown"):
        there.pair(400)  # its processes have ended with it


def test_prepared_results_come_by_number_and_errors_with_them():
    made = []

    def make(number):
        made.append(number)
        return number**2

    inline = Prepared(make)
    inline.want(range(5))
    assert made == []  # without processes nothing is made before it is needed
    assert [inline.get(n) for n in (3, 1)] == [9, 1]
    inline.close()
    failing = Prepared(_fails, workers=1)
    failing.want([7])
    with pytest.raises(ValueError, match="number 7"):
        failing.get(7)
    failing.close()
    failing.close()


def _fails(number):
    raise ValueError(f"number {number}")


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_leaves_no_process_behind():
    script = """
        import functools, os, signal, time
        from liverestore.training.prepared import Prepared
        from liverestore.training.specimens import numbered_scene
        if __name__ == "__main__":
            scenes = Prepared(functools.partial(numbered_scene, 1, 32), workers=1)
            scenes.want(range(3))
            scenes.get(2)
            children = [p.pid for p in scenes._pool._processes.values()]
            print(*children, flush=True)
            os.kill(children[0], signal.SIGINT)  # heard by all of a terminal, ignored by these
            scenes.want(range(3, 5))
            scenes.get(4)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    code = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (child,) = (int(word) for word in done.stdout.split())
    import time
    from pathlib import Path

    until = time.monotonic() + 30
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < until:
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        assert time.monotonic() < until, "the helper outlived its parent"


def test_devices_by_name(monkeypatch):
    assert choose_device("cpu") == torch.device("cpu")
    assert hardware_words(torch.device("cpu")).endswith("-core CPU")
    with pytest.raises(UserError, match="cpu, cuda and auto"):
        choose_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(UserError, match="sees no NVIDIA GPU"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GPU of a test")
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 0)
    assert hardware_words(torch.device("cuda", 0)).startswith("GPU of a test, ")
    assert accelerator.spare_workers(torch.device("cpu")) == 0
    assert accelerator.spare_workers(torch.device("cuda", 0)) >= 1
    tensor = torch.ones(2)
    assert moved(tensor, torch.device("cpu")) is tensor


def test_a_checkpoint_of_another_device_is_read(tmp_path, monkeypatch):
    """`torch.load` is told to bring everything to the CPU, wherever it was saved from."""
    torch.manual_seed(0)
    network = LiveUNet((8, 16), (1, 1), (1,))
    source = SimulatedPairs(3, batch=2, crop_px=32, pool_size=2, scene_px=48)
    fit(network, source, FitSettings(iterations=2), tmp_path / "c.pt")
    seen = []
    load = torch.load

    def spy(path, **keywords):
        seen.append(keywords["map_location"])
        return load(path, **keywords)

    monkeypatch.setattr(torch, "load", spy)
    report = fit(network, source, FitSettings(iterations=3), tmp_path / "c.pt", resume=True)
    assert report.iterations == 3
    assert seen == ["cpu"]


def test_scenes_by_number_follow_their_seed():
    np.testing.assert_array_equal(numbered_scene(4, 32, 9), numbered_scene(4, 32, 9))
    assert not np.array_equal(numbered_scene(4, 32, 9), numbered_scene(5, 32, 9))
