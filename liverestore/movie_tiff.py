"""TIFF, ImageJ TIFF and OME-TIFF as movies."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.frame_record import RECORD_TAG, FrameRecord, decode_record
from liverestore.movie_base import Movie
from liverestore.movie_tiff_cut import Cut, CutFile, find_cut

__all__ = ["TiffMovie"]

_UM_PER_UNIT = {
    "m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "micron": 1.0, "microns": 1.0,
    "micrometer": 1.0, "µm": 1.0, "nm": 1e-3, "nanometer": 1e-3,
}  # fmt: skip
_MS_PER_UNIT = {"s": 1e3, "sec": 1e3, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "min": 6e4, "h": 3.6e6}
_LARGEST_PIXEL_UM = 50.0
"""Beyond it the number is a printing resolution, not a pixel in a sample."""


class TiffMovie(Movie):
    """The one series of images in a TIFF file (see `Movie`)."""

    def __init__(self, path: Path) -> None:
        self._size_bytes = path.stat().st_size
        self._cut: Cut | None = None
        """Where it ends in the middle of a page of our own."""
        self._cut_file: io.BufferedReader | None = None
        with _one_line(path):
            self._tiff = tifffile.TiffFile(path)
        try:
            with _one_line(path):
                self._leave_out_cut_page(path)
                self._series = self._only_series(path)
                super().__init__(path, self._series.axes, self._series.shape, self._series.dtype)
                self._pixels = self._mapped()
                self._check_length()
                self._read_calibration()
            if self._cut is not None:
                words = self._ends_within(self._cut_record)
                self.note = "; ".join(filter(None, (self.note, words)))
        except BaseException:
            self.close()
            raise

    def _only_series(self, path: Path) -> tifffile.TiffPageSeries:
        if not self._tiff.pages:
            raise UserError(f"{path}: got a TIFF without any image; check how it was saved")
        found = self._tiff.series
        series = found[0]
        if "S" in series.axes or self._tiff.pages.first.photometric in (
            tifffile.PHOTOMETRIC.RGB,
            tifffile.PHOTOMETRIC.YCBCR,
            tifffile.PHOTOMETRIC.PALETTE,
        ):
            raise UserError(
                f"{path}: got a colour image (axes {series.axes}); allowed are monochrome "
                "images; split the channels first (Fiji: Image > Color > Split Channels), or, "
                "where these are 3 or 4 frames, save them with photometric='minisblack'"
            )
        if len(found) > 1:
            sizes = ", ".join("x".join(map(str, s.shape)) for s in found[:3])
            raise UserError(
                f"{path}: got {len(found)} images in one file ({sizes} ...); allowed is one "
                "movie or stack with frames of one size; save each as its own file"
            )
        if len(series.axes) < 2 or series.axes[-2:] != "YX":
            raise UserError(
                f"{path}: got the axes {series.axes}; allowed are axes that end in YX; save "
                "it with the image plane as the last two axes"
            )
        return series

    def _leave_out_cut_page(self, path: Path) -> None:
        """Read a recording that was cut off in writing, or copied in part, up to its last page."""
        pages = self._tiff.pages
        if not pages or RECORD_TAG not in pages.first.tags or self._tiff.is_ome:
            return
        cut = find_cut(path)
        if cut is None or cut.pages == 0:
            return
        self._tiff.close()
        self._cut, self._size_bytes = cut, cut.size
        self._cut_file = io.BufferedReader(CutFile(path, cut))
        self._tiff = tifffile.TiffFile(self._cut_file)

    def _cut_record(self) -> FrameRecord | None:
        """Of the page that is cut; None where its record is not whole either."""
        stored = None if self._cut is None else self._cut.record
        return None if stored is None else decode_record(stored, f"{self.path}, the page cut off")

    def _mapped(self) -> NDArray[Any] | None:
        """All frames as one (T, Y, X) view of the file where they lie in one piece."""
        series = self._series
        if series.dataoffset is None or series.is_multifile:
            if len(series.pages) == self.shape[0]:
                return None
            # Volumes inside one page: rare, and no lazy way to cut them.
            return np.asarray(series.asarray()).reshape(self.shape)
        stored = np.dtype(series.dtype).newbyteorder(self._tiff.byteorder)
        self._check_bytes(series.dataoffset + math.prod(self.shape) * stored.itemsize)
        return np.memmap(
            self.path, dtype=stored, mode="r", offset=series.dataoffset, shape=self.shape
        )

    def _check_length(self) -> None:
        """Refuse a file that ends before its last frame."""
        if self._pixels is None:
            last = self._series.pages[self.shape[0] - 1]
            if last is not None and last.dataoffsets:
                self._check_bytes(last.dataoffsets[-1] + last.databytecounts[-1])

    def _check_bytes(self, needed: int) -> None:
        if needed > self._size_bytes and not self._series.is_multifile:
            raise UserError(
                f"{self.path}: got {self._size_bytes} bytes where {self.shape[0]} frames of "
                f"{self.shape[1]}x{self.shape[2]} need {needed}: the file is cut short; copy "
                "it again from where it was recorded"
            )

    def _read(self, index: int) -> NDArray[Any]:
        if self._pixels is not None:
            return np.asarray(self._pixels[index])
        with _one_line(self.path, f"frame {index}"):
            page = self._series.pages[index]
            if page is None:
                raise UserError(
                    f"{self.path}: frame {index} is missing in the file; allowed are complete "
                    "movies; copy it again together with its companion files"
                )
            return np.asarray(page.asarray())

    def record(self, index: int) -> FrameRecord | None:
        """See `Movie.record`; it is in TIFF tag 65000 of the frame's own page."""
        with _one_line(self.path, f"frame {index}"):
            if self._pixels is not None and len(self._series.pages) != self.shape[0]:
                return None
            page = self._series.pages[index]
            tag = None if page is None else page.aspage().tags.get(RECORD_TAG)
            if tag is None:
                return None
            stored = str(tag.value)
        return decode_record(stored, f"{self.path}, frame {index} (TIFF tag {RECORD_TAG})")

    def close(self) -> None:
        """See `Movie.close`."""
        self._pixels = None
        self._tiff.close()
        if self._cut_file is not None:
            self._cut_file.close()

    def _read_calibration(self) -> None:
        if self._tiff.is_ome:
            self._from_ome_xml(str(self._tiff.ome_metadata))
        elif self._tiff.is_imagej:
            self._from_imagej(self._tiff.imagej_metadata or {})
        else:
            unit = self._tiff.pages.first.tags.get("ResolutionUnit")
            um = {3: 1e4, 4: 1e3, 5: 1.0}.get(int(unit.value)) if unit is not None else None
            self.pixel_size_um = self._from_resolution(um)

    def _from_imagej(self, found: dict[str, Any]) -> None:
        # ImageJ escapes the micro sign as six characters.
        unit = str(found.get("unit", "")).replace("\\u00B5", "µ")
        um = _UM_PER_UNIT.get(unit)
        self.pixel_size_um = self._from_resolution(um)
        spacing = found.get("spacing")
        if "Z" in self.axes and um is not None and isinstance(spacing, int | float):
            self.z_step_um = abs(float(spacing)) * um or None
        if self.axes == "ZYX" and spacing is None:
            # ImageJ calls every stack "slices" until told otherwise; a real z-stack has a spacing.
            self.time_axis = 0
        interval_s = found.get("finterval")
        if isinstance(interval_s, int | float) and interval_s > 0:
            self.interval_ms = 1e3 * float(interval_s)

    def _from_resolution(self, um_per_unit: float | None) -> float | None:
        """Pixel edge in um from the resolution tags, where they can be meant so."""
        tags = self._tiff.pages.first.tags
        x, y = tags.get("XResolution"), tags.get("YResolution")
        if um_per_unit is None or x is None or y is None or not (x.value[0] and y.value[0]):
            return None
        return _square(*(um_per_unit * tag.value[1] / tag.value[0] for tag in (x, y)))

    def _from_ome_xml(self, xml: str) -> None:
        try:
            root = ElementTree.fromstring(xml.encode())
        except ElementTree.ParseError:
            # The pixels are readable without it; the sizes stay unknown.
            return
        pixels = root.find(".//{*}Image/{*}Pixels")
        if pixels is None:
            return
        x, y, z = (_quantity(pixels, f"PhysicalSize{axis}", "µm", _UM_PER_UNIT) for axis in "XYZ")
        self.pixel_size_um = _square(x, y if y is not None else x)
        self.z_step_um = z
        self.interval_ms = _quantity(pixels, "TimeIncrement", "s", _MS_PER_UNIT)


