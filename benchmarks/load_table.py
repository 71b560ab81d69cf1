"""What a long run showed, judged and as tables."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from load_clients import Account
from load_files import ReadBack
from load_watch import COUNT_PER_HOUR, MEMORY_MB_PER_HOUR, Held, Slope, slope

BEGIN, END = "<!-- load: begin -->", "<!-- load: end -->"
QUANTITIES: dict[str, tuple[Callable[[Held], float], float]] = {
    "own": (lambda one: one.own_mb, MEMORY_MB_PER_HOUR),
    "PSS": (lambda one: one.pss_mb, MEMORY_MB_PER_HOUR),
    "RSS": (lambda one: one.rss_mb, MEMORY_MB_PER_HOUR),
    "handles": (lambda one: one.handles, COUNT_PER_HOUR),
    "threads": (lambda one: one.threads, COUNT_PER_HOUR),
    "shared": (lambda one: one.shared, COUNT_PER_HOUR),
}


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """All processes at one moment."""

    t_s: float
    """Since the first frame."""
    captured: int
    lost: int
    restored: int
    dropped: int
    segments: int
    """Files in /dev/shm, whoever's they are."""
    load: float
    held: dict[str, Held]
    pids: dict[str, int]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    name: str
    size: int
    fps: float
    """Of the camera; of the simulated time where `simulated_hours` is given."""
    simulated_hours: float | None
    view: bool
    clients: int
    samples: list[Sample]
    files: list[ReadBack]
    accounts: list[Account]
    killed: int
    captured: int
    lost: int
    restored: int
    dropped: int
    recorded: int
    written: int
    whole: bool
    """False for what was saved in the middle of a run."""
    trouble: list[str]
    slopes: dict[str, dict[str, Slope]]
    """Process -> quantity -> growth."""
    machine: str


def judge(
    samples: Sequence[Sample], *, frames_an_hour: float | None = None
) -> dict[str, dict[str, Slope]]:
    """Growth of what each process holds, per hour, or per so many frames; clients left out.

    A process that was started again in the middle is left out, as one that came late.
    """
    found: dict[str, dict[str, Slope]] = {}
    if not samples:
        return found
    # Of all starts of a process the one that was there in the middle of the run.
    for name, pid in samples[len(samples) // 2].pids.items():
        seen = [one for one in samples if one.pids.get(name) == pid and name in one.held]
        if name.startswith("client") or 2 * len(seen) < len(samples):
            continue
        hours = [
            one.t_s / 3600 if frames_an_hour is None else one.captured / frames_an_hour
            for one in seen
        ]
        try:
            found[name] = {
                quantity: slope(hours, [of(one.held[name]) for one in seen], tolerance)
                for quantity, (of, tolerance) in QUANTITIES.items()
            }
        except ValueError:  # too short a run to say anything
            continue
    return found


def torn(run: Loaded) -> int:
    """Frames read back whose checksum was another one."""
    return sum(len(one.torn) for one in run.files)


def missing(run: Loaded) -> list[int]:
    """Numbers between the first and the last one of a file that it lacks."""
    return sorted(number for one in run.files for number in one.missing)


def between(run: Loaded) -> list[int]:
    """Numbers after the last one of a file and before the first one of the next."""
    files = sorted(run.files, key=lambda one: one.first)
    return [
        number
        for before, after in itertools.pairwise(files)
        for number in range(before.last + 1, after.first)
    ]


def write_table(page: Path, runs: Sequence[Loaded]) -> str:
    """The tables of `runs`, put between the two marks of `page`."""
    made = "\n\n".join([_frames(runs), _growth(runs), _clients(runs), _machine(runs)])
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")
    return made


def _frames(runs: Sequence[Loaded]) -> str:
    rows = [
        "| run | lasted | captured | frames/s | lost at the camera | missing in a file "
        "| between two files | restored | not restored | read back | checksum wrong | trouble |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        last = run.samples[-1]
        read = sum(one.frames for one in run.files)
        trouble = "; ".join(run.trouble) or "none"
        rows.append(
            f"| {run.name} | {last.t_s / 60:.1f} min | {run.captured:,} "
            f"| {last.captured / last.t_s:.0f} | {run.lost:,} | {len(missing(run)):,} "
            f"| {len(between(run)):,} | {run.restored:,} | {run.dropped:,} "
            f"| {read:,} in {len(run.files)} files | {torn(run)} | {trouble} |"
        )
    return "\n".join(rows)


def _growth(runs: Sequence[Loaded]) -> str:
    rows = [
        "| run | process | PSS, MB | RSS, MB | growth of RSS, MB per hour | verdict | handles "
        "| threads | shared memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        for name, of in run.slopes.items():
            pss, rss = of["PSS"], of["RSS"]
            counts = " | ".join(_count(of[key]) for key in ("handles", "threads", "shared"))
            rows.append(
                f"| {run.name} | {name} | {pss.first:.0f} to {pss.last:.0f} "
                f"| {rss.first:.1f} to {rss.last:.1f} "
                f"| {rss.per_hour:+.1f} ({rss.low:+.1f} to {rss.high:+.1f}) | {rss.verdict} "
                f"| {counts} |"
            )
    return "\n".join(rows)


def _count(one: Slope) -> str:
    if one.first == one.last:
        return f"{one.first:.0f}, {one.verdict}"
    return f"{one.first:.0f} to {one.last:.0f}, {one.verdict}"


def _clients(runs: Sequence[Loaded]) -> str:
    rows = [
        "| client | results received | of what the best of them got | longest on its way "
        "| in the wrong order |",
        "|---|---|---|---|---|",
    ]
    for run in runs:
        most = max((one.received for one in run.accounts), default=0)
        for one in run.accounts:
            part = one.received / most if most else 0.0
            late = f"{one.longest_ms:.0f} ms" if one.received else ""
            rows.append(
                f"| {_words(one, run)} | {one.received:,} | {part:.1%} | {late} | {one.backwards} |"
            )
    return "\n".join(rows)


def _words(one: Account, run: Loaded) -> str:
    number = one.role.split("-")[1]
    if one.kind == "slow":
        return f"{number}: did not read for {one.paused_s / 60:.0f} min in all"
    if one.kind == "greedy":
        return f"{number}: asked and never read"
    if one.role.endswith("killed"):
        return f"{number}: killed {run.killed} times; the last one that came"
    return f"{number}: steady"


def _machine(runs: Sequence[Loaded]) -> str:
    loads = [
        f"{run.name}: {statistics.median(one.load for one in run.samples):.1f}" for run in runs
    ]
    return f"Measured on {runs[0].machine}; median load average {', '.join(loads)}."
