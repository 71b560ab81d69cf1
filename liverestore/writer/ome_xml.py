"""The OME-XML block of an OME-TIFF."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import numpy as np

from liverestore.frame_record import RECORD_TAG
from liverestore.writer.layout import Layout
from liverestore.writer.summary import PlaneTimes, RunSummary

__all__ = ["NAMESPACE", "ome_xml"]

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_PIXEL_TYPES = {"uint8": "uint8", "uint16": "uint16", "float32": "float"}


def ome_xml(
    layout: Layout, frame_shape: tuple[int, int], dtype: str, summary: RunSummary, software: str
) -> bytes:
    """OME-XML (schema 2016-06, UTF-8) for frames stored page after page in C order.

    Sizes and intervals that are unknown are left out. Each plane has its time since the
    first frame, exposure (both s) and z (um) as far as they are known.
    """
    leading = layout.axes[:-2]
    sizes = dict.fromkeys("TCZ", 1)
    sizes.update(zip(leading, layout.shape_for(summary.frames), strict=True))
    fastest_first = leading[::-1] + "".join(axis for axis in "ZCT" if axis not in leading)

    root = ET.Element("OME", {
        "xmlns": NAMESPACE,
        "UUID": f"urn:uuid:{uuid.uuid4()}",
        "Creator": software,
    })  # fmt: skip
    image = ET.SubElement(root, "Image", ID="Image:0")
    first = summary.first
    if first is not None:
        image.set("Name", first.run_id)
        if first.captured_utc:
            ET.SubElement(image, "AcquisitionDate").text = first.captured_utc
    description = f"{software}; the full record of each frame is JSON in its TIFF tag {RECORD_TAG}"
    if summary.made_by:
        made_by = " ".join(f"{key}={value}" for key, value in summary.made_by.items())
        description = f"restored by {made_by}; {description}"
    if light := summary.light.words():
        description = f"{description}; {light}"
    ET.SubElement(image, "Description").text = description
    pixels = ET.SubElement(image, "Pixels", {
        "ID": "Pixels:0",
        "DimensionOrder": f"XY{fastest_first}",
        "Type": _PIXEL_TYPES[np.dtype(dtype).name],
        "BigEndian": "false",
        "SizeX": str(frame_shape[1]),
        "SizeY": str(frame_shape[0]),
        **{f"Size{axis}": str(sizes[axis]) for axis in "ZCT"},
    })  # fmt: skip
    if summary.pixel_size_um is not None:
        for axis in "XY":
            pixels.set(f"PhysicalSize{axis}", repr(summary.pixel_size_um))
            pixels.set(f"PhysicalSize{axis}Unit", "µm")
    if summary.z_step_um is not None:
        pixels.set("PhysicalSizeZ", repr(summary.z_step_um))
        pixels.set("PhysicalSizeZUnit", "µm")
    if summary.mean_interval_ms is not None:
        pixels.set("TimeIncrement", repr(summary.mean_interval_ms * layout.turn))
        pixels.set("TimeIncrementUnit", "ms")
    for number in range(sizes["C"]):
        channel = ET.SubElement(
            pixels, "Channel", {"ID": f"Channel:0:{number}", "SamplesPerPixel": "1"}
        )
        first_of_it = number * layout.channel_stride
        known = summary.first_channels
        name = known[first_of_it] if first_of_it < len(known) else None
        if "C" not in layout.axes:
            name = summary.channel_name
        if name is not None:
            channel.set("Name", name)
    ET.SubElement(pixels, "TiffData", IFD="0", PlaneCount=str(summary.frames))
    whole = bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))
    head, end, tail = whole.rpartition(b"</Pixels>")
    # As elements, the planes of a night would take gigabytes for the moment of closing.
    places = _places({axis: sizes[axis] for axis in fastest_first})
    planes = map(_plane, places, summary.planes())
    return b"".join([head, *planes, end, tail])


def _places(sizes: dict[str, int]) -> Iterator[dict[str, int]]:
    """Where each frame lies on the axes T, C and Z, from the first one on; fastest axis first."""
    for index in itertools.count():
        place, rest = {}, index
        for axis, size in sizes.items():
            rest, place[axis] = divmod(rest, size)
        yield place


def _plane(place: dict[str, int], times: PlaneTimes) -> bytes:
    """One element; all values are numbers, so there is nothing to escape."""
    told = [f'The{axis}="{place[axis]}"' for axis in "ZCT"]
    if times.delta_s is not None:
        told.append(f'DeltaT="{times.delta_s:.9f}"')
    if times.exposure_s is not None:
        told.append(f'ExposureTime="{times.exposure_s!r}"')
    if times.z_um is not None:
        told.append(f'PositionZ="{times.z_um!r}" PositionZUnit="µm"')
    return f"<Plane {' '.join(told)} />".encode()
