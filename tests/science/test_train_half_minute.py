"""Every trainer for some seconds, from its data to its package: the loss goes down.

Some batches are brighter than others, and their losses with them; so the first few batches come
again and again, as often in the first fifth of the iterations as in the last. Weights that stand
still then give equal losses in both, which the last test makes sure of.
"""

import numpy as np
import pytest
import tifffile

torch = pytest.importorskip("torch", reason="training takes the train extra")
pytest.importorskip("bioimageio.spec", reason="training takes the train extra")

from liverestore.training.blind_spots import BlindSpotPairs  # noqa: E402
from liverestore.training.cross_modality_job import (  # noqa: E402
    CrossModalityJob,
    train_cross_modality,
)
from liverestore.training.cross_modality_pairs import SimulatedModalities  # noqa: E402
from liverestore.training.deepz_pairs import SimulatedRefocusing  # noqa: E402
from liverestore.training.fit import FitSettings  # noqa: E402
from liverestore.training.n2n import N2nJob, train_n2n  # noqa: E402
from liverestore.training.n2v import N2vJob, train_n2v  # noqa: E402
from liverestore.training.refocus_job import RefocusJob, train_refocusing  # noqa: E402
from liverestore.training.simulate import SimulatedPairs  # noqa: E402
from liverestore.training.specimens import scene  # noqa: E402

BATCHES = 4
ITERATIONS = 40  # a fifth of them is twice all batches


@pytest.fixture(autouse=True)
def _few_batches(monkeypatch):
    for source in (SimulatedPairs, BlindSpotPairs, SimulatedRefocusing, SimulatedModalities):

        def pair(self, iteration, original=source.pair):
            return original(self, iteration % BATCHES)

        monkeypatch.setattr(source, "pair", pair)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings(loss, learning_rate):
    return FitSettings(
        iterations=ITERATIONS,
        loss=loss,
        learning_rate=learning_rate,
        warm_up_iterations=5,
        ema_decay=0.9,
    )


def n2n(folder):
    job = N2nJob(folder / "engine", settings("l2", 2e-3), batch=4, crop_px=64, pool_size=12)
    return train_n2n(job)


def n2v(folder):
    rng = np.random.default_rng(1)
    light = 3 + 40 * scene((6, 2), (128, 128))
    movie = np.rint(
        100 + 2 * (rng.poisson(light, (6, 128, 128)) + rng.normal(0, 1.6, (6, 128, 128)))
    )
    tifffile.imwrite(
        folder / "movie.tif", movie.clip(0).astype(np.uint16), metadata={"axes": "TYX"},
        photometric="minisblack",
    )  # fmt: skip
    return train_n2v(
        N2vJob(folder / "movie.tif", folder / "engine", iterations=ITERATIONS, batch=4)
    )


def deepz(folder, *, confocal=False, network="deepz"):
    job = RefocusJob(
        folder / "engine",
        settings("l1", 2e-3),
        confocal=confocal,
        network=network,
        width=0.125,
        batch=4,
        crop_px=64,
        pool_size=4,
        score_stacks=0,
    )
    return train_refocusing(job)


def cross_modality(folder, modality):
    job = CrossModalityJob(
        folder / "engine",
        settings("l2", 1e-3),
        modality=modality,
        width=0.25,
        batch=6,
        crop_px=64,
        pool_size=8,
        score_fields=0,
    )
    return train_cross_modality(job)


TRAININGS = {
    "n2n": (n2n, 0.9),
    "n2v": (n2v, 0.5),
    "deepz": (deepz, 0.9),
    "live-refocus": (lambda folder: deepz(folder, network="live"), 0.9),
    "deepz-plus": (lambda folder: deepz(folder, confocal=True), 0.6),
    "confocal": (lambda folder: cross_modality(folder, "confocal"), 0.5),
    "sted": (lambda folder: cross_modality(folder, "sted"), 0.5),
}
"""The training, and the share of the first fifth's loss that is left in the last."""


def share_left(report):
    fifth = len(report.losses) // 5
    return np.mean(report.losses[-fifth:]) / np.mean(report.losses[:fifth])


@pytest.mark.parametrize("name", TRAININGS)
def test_the_loss_goes_down(name, tmp_path):
    train, margin = TRAININGS[name]
    report = train(tmp_path)
    assert len(report.losses) == ITERATIONS
    assert share_left(report) < margin
    assert (tmp_path / "engine" / "rdf.yaml").is_file()


def test_a_training_that_stands_still_reaches_no_margin(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)
    report = deepz(tmp_path)
    assert share_left(report) == pytest.approx(1.0, abs=1e-6)
    assert max(margin for _, margin in TRAININGS.values()) < 0.95
