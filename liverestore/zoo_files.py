"""The files that a card of the BioImage Model Zoo names, and other small parts of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from liverestore.errors import UserError

__all__ = ["Part", "Tolerance", "first_file", "list_of", "part_of", "text_of", "tolerance_of",
           "weights_of"]  # fmt: skip

_TOLERANCES = {"relative_tolerance": 1e-2, "absolute_tolerance": 1e9,
               "mismatched_elements_per_million": 5000}  # fmt: skip
"""What the format allows a card to state at most."""


class Part(NamedTuple):
    """A file of a package, and its sha256 where the card states it."""

    source: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far outputs may lie from those of the card; see `bioimageio.spec`, 0.5.

    A value is off where |got - told| > absolute + relative |told|.
    """

    relative: float = 1e-3
    absolute: float = 1e-3
    off_per_million: float = 100.0


def weights_of(card: dict[str, Any], place: str) -> tuple[dict[str, Any], Part | None]:
    """The ONNX entry, and the file beside it that holds large tensors, if any."""
    weights = card.get("weights")
    onnx = weights.get("onnx") if isinstance(weights, dict) else None
    if not isinstance(onnx, dict):
        kinds = ", ".join(map(str, weights)) if isinstance(weights, dict) else "none"
        raise UserError(
            f"{place}: got weights of the kinds {kinds:.80}; allowed is onnx; convert the model "
            "with: bioimageio add-weights"
        )
    more = onnx.get("external_data")
    return onnx, None if more is None else part_of(more, f"{place}, weights, external_data")


def part_of(entry: Any, place: str) -> Part:
    """A file that a card names. Raises `UserError`."""
    if not isinstance(entry, dict):
        raise UserError(f"{place}: names no file; each model of the zoo has it")
    return Part(_local(entry.get("source"), place), _digest(entry.get("sha256"), place))


def _digest(value: Any, place: str) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) != 64):
        raise UserError(f"{place}: got the sha256 {value!r:.40}; allowed are 64 digits")
    return value


def first_file(card: dict[str, Any], key: str, place: str) -> str:
    """The one file of a list, as format 0.4 names test tensors. Raises `UserError`."""
    files = card.get(key)
    if not isinstance(files, list) or len(files) != 1:
        raise UserError(f"{place}: got {key} {files!r:.40}; allowed is one file")
    return _local(files[0], f"{place}, {key}")


def _local(source: Any, place: str) -> str:
    if not isinstance(source, str):
        raise UserError(f"{place}: got the file {source!r:.40}; allowed is a name")
    if "://" in source:
        raise UserError(
            f"{place}: got {source:.80}; allowed are files of the package itself; download the "
            "whole package, as .zip, from bioimage.io"
        )
    return source


def list_of(card: dict[str, Any], key: str, place: str) -> list[Any]:
    """A list that must be there. Raises `UserError`."""
    value = card.get(key)
    if not isinstance(value, list):
        raise UserError(f"{place}: has no list of {key}; each model of the zoo has it")
    return value


def text_of(table: dict[str, Any], key: str, default: str) -> str:
    """A text or a number, as text; `default` for anything else."""
    value = table.get(key, default)
    return str(value) if isinstance(value, str | int | float) else default


def tolerance_of(card: dict[str, Any], output: str, place: str) -> Tolerance:
    """What the card states for ONNX and this output; else what the format takes for granted."""
    config = card.get("config")
    own = config.get("bioimageio") if isinstance(config, dict) else None
    if not isinstance(own, dict):
        return Tolerance()
    stated = own.get("reproducibility_tolerance") or []
    old = own.get("test_kwargs")
    told: Any = old.get("onnx") if isinstance(old, dict) else None
    for entry in stated if isinstance(stated, list) else []:
        if not isinstance(entry, dict):
            continue
        formats, ids = entry.get("weights_formats") or [], entry.get("output_ids") or []
        if (not formats or "onnx" in formats) and (not ids or output in ids):
            told = entry
            break
    if not isinstance(told, dict):
        return Tolerance()
    found = []
    for key, most in _TOLERANCES.items():
        default = 100.0 if key.startswith("mis") else 1e-3
        value = told.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise UserError(
                f"{place}: got {key} {value!r:.40}; the format allows 0 to {most:g}; a model that "
                "needs more is not the one that its card describes"
            )
        found.append(float(value))
    return Tolerance(*found)
