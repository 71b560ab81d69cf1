"""Trained weights to an engine package: ONNX, golden input and output, model card.

The folder is a BioImage Model Zoo package (format 0.5) that this program, and any other
reader of that format, can use. It is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import nn

from liverestore.errors import Failure, UserError
from liverestore.file_moves import remove, rename
from liverestore.training.onnx_file import OPSET, is_large, rounded, store_half, write_onnx

__all__ = ["Card", "export_engine", "validate_package"]

_PARITY, _RELATIVE_PARITY = 2e-4, 2e-5
"""Largest difference between torch and ONNX that is allowed: in units of the noise, plus a part of
the brightest output."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a person must know before using the engine; goes to rdf.yaml and README.md."""

    name: str
    version: str
    description: str
    task: str
    photon_range_e: tuple[float, float]
    pixel_size_range_um: tuple[float, float] | None
    halo_px: int
    training: dict[str, Any]
    """Recipe: method, data, seed, iterations, seconds, hardware, loss, network."""
    scores: dict[str, Any] = field(default_factory=dict)
    """Data set -> figure, with the figures of the classical filters beside it."""
    limits: tuple[str, ...] = ()
    """What it must not be used for, one sentence each."""
    authors: tuple[str, ...] = ("The liverestore developers",)
    channels: tuple[str, ...] = ("intensity",)
    """What the channels of the input hold, in order."""
    channels_text: str = ""
    """For people: what the channels after the first hold."""
    tags: tuple[str, ...] = ("denoising",)
    cite: tuple[dict[str, str], ...] = (
        {
            "text": "Lehtinen et al. 2018, Noise2Noise: Learning Image Restoration without "
            "Clean Data",
            "url": "https://arxiv.org/abs/1803.04189",
        },
    )
    live: dict[str, Any] = field(default_factory=dict)
    """More entries of the `config: liverestore:` block, such as the optics trained on."""


def export_engine(
    network: nn.Module,
    folder: Path,
    card: Card,
    test_input: NDArray[np.float32],
    *,
    divisor: int,
    replace: bool = False,
    half_weights: bool | None = None,
) -> None:
    """Write the package of `network`, which is on the CPU, to `folder`.

    `test_input` is a (1, C, Y, X) stabilised picture, one plane for each of the card's
    channels; its output is computed here with torch and becomes the golden output, which
    ONNX must reproduce to 2e-4 of the noise plus 2e-5 of the brightest value. With
    `half_weights` (None: where they take more than 20 MB) the weights are rounded to float16 and
    stored so; the engine turns them back when it is loaded and computes in float32, and the
    golden output is that of the rounded weights. Raises `UserError` when the folder exists
    (unless `replace`) and `Failure` when torch and ONNX differ or the package is not valid.
    """
    if folder.exists() and not replace:
        raise UserError(f"{folder} exists already; choose another name or replace it on purpose")
    folder.parent.mkdir(parents=True, exist_ok=True)
    network = network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    block = _network_block(network)
    with torch.no_grad():
        expected = network(torch.from_numpy(test_input)).numpy()
    half = is_large(network) if half_weights is None else half_weights
    if half:
        network, exact = rounded(network), expected
        with torch.no_grad():
            expected = network(torch.from_numpy(test_input)).numpy()
        moved = float(np.abs(expected - exact).max())
        block["weights"] = (
            "float16, computed in float32; the rounding moves the golden output by at most "
            f"{moved:.2g} of the noise"
        )
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as work:
        draft = Path(work) / folder.name
        draft.mkdir()
        weights = draft / "weights.onnx"
        write_onnx(network, weights, divisor, len(card.channels))
        if half:
            store_half(weights)
        block["checked_with"] = _check_parity(weights, test_input, expected)
        np.save(draft / "test_input.npy", test_input)
        np.save(draft / "test_output.npy", expected)
        (draft / "README.md").write_text(_readme(card, weights), encoding="utf-8", newline="\n")
        description = _rdf(card, draft, divisor, block)
        text = yaml.safe_dump(description, sort_keys=False, allow_unicode=True, width=88)
        (draft / "rdf.yaml").write_text(text, encoding="utf-8", newline="\n")
        validate_package(draft)
        if folder.exists():
            remove(folder)
        rename(draft, folder)


def _network_block(network: nn.Module) -> dict[str, Any]:
    """What is needed, beside the weights, to train the network further."""
    block: dict[str, Any] = {"class": type(network).__name__}
    for name in ("level", "scale"):
        if hasattr(network, name):
            block[name] = float(getattr(network, name))
    block["weights"] = "float32"
    return block


