"""Whether a device had no memory left, told from what its library says."""

from __future__ import annotations

__all__ = ["out_of_memory"]

_WORDS = (
    "out of memory",  # torch.OutOfMemoryError, CUDA's and TensorRT's own texts
    "outofmemory",  # TensorRT's error code 2; CUDA_ERROR_OUT_OF_MEMORY has underscores
    "out_of_memory",
    "not enough memory",
    "alloc_failed",  # CUDNN_STATUS_ALLOC_FAILED, CUBLAS_STATUS_ALLOC_FAILED
    "failed to allocate",  # OpenVINO
    "bad allocation",  # the same, of the C++ library of Windows and of Linux
    "bad_alloc",
    "max size of memory object allocation",
    "unable to allocate",  # NumPy
)


def out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or what it was raised from, says that there was no memory left.

    >>> out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    True
    >>> out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
    False
    """
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen).lower()
        if isinstance(seen, MemoryError) or any(word in text for word in _WORDS):
            return True
        seen = seen.__cause__
    return False
