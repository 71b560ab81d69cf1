"""Where a training computes: the processor or an NVIDIA GPU."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from liverestore.errors import UserError

__all__ = [
    "DeviceName",
    "choose_device",
    "device_of",
    "exact_products",
    "fast_products",
    "hardware_words",
    "in_bfloat16",
    "moved",
    "spare_workers",
]

DeviceName = Literal["cpu", "cuda", "auto"]


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is the GPU where torch sees one, else the CPU.

    Raises `UserError` for another name, and for "cuda" without a GPU.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise UserError(f"device '{name}': allowed are cpu, cuda and auto")
    seen = torch.cuda.is_available()
    if name == "cuda" and not seen:
        raise UserError(
            "--device cuda: torch sees no NVIDIA GPU here; install a CUDA build of torch and the "
            "driver, or take --device cpu"
        )
    if name == "cpu" or not seen:
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def device_of(network: nn.Module) -> torch.device:
    """Where the weights of a network are."""
    return next(network.parameters()).device


def hardware_words(device: torch.device | None = None) -> str:
    """The machine in words, for cards: the GPU's name where one was used."""
    cores = f"{os.cpu_count()}-core CPU"
    if device is not None and device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {cores}"
    return cores


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` of the CPU on `device`, without waiting for the work queued on a GPU."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda":
        # From pageable memory the copy would first wait for everything before it.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def spare_workers(device: torch.device) -> int:
    """Processes that may prepare data beside a training on `device`; none on the CPU, whose
    cores the training itself keeps busy.
    """
    return 0 if device.type == "cpu" else max(1, min(14, (os.cpu_count() or 2) - 2))


@contextlib.contextmanager
def fast_products(device: torch.device) -> Iterator[None]:
    """Let a GPU try which convolution is fastest for the sizes of this training; the setting,
    and that of `exact_products`, is put back at the end.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before


def exact_products(device: torch.device, *, exact: bool) -> None:
    """Let a GPU multiply float32 in float32 to the last bit, or in TensorFloat-32."""
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = not exact


def in_bfloat16(device: torch.device, *, enabled: bool) -> contextlib.AbstractContextManager[None]:
    """Forward passes inside multiply in bfloat16."""
    if not enabled:
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
