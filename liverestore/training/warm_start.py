"""Weights of an engine package back into a torch network, to train them further."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from liverestore.errors import Failure, UserError
from liverestore.model_spec import find_engine
from liverestore.training.onnx_file import read_parameters

__all__ = ["Origin", "take_weights"]

_AGREEMENT = 5e-3
"""Largest difference, in units of the noise, between the golden output of a package and that of
the network with its weights: processors add in different orders, other networks differ by more."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where weights came from, and the training that they had."""

    engine: str
    """As it was asked for: a name or a folder."""
    name: str
    version: str
    sha256: str
    """Of the ONNX file."""
    iterations: int
    """In total, with what that engine was continued from in its turn."""
    seconds: int
    span: dict[str, float]
    """`level` and `scale` of the network, which its weights presuppose."""

    def apply(self, network: nn.Module) -> None:
        """Give `network` the range of values of the engine."""
        for name, value in self.span.items():
            setattr(network, name, value)

    def save(self, file: Path) -> None:
        """For a training that is taken up again."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Origin | None:
        """What `save` wrote; None where nothing was. Raises `Failure` when it is damaged."""
        if not file.is_file():
            return None
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError) as error:
            raise Failure(
                f"{file} cannot be read: {error}; train again without --resume"
            ) from error

    def record(self) -> dict[str, Any]:
        """For the card."""
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "iterations": self.iterations,
            "seconds": self.seconds,
        }


def _folder(engine: str) -> Path:
    if (Path(engine) / "rdf.yaml").is_file():
        return Path(engine)
    folder = find_engine(engine).folder
    if folder is None:
        raise UserError(f"--from {engine}: a filter has no weights; name an engine with a network")
    return folder


def take_weights(network: nn.Module, engine: str) -> Origin:
    """Give `network`, on the CPU, the weights and the range of values of a package.

    `engine` is the name of an installed engine or a package folder. Raises `UserError` when it
    is not there or damaged, is no network of this architecture and width, or does not give its
    own golden output with these weights.
    """
    folder = _folder(engine)
    try:
        card = yaml.safe_load((folder / "rdf.yaml").read_text(encoding="utf-8"))
        live = card["config"]["liverestore"]
        weights = folder / str(card["weights"]["onnx"]["source"])
        digest = str(card["weights"]["onnx"]["sha256"])
        given, expected = (
            np.load(folder / str(card[side][0]["test_tensor"]["source"]))
            for side in ("inputs", "outputs")
        )
        matches = hashlib.sha256(weights.read_bytes()).hexdigest() == digest
    except (OSError, ValueError, KeyError, TypeError, IndexError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"--from {engine}: {folder} is no complete engine package ({reason}); name another"
        ) from error
    if not matches:
        raise UserError(
            f"--from {engine}: the weights do not have the sha256 of the card; install it again"
        )
    found = read_parameters(weights)
    wanted = network.state_dict()
    differing = [
        name
        for name, value in wanted.items()
        if name not in found or found[name].shape != tuple(value.shape)
    ]
    if differing:
        raise UserError(
            f"--from {engine}: its network differs from the one to train (first in "
            f"'{differing[0]}'); allowed is an engine of the same network and width: give the "
            "method, --network and --width that it was trained with"
        )
    network.load_state_dict({name: torch.from_numpy(found[name]) for name in wanted})
    block = live.get("network") or {}
    span = {name: float(block[name]) for name in ("level", "scale") if name in block}
    training = live.get("training") or {}
    origin = Origin(
        engine,
        folder.name,
        str(card.get("version", "")),
        digest,
        int(training.get("total_iterations", training.get("iterations", 0))),
        int(training.get("total_seconds", training.get("seconds", 0))),
        span,
    )
    origin.apply(network)
    with torch.no_grad():
        made = network.eval()(torch.from_numpy(given)).numpy()
    if made.shape != expected.shape or not float(np.abs(made - expected).max()) <= _AGREEMENT:
        raise UserError(
            f"--from {engine}: with these weights the network to train does not give the golden "
            "output of the package; allowed is an engine of the same network"
        )
    return origin
