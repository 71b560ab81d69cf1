"""Volumes seen through a microscope: sums over planes, each convolved with its PSF, by FFT."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverestore.errors import UserError
from liverestore.microscopes import Confocal, confocal_psf, sted_psf
from liverestore.optics import Optics, widefield_psf
from liverestore.training.accelerator import moved
from liverestore.training.volumes import Grid

__all__ = [
    "Lens",
    "confocal_lens",
    "confocal_psf_on",
    "lens_from_psf",
    "sted_lens",
    "sted_psf_on",
    "widefield_lens",
    "widefield_psf_on",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Lens:
    """Transfer functions of a microscope on a grid.

    `transfer` is (D, Y, X//2+1) complex64, for emitters at the distances (k - D//2) *
    z_step_um from the plane in focus. The aberrations are those of one depth for the whole
    volume, which is right as long as the stack is thin compared with its depth.
    """

    grid: Grid
    transfer: Tensor

    def stack(self, volume: Tensor, planes: Tensor | None = None) -> Tensor:
        """Pictures with the planes of `volume` (Z, Y, X) in focus, (P, Y, X) float32.

        `planes` are the indices in focus (all by default), on the device of the volume. The
        field is periodic. Volume elements farther away than the transfer functions reach are
        left out.
        """
        grid = self.grid
        shape = (grid.planes, grid.side_px, grid.side_px)
        if tuple(volume.shape) != shape:
            raise UserError(f"rendering: got a volume {tuple(volume.shape)}; the lens has {shape}")
        spectrum = torch.fft.rfft2(volume)
        if planes is None:
            pictures = [self._all_planes(spectrum, focus) for focus in range(grid.planes)]
        else:
            pictures = [self._one_plane(spectrum, focus) for focus in planes.unbind()]
        side = (grid.side_px, grid.side_px)
        images: Tensor = torch.fft.irfft2(torch.stack(pictures), s=side)
        return images.clamp_min(0)

    def _all_planes(self, spectrum: Tensor, focus: int) -> Tensor:
        reach = self.transfer.shape[0] // 2
        first = max(0, focus - reach)
        last = min(self.grid.planes, focus + reach + 1)
        part = self.transfer[first - focus + reach : last - focus + reach]
        return (spectrum[first:last] * part).sum(0)

    def _one_plane(self, spectrum: Tensor, focus: Tensor) -> Tensor:
        """As `_all_planes`, for an index that only the device knows."""
        reach = self.transfer.shape[0] // 2
        place = torch.arange(self.grid.planes, device=spectrum.device) - focus + reach
        inside = (place >= 0) & (place <= 2 * reach)
        part = self.transfer[place.clamp(0, 2 * reach)] * inside[:, None, None]
        return (spectrum * part).sum(0)


def lens_from_psf(grid: Grid, psf: NDArray[np.float32], device: torch.device | None = None) -> Lens:
    """The lens on `device` of PSFs (D, S, S), S up to the side of the grid, with their centre
    at [S // 2, S // 2].
    """
    size = psf.shape[-1]
    canvas = np.zeros((psf.shape[0], grid.side_px, grid.side_px), np.float32)
    canvas[:, :size, :size] = psf
    canvas = np.roll(canvas, (-(size // 2), -(size // 2)), axis=(1, 2))
    there = moved(torch.from_numpy(canvas), device or torch.device("cpu"))
    return Lens(grid, torch.fft.rfft2(there))


def _distances(grid: Grid, reach_um: float) -> NDArray[np.float64]:
    planes = min(grid.planes - 1, int(reach_um / grid.z_step_um))
    return np.arange(-planes, planes + 1, dtype=np.float64) * grid.z_step_um


def _on(optics: Optics, grid: Grid) -> Optics:
    return dataclasses.replace(optics, pixel_size_um=grid.pixel_size_um)


def widefield_psf_on(optics: Optics, grid: Grid) -> NDArray[np.float32]:
    """(D, Y, X) PSF of a camera behind `optics`, at all distances within the grid."""
    z_um = _distances(grid, grid.height_um + grid.z_step_um)
    return widefield_psf(_on(optics, grid), z_um, grid.side_px)


def _window(grid: Grid, reach_um: float) -> int:
    """Odd window that holds the cone of light at `reach_um`, with some room."""
    return min(2 * int(1.5 * reach_um / grid.pixel_size_um + 12) + 1, (grid.side_px - 1) | 1)


def confocal_psf_on(scanner: Confocal, grid: Grid, reach_um: float = 5.0) -> NDArray[np.float32]:
    """(D, S, S) PSF of a confocal at distances up to `reach_um`; beyond it gives no light."""
    on = dataclasses.replace(scanner, detection=_on(scanner.detection, grid))
    return confocal_psf(on, _distances(grid, reach_um), _window(grid, reach_um))


def sted_psf_on(
    scanner: Confocal, depletion_nm: float, saturation: float, grid: Grid, reach_um: float = 3.0
) -> NDArray[np.float32]:
    """(D, S, S) PSF of a STED microscope, as `confocal_psf_on`."""
    on = dataclasses.replace(scanner, detection=_on(scanner.detection, grid))
    z_um, window = _distances(grid, reach_um), _window(grid, reach_um)
    return sted_psf(on, depletion_nm, saturation, z_um, window)


def widefield_lens(optics: Optics, grid: Grid) -> Lens:
    """A camera behind `optics`; light that leaves the field comes in on its other side."""
    return lens_from_psf(grid, widefield_psf_on(optics, grid))


def confocal_lens(scanner: Confocal, grid: Grid, reach_um: float = 5.0) -> Lens:
    """A confocal; what lies farther than `reach_um` from focus gives it no light."""
    return lens_from_psf(grid, confocal_psf_on(scanner, grid, reach_um))


def sted_lens(
    scanner: Confocal, depletion_nm: float, saturation: float, grid: Grid, reach_um: float = 3.0
) -> Lens:
    """A STED microscope, as `confocal_lens`."""
    return lens_from_psf(grid, sted_psf_on(scanner, depletion_nm, saturation, grid, reach_um))
