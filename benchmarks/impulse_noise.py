"""Random-valued impulse noise, p = 0.70: what each loss makes of it (Lehtinen et al. 2018, 4.2).

    python benchmarks/impulse_noise.py [--iterations 10000] [--out FOLDER] [--json FILE]

Four networks, alike but for their loss, learn from simulated fluorescence scenes in which a
share of the pixels, drawn anew for each scene from 0 to 0.95, is replaced by random values:
against targets with the same noise with L2, L1 and the annealed L0, and against clean targets
with L2. They are then compared on scenes that none of them saw, where 70 % of the pixels are
replaced, beside the analytic optima of L2 and L1. A second call goes on where the first was
stopped, and takes what is finished as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from liverestore.training.fit import FitSettings, fit, load_checkpoint
from liverestore.training.impulse import ImpulsePairs, l1_optimum, l2_optimum, with_impulses
from liverestore.training.networks import LiveUNet
from liverestore.training.simulate import Ahead
from liverestore.training.specimens import scene

PROBABILITY = 0.70
TEST_SEED = 70_000
"""Apart from the seeds of the training."""
JOBS = {
    "L2, noisy targets": ("l2", False),
    "L1, noisy targets": ("l1", False),
    "L0, noisy targets": ("l0", False),
    "L2, clean targets": ("l2", True),
}


def new_network(seed: int) -> LiveUNet:
    """The live network, for pictures in [-0.5, 0.5]."""
    torch.manual_seed(seed)
    network = LiveUNet()
    network.level, network.scale = 0.0, 0.5
    return network


def trained(job: str, folder: Path, iterations: int, seed: int, batch: int) -> LiveUNet:
    """The network of one job, trained so long or taken up where it was left."""
    loss, clean_targets = JOBS[job]
    network = new_network(seed)
    checkpoint = folder / f"{loss}-{'clean' if clean_targets else 'noisy'}.pt"
    begun = checkpoint.is_file()
    if begun:
        state = load_checkpoint(checkpoint)
        if int(state["iteration"]) >= iterations:
            network.load_state_dict(state["average"])
            return network.eval()
    # What the annealed loss is after comes at its end, when the learning rate must not be gone.
    settings = FitSettings(
        iterations=iterations, loss=loss, constant_share=0.7 if loss == "l0" else 0.5
    )
    source = ImpulsePairs(seed, batch=batch, clean_targets=clean_targets)
    columns = (
        TextColumn(job),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar, Ahead(source) as ahead:
        task = bar.add_task(job, total=iterations, loss=float("nan"))
        report = fit(
            network,
            ahead,
            settings,
            checkpoint,
            resume=begun,
            on_iteration=lambda done, value, _: bar.update(task, completed=done, loss=value),
        )
    if report.interrupted:
        sys.exit(
            f"stopped after {report.iterations} iterations; the same command goes on from there"
        )
    return network


def psnr(image: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """For pictures in 0..1, in dB."""
    return float(-10 * np.log10(np.square(image - truth, dtype=np.float64).mean()))


def measured(networks: dict[str, LiveUNet], scenes: int) -> dict[str, float]:
    """Mean PSNR over unseen scenes, in dB."""
    rows: dict[str, list[float]] = {}
    for number in range(scenes):
        truth = scene((TEST_SEED, number), (256, 256)).clip(0, 1).astype(np.float32)
        generator = torch.Generator().manual_seed(TEST_SEED + number)
        clean = torch.from_numpy(truth)[None, None]
        noisy = with_impulses(clean, torch.full((1, 1, 1, 1), PROBABILITY), generator)
        made = {"input": noisy}
        with torch.no_grad():
            for name, network in networks.items():
                made[name] = network(noisy - 0.5) + 0.5
        pictures = {name: tensor[0, 0].numpy() for name, tensor in made.items()}
        pictures["optimum of L2"] = l2_optimum(truth, PROBABILITY)
        pictures["optimum of L1"] = l1_optimum(truth, PROBABILITY)
        for name, picture in pictures.items():
            rows.setdefault(name, []).append(psnr(picture, truth))
    return {name: float(np.mean(values)) for name, values in rows.items()}


def main() -> None:
    """Train what is not trained yet, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenes", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("impulse-noise"))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    networks = {
        job: trained(job, asked.out, asked.iterations, asked.seed, asked.batch) for job in JOBS
    }
    results = measured(networks, asked.scenes)
    table = Table(title=f"impulse noise, p = {PROBABILITY:.2f}, {asked.scenes} unseen scenes")
    table.add_column("")
    table.add_column("PSNR (dB)", justify="right")
    for name, value in results.items():
        table.add_row(name, f"{value:.2f}")
    Console().print(table)
    if asked.json is not None:
        record = {"probability": PROBABILITY, "iterations": asked.iterations, "psnr_db": results}
        asked.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
