"""Which live graph of an engine: known without onnx, which only those who make one need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["GRAPH_VERSION", "GraphForm", "GraphPrecision", "Pixels"]

GRAPH_VERSION = 1
"""Changes whenever the graph around a network does, so that old plans are not taken for new."""

Pixels = Literal["uint8", "uint16", "float32", "stabilised"]
GraphPrecision = Literal["fp32", "fp16"]


@dataclass(frozen=True, slots=True)
class GraphForm:
    """Which of the live graphs of an engine: they differ in inputs, types and precision."""

    pixels: Pixels = "uint16"
    """Of the frames that come and of the pictures that leave; "stabilised": the network alone,
    for pictures that were stabilised before."""
    precision: GraphPrecision = "fp32"
    """Of the network between its first and last convolution; all else is float32."""
    maps: bool = False
    """Whether offset and gain are maps of the chip instead of two numbers."""
