"""What a training goes on from, what it refuses to mix, and what its card says of it."""

import dataclasses

import pytest

torch = pytest.importorskip("torch", reason="training takes the train extra")

import liverestore  # noqa: E402
from liverestore.errors import UserError  # noqa: E402
from liverestore.training import cross_modality_job as cross  # noqa: E402
from liverestore.training import n2n, refocus_score, score, unseen_specimens  # noqa: E402
from liverestore.training.fit import FitSettings, fit, load_checkpoint, save_checkpoint  # noqa: E402
from liverestore.training.job import Course, TrainingOptions, checkpoint_of  # noqa: E402
from liverestore.training.lineage import SIMULATION_REVISION, lineage  # noqa: E402
from liverestore.training.n2n import N2nJob, train_n2n  # noqa: E402
from liverestore.training.networks import LiveUNet  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A job of two iterations with a network of 8 and 16 channels."""
    tiny = dataclasses.replace(n2n.NETWORKS["live"], make=lambda: LiveUNet((8, 16), (1, 1), (1,)))
    monkeypatch.setitem(n2n.NETWORKS, "live", tiny)
    monkeypatch.setattr(n2n, "simulated_scores", lambda infer: {"network": 1.0})
    return N2nJob(
        tmp_path / "engine", FitSettings(iterations=2), batch=1, crop_px=32, pool_size=1, seed=3
    )


@pytest.fixture
def cards(monkeypatch):
    """What the cards of the packages that would be written say of their training."""
    made = []
    monkeypatch.setattr(
        Course, "export", lambda self, network, card, *rest: made.append(card.training)
    )
    return made


def further(job, **changes):
    return dataclasses.replace(
        job, resume=True, replace=True, settings=FitSettings(iterations=3), **changes
    )


def test_the_card_names_release_and_simulation(small, cards):
    train_n2n(small)
    assert cards[-1]["liverestore"] == liverestore.__version__
    assert cards[-1]["simulation_revision"] == SIMULATION_REVISION
    # From a checkpoint of before revisions were counted, which knows nothing of its course.
    state = load_checkpoint(small.checkpoint)
    del state["made_with"]
    save_checkpoint(small.checkpoint, state)
    train_n2n(further(small, seed=8, batch=2))
    assert cards[-1]["simulation_revision"] == f"uncounted, then {SIMULATION_REVISION}"
    assert cards[-1]["iterations"] == 3
    # And the next one still knows.
    train_n2n(further(small, seed=8, batch=2))
    assert cards[-1]["simulation_revision"] == f"uncounted, then {SIMULATION_REVISION}"
    assert len(cards) == 3


def test_the_lineage_counts_each_revision_once():
    now = SIMULATION_REVISION
    assert lineage(None) == [now]
    assert lineage({}) == [0, now]
    assert lineage({"simulations": [1]}) == [1, now]
    assert lineage({"simulations": [0, now]}) == [0, now]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "--seed 3, but got --seed 4"),
        ({"batch": 2}, "--batch 1, but got --batch 2"),
        ({"crop_px": 64}, "--crop 32, but got --crop 64"),
    ],
)
def test_a_training_goes_on_with_its_own_pairs_only(small, change, words, cards):
    train_n2n(small)
    with pytest.raises(UserError, match=words):
        train_n2n(further(small, **change))
    # What decides no pair may differ.
    assert train_n2n(further(small, threads=1)).iterations == 3


def test_a_training_goes_on_with_its_own_loss_only(small, cards):
    train_n2n(small)
    again = dataclasses.replace(further(small), settings=FitSettings(iterations=3, loss="l1"))
    with pytest.raises(UserError, match="a loss of l2, but got a loss of l1"):
        train_n2n(again)


def test_a_checkpoint_of_another_network_is_one_line(tmp_path):
    class Pairs:
        def pair(self, iteration):
            return torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)

    file = tmp_path / "c.pt"
    fit(LiveUNet((8, 16), (1, 1), (1,)), Pairs(), FitSettings(iterations=1), file)
    with pytest.raises(UserError, match="of another network"):
        fit(LiveUNet((8, 24), (1, 1), (1,)), Pairs(), FitSettings(iterations=2), file, resume=True)


def test_two_sets_of_weights_are_refused(tmp_path):
    first = checkpoint_of(tmp_path / "e")
    save_checkpoint(first, {"iteration": 1})
    start = TrainingOptions(start="denoise-live")
    with pytest.raises(UserError, match="--resume --from denoise-live: got two"):
        Course(tmp_path / "e", dataclasses.replace(start, resume=True))
    with pytest.raises(UserError, match="--adversarial --from denoise-live: got two"):
        Course(tmp_path / "e", start, adversarial=True)
    Course(tmp_path / "e", start)


def test_a_second_job_needs_a_first(tmp_path):
    with pytest.raises(UserError, match="train without --adversarial first"):
        Course(tmp_path / "e", TrainingOptions(), adversarial=True)
    with pytest.raises(UserError, match="train without --adversarial first"):
        Course(tmp_path / "e", TrainingOptions(resume=True), adversarial=True)
    save_checkpoint(checkpoint_of(tmp_path / "e"), {"iteration": 1})
    with pytest.raises(UserError, match="train without --resume first"):
        Course(tmp_path / "e", TrainingOptions(resume=True), adversarial=True)


def test_a_package_cannot_lie_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "engine", tmp_path / "file"):
        with pytest.raises(UserError, match="is a file"):
            Course(out, TrainingOptions(replace=True))


@pytest.mark.parametrize(
    "seed", [score._SEED, refocus_score._SEED, cross._SEED, unseen_specimens._SEED]
)
def test_the_seeds_of_the_test_sets_are_kept_for_them(seed, tmp_path):
    with pytest.raises(UserError, match=f"--seed {seed}"):
        Course(tmp_path / "e", TrainingOptions(seed=seed))
