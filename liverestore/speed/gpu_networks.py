"""The networks of the papers with random weights: what takes time in them are their sizes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from liverestore.model_spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["PAPER_NETWORKS", "paper_network"]

PAPER_NETWORKS = ("noise2noise-unet", "deepz", "cross-modality")


def paper_network(name: str, folder: Path, width: float = 1.0) -> ModelSpec:
    """One of `PAPER_NETWORKS`, written to `folder`; needs torch and onnx.

    Lehtinen et al. 2018 (arXiv:1803.04189), Wu et al. 2019 (doi 10.1038/s41592-019-0622-5) and
    Wang et al. 2019 (doi 10.1038/s41592-018-0239-0). The weights come from one seed.
    `width` is the share of the paper's channels, where the network can be narrower.
    """
    import torch

    from liverestore.training.cross_modality_networks import CrossModalityGenerator
    from liverestore.training.deepz_networks import DeepZGenerator
    from liverestore.training.noise2noise_unet import Noise2NoiseUNet
    from liverestore.training.onnx_file import write_onnx

    torch.manual_seed(0)
    networks: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
        "noise2noise-unet": (Noise2NoiseUNet, Noise2NoiseUNet.divisor, "denoise"),
        "deepz": (partial(DeepZGenerator, width), DeepZGenerator.divisor, "refocus"),
        "cross-modality": (
            partial(CrossModalityGenerator, width),
            CrossModalityGenerator.divisor,
            "confocal-to-sted",
        ),
    }
    make, divisor, task = networks[name]
    refocuses = task == "refocus"
    weights = folder / f"{name}.onnx"
    write_onnx(make().eval(), weights, divisor, 2 if refocuses else 1)
    return ModelSpec(
        name=name,
        task=task,
        version="random weights",
        description="A network of a paper with random weights, to measure its speed.",
        weights=weights,
        sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        divisor=divisor,
        reach_um=10.0 if refocuses else None,
    )
