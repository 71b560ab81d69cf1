"""What a training was made with: the release, the simulation, the seeds that it may not take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liverestore.errors import UserError
from liverestore.version import __version__

__all__ = [
    "SIMULATION_REVISION",
    "check_out",
    "check_same_course",
    "check_seed",
    "lineage",
    "release_words",
]

# Raise this whenever specimens, optics or noise of the simulation change: from then on the
# command in the card of an older engine gives other batches, hence other weights.
SIMULATION_REVISION = 4
"""Number of the simulation's present state; engines without one in their card are older."""

_TEST_SEEDS = (915, 71_509_150)
"""Seeds of the specimens that engines are scored and measured on; a test holds them together."""

_WORDS = {"seed": "--seed", "batch": "--batch", "crop_px": "--crop", "loss": "a loss of"}


def check_seed(seed: int) -> None:
    """Raise `UserError` for a seed whose specimens are those of the test sets."""
    if seed in _TEST_SEEDS:
        raise UserError(
            f"--seed {seed}: its specimens are those that engines are tested on; allowed is every "
            f"other seed than {' and '.join(map(str, _TEST_SEEDS))}"
        )


def check_out(out: Path) -> None:
    """Raise `UserError` where a folder `out` cannot be made, because a file is in its way."""
    for place in (out, *out.parents):
        if place.is_file():
            raise UserError(
                f"--out {out}: {place} is a file; allowed is a folder in folders; choose another "
                "--out"
            )


def check_same_course(
    checkpoint: Path, before: Mapping[str, Any], now: Mapping[str, Any], kind: str = "--resume"
) -> None:
    """Raise `UserError` where a training would go on with another seed, batch, crop or loss.

    `before` is what the checkpoint says of itself; what it leaves out is taken to agree.
    """
    for name, words in _WORDS.items():
        if name in before and name in now and before[name] != now[name]:
            raise UserError(
                f"{kind}: {checkpoint} was trained with {words} {before[name]}, but got {words} "
                f"{now[name]}; give {words} {before[name]}, or train anew without {kind}"
            )


def lineage(checkpoint: Mapping[str, Any] | None) -> list[int]:
    """Revisions of the simulation that a training saw, this one last; 0 is one of before they
    were counted. `checkpoint` is the state it goes on from, None at its beginning.
    """
    seen: list[int] = [] if checkpoint is None else list(checkpoint.get("simulations", [0]))
    return seen if seen[-1:] == [SIMULATION_REVISION] else [*seen, SIMULATION_REVISION]


def release_words(simulations: list[int]) -> dict[str, Any]:
    """For the card: release, and revision of the simulation (all of them, had it several)."""
    names = ["uncounted" if number == 0 else f"{number}" for number in simulations]
    revision: int | str = simulations[0] if len(simulations) == 1 else ", then ".join(names)
    return {"liverestore": __version__, "simulation_revision": revision}
