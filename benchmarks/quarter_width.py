"""An engine for measuring speed: the generator of Deep-Z at a quarter of its width, untrained.

Its package is that of the shipped `refocus-deepz` with other weights, as they are initialised: they
decide the picture and not the time. It restores nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import torch
import yaml

from liverestore.model_spec import find_engine
from liverestore.training.deepz_networks import DeepZGenerator
from liverestore.training.onnx_file import write_onnx

__all__ = ["NAME", "install"]

NAME = "quarter-width-untrained"


def install(home: Path) -> None:
    """Write the package into `home`, and make that the user's folder of this and its processes."""
    shipped = find_engine("refocus-deepz").folder
    assert shipped is not None, "it is a package"
    folder = home / "engines" / NAME
    shutil.copytree(shipped, folder)
    torch.manual_seed(0)
    weights = folder / "weights.onnx"
    write_onnx(DeepZGenerator(0.25).eval(), weights, DeepZGenerator.divisor, 2)
    card = yaml.safe_load((folder / "rdf.yaml").read_text(encoding="utf-8"))
    card["description"] = "Untrained, to measure speed with."
    card["weights"]["onnx"]["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (folder / "rdf.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
    os.environ["LIVERESTORE_HOME"] = str(home)
