"""Noise2Void on a movie of one's own in so many seconds: gain over the best Gaussian.

    python benchmarks/noise2void.py [--seconds 120] [--peer PYTHON] [--json FILE]

A movie is simulated (60 frames of 512x512, filaments and nuclei, peak about 50 photoelectrons
on a background of 3, read noise 1.6 e) with white noise, with noise that whole rows share, and
with noise that neighbours in a row share. `liverestore train n2v` gets it and as many seconds;
which remedy it chooses is up to it. `--peer` names the Python of another environment in which
CAREamics is installed: its N2V then gets the same frames and the same time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from liverestore.camera_model import estimate_from_movie
from liverestore.measure.fidelity import affine_psnr
from liverestore.measure.opponents import best_gaussian
from liverestore.model_spec import find_engine
from liverestore.runtime.table import open_runtime
from liverestore.training.n2v import N2vJob, train_n2v
from liverestore.training.specimens import FAMILIES

KINDS = {
    "white": "white",
    "rows": "white, and whole rows by 1.6 e",
    "short": "shared by two neighbours in a row",
}
FRAMES, SIDE_PX = 60, 512
SCORED = (0, 20, 40)
"""Frames that are compared with the truth."""
FloatImage = NDArray[np.float64]


def simulated_movie(kind: str) -> tuple[NDArray[np.uint16], FloatImage]:
    """Frames (T, Y, X) in counts and the light (T, Y, X) in photoelectrons behind them."""
    shape = (SIDE_PX, SIDE_PX)
    specimen = np.zeros(shape)
    for seed, family in ((3, "filaments"), (4, "nuclei")):
        layer = FAMILIES[family][0](np.random.default_rng(seed), shape)
        layer = ndimage.gaussian_filter(layer, 1.4).astype(np.float64)
        specimen += layer / np.quantile(layer, 0.999)
    specimen = np.clip(specimen / np.quantile(specimen, 0.999), 0, 1.5)
    rng = np.random.default_rng(5)
    frames, lights = [], []
    for t in range(FRAMES):
        moved = ndimage.shift(specimen, (0.15 * t, 0.1 * t), order=1, mode="reflect")
        light = 50 * moved + 3
        electrons = rng.poisson(light) + 1.6 * rng.standard_normal(shape)
        if kind == "rows":
            electrons = electrons + 1.6 * rng.standard_normal((SIDE_PX, 1))
        if kind == "short":
            electrons = (electrons + np.roll(electrons, 1, axis=1)) / 2
        frames.append(np.rint(electrons / 0.46 + 100).clip(0, 65535).astype(np.uint16))
        lights.append(light)
    return np.stack(frames), np.stack(lights)


def ours(path: Path, folder: Path, seconds: float) -> tuple[NDArray[np.float32], str]:
    """The scored frames (T, Y, X) restored by an engine made of the movie, and its method."""
    chosen: list[str] = []
    job = N2vJob(path, folder / "engine", seconds=seconds, bf16=True, replace=True)
    train_n2v(job, on_diagnosis=lambda found: chosen.append(found.words))
    runtime = open_runtime(find_engine(str(job.out)))
    frames = tifffile.imread(path)
    camera = estimate_from_movie(frames)
    made = []
    for t in SCORED:
        z = runtime.infer(camera.stabilise(frames[t])[None, None])
        made.append(camera.unstabilise(z[0, 0]).copy())
    runtime.close()
    return np.stack(made), chosen[0]


PEER = """
import sys, time, numpy as np, tifffile
from lightning.pytorch.callbacks import Callback
from careamics import CAREamist
from careamics.config import create_n2v_config
source, out, seconds, scored = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]
class Stop(Callback):
    def on_train_start(self, trainer, module):
        self.began = time.monotonic()
    def on_train_batch_end(self, trainer, *rest):
        if time.monotonic() - self.began > seconds:
            peer.stop_training()
movie = tifffile.imread(source).astype(np.float32)
settings = create_n2v_config(
    "peer", "array", "SYX", patch_size=[64, 64], batch_size=16, num_epochs=1000
)
peer = CAREamist(settings, work_dir=out + ".work", callbacks=[Stop()], enable_progress_bar=False)
peer.train(train_data=movie)
shown = movie[[int(t) for t in scored.split(",")]]
made, _ = peer.predict(shown, data_type="array", axes="SYX")
np.save(out, np.concatenate([np.asarray(m).reshape(-1, *shown.shape[1:]) for m in made]))
"""
"""What the other environment runs; validation and prediction are not counted as training."""


def peers(python: Path, path: Path, folder: Path, seconds: float) -> NDArray[np.float32]:
    """The scored frames restored by CAREamics' N2V."""
    out = folder / "peer.npy"
    command = [str(python), "-c", PEER, str(path), str(out), str(seconds)]
    subprocess.run([*command, ",".join(map(str, SCORED))], check=True, stdout=subprocess.DEVNULL)
    made: NDArray[np.float32] = np.load(out)
    return made


def measured(kind: str, seconds: float, peer: Path | None) -> dict[str, float | str]:
    """PSNR after an affine fit, mean over the scored frames, in dB."""
    frames, lights = simulated_movie(kind)
    truth = [lights[t] for t in SCORED]

    def psnr(pictures: NDArray[np.generic]) -> float:
        return float(np.mean([affine_psnr(p, t) for p, t in zip(pictures, truth, strict=True)]))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "movie.tif"
        tifffile.imwrite(path, frames, photometric="minisblack", metadata={"axes": "TYX"})
        raw = frames[list(SCORED)]
        row: dict[str, float | str] = {"noise": KINDS[kind], "raw": psnr(raw)}
        row["best Gaussian"] = psnr(
            np.stack([best_gaussian(p, t).image for p, t in zip(raw, truth, strict=True)])
        )
        restored, row["diagnosis"] = ours(path, folder, seconds)
        row["liverestore"] = psnr(restored)
        if peer is not None:
            row["CAREamics"] = psnr(peers(peer, path, folder, seconds))
    return row


def main() -> None:
    """Measure each kind of noise, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--noise", choices=list(KINDS), action="append")
    parser.add_argument("--peer", type=Path, help="Python with CAREamics")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = [measured(kind, asked.seconds, asked.peer) for kind in asked.noise or KINDS]
    table = Table(title=f"Noise2Void in {asked.seconds:g} s, PSNR in dB", title_justify="left")
    names = [name for name in rows[0] if name not in ("noise", "diagnosis")]
    table.add_column("noise")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(str(row["noise"]), *(f"{float(row[name]):.2f}" for name in names))
    console = Console()
    console.print(table)
    for row in rows:
        console.print(f"{row['noise']}: diagnosed as {row['diagnosis']}")
    if asked.json is not None:
        record = {"seconds": asked.seconds, "rows": rows}
        asked.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
