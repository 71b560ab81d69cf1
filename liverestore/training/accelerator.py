"""Where a training computes: the processor or an NVIDIA GPU."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from liverestore.errors import UserError

__all__ = ["DeviceName", "choose_device", "hardware_words", "moved", "products", "spare_workers"]

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
def products(device: torch.device, *, bf16: bool, tf32: bool) -> Iterator[None]:
    """Precision of matrix products and convolutions: bfloat16, and on a GPU TensorFloat-32.

    With neither they are float32 to the last bit.
    """
    with contextlib.ExitStack() as stack:
        if device.type == "cuda":
            flags = torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=tf32)
            stack.enter_context(flags)
        if bf16:
            stack.enter_context(torch.autocast(device.type, torch.bfloat16))
        yield