def _quantity(
    element: ElementTree.Element, name: str, default_unit: str, factors: dict[str, float]
) -> float | None:
    factor = factors.get(element.get(f"{name}Unit", default_unit))
    text = element.get(name)
    if factor is None or text is None or not re.fullmatch(r"\s*[\d.eE+-]+\s*", text):
        return None
    value = float(text) * factor
    return value if value > 0 else None


def _square(x_um: float | None, y_um: float | None) -> float | None:
    """The edge of a square pixel of plausible size, else None."""
    if x_um is None or y_um is None or abs(x_um - y_um) > 0.01 * x_um:
        return None
    return x_um if x_um <= _LARGEST_PIXEL_UM else None


@contextlib.contextmanager
def _one_line(path: Path, where: str = "") -> Iterator[None]:
    """Turn what tifffile raises into one line, and keep its log messages to itself."""
    logger = logging.getLogger("tifffile")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    place = f"{path}, {where}" if where else f"{path}"
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(
            f"{place}: got an image that does not fit into the memory; crop it, or check that "
            "the copy is complete"
        ) from error
    except PermissionError as error:
        raise UserError(f"{path}: may not be read ({error.strerror}); check its rights") from error
    except tifffile.TiffFileError as error:
        raise UserError(
            f"{place}: got a file that is no readable TIFF ({_first_line(error)}); allowed are "
            "TIFF and OME-TIFF images; check that the copy is complete and open it in Fiji"
        ) from error
    except (ValueError, TypeError, LookupError, OSError, ArithmeticError, AttributeError,
            RuntimeError, struct.error) as error:  # fmt: skip
        # tifffile and its decoders raise all of these on damaged tags and pixels.
        if "imagecodecs" in str(error):
            raise UserError(
                f"{place}: got compressed pixels ({_first_line(error)}); save the image "
                "without compression, or install the decoders with: pip install imagecodecs"
            ) from error
        raise UserError(
            f"{place}: got a damaged TIFF ({type(error).__name__}: {_first_line(error)}); "
            "allowed are complete TIFF and OME-TIFF images; copy it again from its source"
        ) from error
    finally:
        logger.setLevel(before)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
