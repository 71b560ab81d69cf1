"""What installing a model of the zoo found out, kept beside it: without it nothing is offered."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from liverestore.errors import UserError
from liverestore.model_card import inside, read_card, word_of
from liverestore.zoo_card import read_zoo_card
from liverestore.zoo_model import ZooModel, zoo_model

__all__ = ["RECORD_FILE", "Checked", "installed_zoo", "is_zoo_card"]

RECORD_FILE = "checked.json"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """How a model did with its own test tensors when it was installed."""

    card_sha256: str
    """Of rdf.yaml as it was then."""
    weights_sha256: str
    runtime: str
    """What ran it, such as "openvino 2026.4.1 CPU f32"."""
    largest_difference: float
    """Between its output and that of its package, in units of the output."""
    off_per_million: float
    """Values beyond the tolerance."""
    tolerance: str
    keeps_scale: bool
    """Whether its test output lies in the range of its test input."""
    of_input: bool
    """Which of the two readings of its card gave its test output (see `zoo_steps.apply`)."""
    test_low: float
    test_high: float
    """Least and largest value of its test input."""


def is_zoo_card(card: Any) -> bool:
    """Whether a package has no block of this program: any other model of the zoo."""
    if not isinstance(card, dict) or "inputs" not in card:
        return False
    config = card.get("config")
    return not (isinstance(config, dict) and "liverestore" in config)


def installed_zoo(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    """What `ModelSpec` takes of the model in `folder`, whose rdf.yaml holds `card`.

    Raises `UserError` where it was not installed with `liverestore engines add`, or was changed
    since, and as `read_zoo_card` does.
    """
    name = f"engine '{folder.name}'"
    again = f"install it with: liverestore engines add {folder}"
    try:
        told = msgspec.json.decode(read_card(folder / RECORD_FILE), type=Checked)
    except FileNotFoundError as error:
        raise UserError(
            f"{name}: is a model of the BioImage Model Zoo whose test tensors were not checked "
            f"here; {again}"
        ) from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UserError(f"{name}: {RECORD_FILE} is damaged; {again}") from error
    if hashlib.sha256((folder / "rdf.yaml").read_bytes()).hexdigest() != told.card_sha256:
        raise UserError(
            f"{name}: rdf.yaml was changed after its test tensors were checked; {again}"
        )
    read = read_zoo_card(card, name)
    model: ZooModel = zoo_model(
        read, keeps_scale=told.keeps_scale, brightest=told.test_high, of_input=told.of_input
    )
    return {
        "task": _task(card),
        "version": word_of(card, "version") if "version" in card else "?",
        "description": read.description,
        "weights": inside(folder, PurePosixPath(read.weights.source).name),
        "sha256": told.weights_sha256,
        "domain": "counts",
        "halo_px": model.halo_px,
        "zoo": model,
        "details": {"checked": msgspec.to_builtins(told), "license": read.license},
    }


_TASKS = {"denoising": "denoise", "denoise": "denoise", "deconvolution": "deconvolve",
          "super-resolution": "sharpen"}  # fmt: skip


def _task(card: dict[str, Any]) -> str:
    """What the tags of the card call it."""
    tags = card.get("tags")
    words = [str(tag).lower() for tag in tags] if isinstance(tags, list) else []
    return next((_TASKS[word] for word in words if word in _TASKS), "restore")
