"""An engine on another machine, over cables of several kinds: what is lost, what it costs.

    python benchmarks/two_machines.py [--seconds 20] [--table docs/reliability.md]

Two network namespaces stand for the two machines, with a cable of `bad_cable.py` between them:
`engine serve` in one, `live --engine-at` with the simulated microscope (128x160 pixels, 50
frames/s) in the other. Needs root and the program `ip`. The camera never waits for the cable: what
the engine did not get in time counts as dropped, and every frame is in the raw file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bad_cable import ADDRESSES, BadCable, why_no_cable

from liverestore.frame_record import crc32
from liverestore.movie import open_movie
from liverestore.transport.machine_keys import KeyFolder

_ON_LINUX = "needs the network namespaces of Linux"
BEGIN, END = "<!-- cables: begin -->", "<!-- cables: end -->"
COMMAND = [sys.executable, "-c", "from liverestore.cli.main import run; run()"]
RIG = """
name = "small simulated microscope"
[source]
kind = "simulated"
buffer_size_mb = 64
[camera]
offset_counts = 100.0
gain_e_per_count = 0.5
read_noise_e = 1.4
bit_depth = 16
exposure_ms = 20.0
[optics]
pixel_size_um = 0.108333
numerical_aperture = 1.2
magnification = 60.0
wavelength_nm = 520.0
immersion_index = 1.33
sample_index = 1.33
[specimen]
seed = 3
shape = [128, 160]
"""


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    words: str
    delay_s: float = 0.0
    loss: float = 0.0
    pulled_s: float = 0.0


CASES = (
    Case("good"),
    Case("10 ms each way, 1 % of the packets lost", 0.01, 0.01),
    Case("50 ms each way, 3 % of the packets lost", 0.05, 0.03),
    Case("pulled for 8 s and put in again", pulled_s=8.0),
)


def _frames(folder: Path, name: str) -> int:
    records = folder / "out" / f"{name}.ome.zarr" / "0" / "frames.jsonl"
    return records.read_bytes().count(b"\n") if records.exists() else 0


def _wait_for(folder: Path, name: str, count: int, run: subprocess.Popen[str]) -> None:
    ends_s = time.monotonic() + 90
    while _frames(folder, name) < count:
        if run.poll() is not None or time.monotonic() > ends_s:
            raise SystemExit(f"no frame {count} in {name}: {run.stderr and run.stderr.read()}")
        time.sleep(0.05)


def _ended(run: subprocess.Popen[str]) -> str:
    """What it said, once Ctrl-C has ended it."""
    if sys.platform == "win32":
        raise OSError(_ON_LINUX)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    if run.returncode:
        raise SystemExit(f"exit code {run.returncode}: {errors}")
    return errors


def measure(case: Case, folder: Path, seconds: float) -> dict[str, Any]:
    """Run both machines over one cable, for so long; its row."""
    if sys.platform == "win32":
        raise OSError(_ON_LINUX)
    keys = {name: KeyFolder(folder / name / "keys") for name in ("scope", "gpu")}
    public = {name: str(keys[name].own_or_new(name).public) for name in keys}
    keys["gpu"].authorise(public["scope"])
    (folder / "rig.toml").write_text(RIG, encoding="utf-8")
    address = f"tcp://{ADDRESSES[1]}:5571"
    running: list[subprocess.Popen[str]] = []

    def start(name: str, within: Sequence[str], *words: str) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                [*within, *COMMAND, *words], cwd=folder, text=True, start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env={**os.environ, "LIVERESTORE_HOME": str(folder / name)},
            )
        )  # fmt: skip
        return running[-1]

    try:
        with BadCable(delay_s=case.delay_s, loss=case.loss) as cable:
            server = start(
                "gpu", cable.within(1), "engine", "serve", "--bind", address, "--threads", "1"
            )
            run = start(
                "scope", cable.within(0), "live", "--rig", "rig.toml", "--engine", "mean5",
                "--headless", "--engine-at", address, "--key", public["gpu"],
                "--report", "report.json", "--save", "out",
            )  # fmt: skip
            _wait_for(folder, "restored", 5, run)
            time.sleep(seconds / 2)
            if case.pulled_s:
                cable.pulled = True
                time.sleep(case.pulled_s)
                cable.pulled = False
                _wait_for(folder, "restored", _frames(folder, "restored") + 5, run)
            time.sleep(seconds / 2)
            said = _ended(run)
            _ended(server)
            lost, all_packets = cable.lost, cable.lost + cable.carried
    finally:
        for one in running:
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
                one.communicate()
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {
        "case": case.words,
        **report["frames"],
        "p50": report["age_ms"]["p50"],
        "p95": report["age_ms"]["p95"],
        "whole": _whole(folder / "out" / "raw.ome.zarr"),
        "packets": f"{lost:,} of {all_packets:,}",
        "back": next(iter(re.findall(r"back after ([\d.]+ s)", said)), ""),
    }


def _whole(raw: Path) -> int:
    """Frames of the raw file that have the checksum in their record."""
    with open_movie(raw) as movie:
        records = [movie.record(index) for index in range(len(movie))]
        return sum(
            record is not None and crc32(movie[index]) == record.crc32
            for index, record in enumerate(records)
        )


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown."""
    if sys.platform == "win32":
        raise OSError(_ON_LINUX)
    made = [
        "| cable | packets lost | captured | lost at the camera | whole in the raw file | restored "
        "| dropped | age, median and 95 % | engine back after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    made += [
        f"| {row['case']} | {row['packets']} | {row['captured']} | {row['lost']} | {row['whole']} "
        f"| {row['restored']} | {row['dropped']} | {row['p50']:.0f}, {row['p95']:.0f} ms "
        f"| {row['back']} |"
        for row in rows
    ]
    made += [
        "",
        f"Measured on {os.cpu_count()} cores ({platform.machine()}), load average "
        f"{os.getloadavg()[0]:.1f} at the end, Python {platform.python_version()}.",
    ]
    return "\n".join(made)


def main() -> int:
    """Measure every case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each, without the start")
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if (reason := why_no_cable()) is not None:
        sys.stderr.write(f"{reason}\n")
        return 2
    rows = []
    for case in CASES:
        sys.stderr.write(f"{case.words} ...\n")
        with tempfile.TemporaryDirectory() as place:
            rows.append(measure(case, Path(place), options.seconds))
        sys.stderr.write(f"{json.dumps(rows[-1])}\n")
    made = table(rows)
    if options.table is not None:
        before, rest = options.table.read_text(encoding="utf-8").split(BEGIN)
        page = f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}"
        options.table.write_text(page, encoding="utf-8")
    sys.stdout.write(made + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