def _onnx_output(weights: Path, test_input: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """What the ONNX file makes of `test_input`, and what ran it.

    OpenVINO, as in live use; on a machine that only trains and lacks it, ONNX's own reference,
    which is exact and slow. The card says which.
    """
    if importlib.util.find_spec("openvino") is None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        (made,) = ReferenceEvaluator(str(weights)).run(None, {"stabilised": test_input})
        return np.asarray(made, np.float32), f"the reference of onnx {onnx.__version__}"
    from liverestore.model_spec import ModelSpec
    from liverestore.runtime.openvino import OpenVinoRuntime

    runtime = OpenVinoRuntime(ModelSpec("draft", "denoise", "0", "", weights=weights))
    try:
        return runtime.infer(test_input).copy(), runtime.description
    finally:
        runtime.close()


def _check_parity(
    weights: Path, test_input: NDArray[np.float32], expected: NDArray[np.float32]
) -> str:
    """What the ONNX file was run with; raises `Failure` when it gives something else."""
    got, how = _onnx_output(weights, test_input)
    worst = float(np.abs(got - expected).max())
    allowed = _PARITY + _RELATIVE_PARITY * float(np.abs(expected).max())
    if not worst <= allowed or float(np.ptp(expected)) == 0:
        raise Failure(
            f"export: torch and ONNX differ by {worst:.2g} of the noise (allowed {allowed:.2g}), "
            "or the output is empty; nothing was written"
        )
    return how


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tensor(
    name: str, file: Path, divisor: int, source: str | None, channels: tuple[str, ...]
) -> dict[str, Any]:
    axes: list[dict[str, Any]] = [
        {"type": "batch"},
        {"type": "channel", "channel_names": list(channels)},
    ]
    for axis in ("y", "x"):
        size: dict[str, Any]
        if source is None:
            size = {"min": min(8 * divisor, 128), "step": divisor}
        else:
            size = {"tensor_id": source, "axis_id": axis}
        axes.append({"type": "space", "id": axis, "size": size})
    return {
        "id": name,
        "axes": axes,
        "data": {"type": "float32"},
        "test_tensor": {"source": file.name, "sha256": _sha256(file)},
    }


def _rdf(card: Card, folder: Path, divisor: int, network: dict[str, Any]) -> dict[str, Any]:
    weights = folder / "weights.onnx"
    live: dict[str, Any] = {
        "task": card.task,
        "input": "stabilised",
        "divisor": divisor,
        "halo_px": card.halo_px,
        "photon_range_e": list(card.photon_range_e),
        "training": card.training,
        "scores": card.scores,
        "limits": list(card.limits),
        "network": network,
        **card.live,
    }
    if card.pixel_size_range_um is not None:
        live["pixel_size_range_um"] = list(card.pixel_size_range_um)
    return {
        "format_version": "0.5.3",
        "type": "model",
        "name": f"liverestore {card.name}",  # the format wants five characters or more
        "version": card.version,
        "description": card.description,
        "authors": [{"name": name} for name in card.authors],
        "license": "BSD-3-Clause",
        "documentation": "README.md",
        "tags": [*card.tags, "fluorescence-light-microscopy", "2d", "live"],
        "cite": [
            *card.cite,
            {
                "text": "Makitalo & Foi 2013, Optimal inversion of the generalized Anscombe "
                "transformation for Poisson-Gaussian noise",
                "doi": "10.1109/TIP.2012.2202675",
            },
        ],
        "timestamp": datetime.now(UTC).replace(microsecond=0).isoformat(),
        "inputs": [_tensor("stabilised", folder / "test_input.npy", divisor, None, card.channels)],
        "outputs": [
            _tensor("restored", folder / "test_output.npy", divisor, "stabilised", ("intensity",))
        ],
        "weights": {
            "onnx": {
                "source": weights.name,
                "sha256": _sha256(weights),
                "opset_version": OPSET,
            }
        },
        "config": {"liverestore": live},
    }


def _readme(card: Card, weights: Path) -> str:
    def lines(values: dict[str, Any]) -> str:
        return "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in values.items())

    low, high = card.photon_range_e
    planes, more = len(card.channels), card.channels_text
    size = ""
    if card.pixel_size_range_um is not None:
        size = (
            f"\n- pixel size in the sample: {card.pixel_size_range_um[0]:g} to "
            f"{card.pixel_size_range_um[1]:g} um"
        )
    limits = "\n".join(f"- {line}" for line in card.limits)
    scores = "\n".join(f"- {key}: {value}" for key, value in card.scores.items())
    return f"""# {card.name}

{card.description}

Task: {card.task}. Version {card.version}, {weights.stat().st_size / 1e6:.2f} MB of weights.

## Input and output

One (1, {planes}, Y, X) float32 picture, variance-stabilised: z = 2 sqrt(e + 3/8 + sigma^2), where e
are photoelectrons and sigma is the read noise in electrons, so that the noise is about one.
{more}The output is the estimated mean of z; go back with the *exact unbiased* inverse, not the
algebraic one. `liverestore` does both, from counts to counts.

## Made for

- peak light: {low:g} to {high:g} photoelectrons in a pixel{size}

## Training

{lines(card.training)}

## Validation

Scores; PSNR after an affine fit, in dB.

{scores}

## Do not use it

{limits}
"""


def validate_package(folder: Path) -> None:
    """Check rdf.yaml against the BioImage Model Zoo format, files and sha256 included.

    Uses no network. Raises `Failure` with the reasons; `UserError` when the package
    `bioimageio.spec` is not installed.
    """
    try:
        from bioimageio.spec import InvalidDescr, ValidationContext, load_description
    except ImportError as error:
        raise UserError(
            "checking a package needs bioimageio.spec; pip install 'liverestore[train]'"
        ) from error
    context = ValidationContext(perform_io_checks=True, update_hashes=False)
    with warnings.catch_warnings():
        # Its reader warns about fields that the newest format would like to have.
        warnings.simplefilter("ignore")
        with context:
            found = load_description(folder / "rdf.yaml", format_version="discover")
    if isinstance(found, InvalidDescr):
        reasons = " ".join(found.validation_summary.format().split())
        raise Failure(f"{folder.name}: no valid BioImage Model Zoo package: {reasons[:600]}")
