"""Random two-dimensional specimens as a microscope would image them, without noise.

A scene is a (Y, X) float32 image between 0 and about 1. It is a pure function of its seed,
so that a training run can be repeated, and resumed, from one number. Breadth matters more
than likeness: every family below is drawn over sizes, densities and blurs far beyond one
microscope (pixel sizes from about 50 to 650 nm give core widths of 0.35 to 4 pixels).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["FAMILIES", "numbered_scene", "scene"]

FloatImage = NDArray[np.float32]


def _frequencies(shape: tuple[int, int]) -> FloatImage:
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.rfftfreq(shape[1])[None, :]
    return np.asarray(np.sqrt(fy * fy + fx * fx), np.float32)


def _blur(image: FloatImage, sigma_px: float) -> FloatImage:
    """Gaussian blur of (Y, X) with mirrored borders."""
    if sigma_px <= 0:
        return image
    margin = min(int(3 * sigma_px) + 1, min(image.shape) - 1)
    padded = np.pad(image, margin, mode="reflect")
    transfer = np.exp(-2 * (np.pi * sigma_px * _frequencies(padded.shape)) ** 2)
    out = fft.irfft2(fft.rfft2(padded) * transfer, s=padded.shape)
    return np.asarray(out[margin:-margin, margin:-margin], np.float32)


def _texture(rng: np.random.Generator, shape: tuple[int, int], slope: float) -> FloatImage:
    """Random field with amplitude spectrum f**-slope, zero mean and unit variance."""
    frequency = _frequencies(shape)
    frequency[0, 0] = 1.0
    spectrum = fft.rfft2(rng.standard_normal(shape).astype(np.float32)) * frequency**-slope
    spectrum[0, 0] = 0
    field = fft.irfft2(spectrum, s=shape)
    return np.asarray(field / (field.std() + 1e-9), np.float32)


def _splat(
    y: NDArray[np.floating],
    x: NDArray[np.floating],
    w: NDArray[np.floating],
    shape: tuple[int, int],
) -> FloatImage:
    """Add points of weight `w` to a (Y, X) grid, bilinearly."""
    inside = (y >= 0) & (x >= 0) & (y < shape[0] - 1) & (x < shape[1] - 1)
    y, x, w = y[inside], x[inside], w[inside]
    iy, ix = y.astype(np.int64), x.astype(np.int64)
    fy, fx = y - iy, x - ix
    flat = iy * shape[1] + ix
    size = shape[0] * shape[1]
    out = np.bincount(flat, w * (1 - fy) * (1 - fx), size)
    out += np.bincount(flat + 1, w * (1 - fy) * fx, size)
    out += np.bincount(flat + shape[1], w * fy * (1 - fx), size)
    out += np.bincount(flat + shape[1] + 1, w * fy * fx, size)
    return out.reshape(shape).astype(np.float32)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _curves(
    rng: np.random.Generator,
    shape: tuple[int, int],
    count: int,
    length_px: float,
    wander: float,
    start: NDArray[np.floating] | None = None,
    heading: NDArray[np.floating] | None = None,
    field: FloatImage | None = None,
    labelling: float = 0.0,
) -> FloatImage:
    """`count` worm-like chains as thin lines of unit brightness.

    `wander` is the angle's random walk in radian per square root of a pixel; `field` gives
    the heading at each place instead; `labelling` above 0 makes the lines speckled.
    """
    step = 0.5
    steps = max(int(length_px / step), 4)
    if start is None:
        start = rng.uniform(-0.1, 1.1, (count, 2)) * np.array(shape)
    if heading is None:
        heading = rng.uniform(0, 2 * np.pi, count)
    if field is None:
        # A smooth walk: the curvature itself wanders.
        turn = rng.standard_normal((count, steps)) * wander * np.sqrt(step)
        angle = heading[:, None] + np.cumsum(turn, axis=1)
        y = start[:, :1] + step * np.cumsum(np.sin(angle), axis=1)
        x = start[:, 1:] + step * np.cumsum(np.cos(angle), axis=1)
    else:
        y = np.empty((count, steps))
        x = np.empty((count, steps))
        py, px = start[:, 0].copy(), start[:, 1].copy()
        for k in range(steps):
            iy = np.clip(py, 0, shape[0] - 1).astype(np.int64)
            ix = np.clip(px, 0, shape[1] - 1).astype(np.int64)
            direction = field[iy, ix]
            py += step * np.sin(direction)
            px += step * np.cos(direction)
            y[:, k], x[:, k] = py, px
    weight = np.repeat(rng.lognormal(0, 0.5, (count, 1)), steps, axis=1)
    if labelling > 0:
        weight = weight * rng.gamma(1 / labelling, labelling, weight.shape)
    return _splat(y.ravel(), x.ravel(), weight.ravel() * step, shape)


def filaments(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Microtubule-like lines, scattered, in loose bundles or from an organising centre."""
    count = int(_log_uniform(rng, 3, 150))
    wander = _log_uniform(rng, 0.005, 0.15)
    start = heading = None
    kind = rng.random()
    if kind < 0.2:
        centre = rng.uniform(0, 1, 2) * np.array(shape)
        start = centre + rng.normal(0, 6, (count, 2))
    elif kind < 0.55:
        # Neighbours that run the same way, apart by a few pixels.
        groups = int(rng.integers(1, 6))
        which = rng.integers(0, groups, count)
        start = rng.uniform(-0.1, 1.1, (groups, 2))[which] * np.array(shape)
        start = start + rng.normal(0, _log_uniform(rng, 3, 40), (count, 2))
        heading = rng.uniform(0, 2 * np.pi, groups)[which] + rng.normal(0, 0.2, count)
    labelling = _log_uniform(rng, 0.2, 6) if rng.random() < 0.3 else 0.0
    length = _log_uniform(rng, 30, 500)
    return _curves(rng, shape, count, length, wander, start, heading, labelling=labelling)


def fibres(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Actin-like bundles along a slowly turning direction, from a few to a dense weave, over a
    fine mesh and a pedestal of unresolved filaments.
    """
    turn = rng.uniform(0.05, 1.0)
    direction = rng.uniform(0, np.pi) + turn * _blur(_texture(rng, shape, 1.8), 6)
    direction = direction.astype(np.float32)
    dense = rng.random() < 0.6
    count = int(_log_uniform(rng, 300, 2500) if dense else _log_uniform(rng, 30, 250))
    labelling = rng.uniform(0, 2) if rng.random() < 0.4 else 0.0
    lines = _curves(
        rng, shape, count, _log_uniform(rng, 20, 200), 0.0, field=direction, labelling=labelling
    )
    if rng.random() < 0.6:
        thick = _curves(rng, shape, count // 12 + 2, 150, 0.0, field=direction)
        lines += rng.uniform(0.5, 3) * _blur(thick, rng.uniform(0.4, 2))
    if rng.random() < 0.5:
        lines += rng.uniform(0.2, 1) * _curves(rng, shape, 300, 25, 0.2)
    if dense and rng.random() < 0.5:
        crossing = _curves(rng, shape, count // 3, 60, 0.0, field=direction + rng.uniform(0.3, 1.5))
        lines += rng.uniform(0.3, 1) * crossing
    pedestal = rng.uniform(0.2, 2) * float(lines.mean())
    patch = np.exp(rng.uniform(0, 0.8) * _texture(rng, shape, 1.8))
    if rng.random() < 0.5:
        # The edge of the cell.
        nearest, second = _cells(rng, shape)
        patch = patch * (
            1 / (1 + np.exp(-np.clip((second - nearest - rng.uniform(2, 30)), -30, 30)))
        )
    return np.asarray((lines + pedestal) * patch, np.float32)


def mitochondria(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Worm-like tubes with a width, solid or hollow."""
    count = int(_log_uniform(rng, 5, 160))
    lines = _curves(rng, shape, count, _log_uniform(rng, 6, 70), _log_uniform(rng, 0.05, 0.5))
    width = _log_uniform(rng, 0.5, 3.5)
    tube = _blur(lines, width) * width
    tube = tube / (tube + np.float32(rng.uniform(0.1, 1.0)))
    if width > 1.5 and rng.random() < 0.4:
        tube = np.maximum(tube - rng.uniform(0.3, 0.8) * _blur(tube, width), 0)
    return np.asarray(tube * np.exp(rng.uniform(0.1, 0.7) * _texture(rng, shape, 1.3)), np.float32)


def _cells(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[FloatImage, FloatImage]:
    """Distance to the nearest and to the second nearest seed under a warped metric."""
    count = int(_log_uniform(rng, 3, 60))
    seeds = rng.uniform(-0.1, 1.1, (count, 2)) * np.array(shape)
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    amount = rng.uniform(0, 12)
    yy = yy + amount * _texture(rng, shape, 1.9)
    xx = xx + amount * _texture(rng, shape, 1.9)
    nearest = np.full(shape, np.inf, np.float32)
    second = np.full(shape, np.inf, np.float32)
    for sy, sx in seeds:
        d = np.sqrt((yy - np.float32(sy)) ** 2 + (xx - np.float32(sx)) ** 2)
        np.minimum(second, np.maximum(nearest, d), out=second)
        np.minimum(nearest, d, out=nearest)
    return nearest, second


def membranes(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Outlines of packed cells."""
    nearest, second = _cells(rng, shape)
    width = _log_uniform(rng, 0.4, 3)
    edge = np.exp(-0.5 * ((second - nearest) / (2 * width)) ** 2)
    edge = edge * np.exp(rng.uniform(0, 0.8) * _texture(rng, shape, 1.2))
    edge = edge + rng.uniform(0, 0.3) * np.exp(0.5 * _texture(rng, shape, 1.4))
    return np.asarray(edge, np.float32)


def nuclei(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Blobs with a sharp or soft edge, chromatin texture and nucleoli."""
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    amount = rng.uniform(0, 5)
    yy = yy + amount * _texture(rng, shape, 2.0)
    xx = xx + amount * _texture(rng, shape, 2.0)
    out = np.zeros(shape, np.float32)
    chromatin = np.exp(rng.uniform(0.1, 0.8) * _texture(rng, shape, rng.uniform(0.6, 1.6)))
    base = _log_uniform(rng, 4, 60)
    for _ in range(int(np.clip(_log_uniform(rng, 1, 8) * (45 / base) ** 2, 1, 90))):
        cy, cx = rng.uniform(0, 1, 2) * np.array(shape)
        a = base * rng.uniform(0.7, 1.3)
        b = a * rng.uniform(0.5, 1)
        t = rng.uniform(0, np.pi)
        u = ((yy - cy) * np.sin(t) + (xx - cx) * np.cos(t)) / a
        v = ((yy - cy) * np.cos(t) - (xx - cx) * np.sin(t)) / b
        radius = np.sqrt(u * u + v * v)
        body = 1 / (1 + np.exp(np.clip((radius - 1) * a / rng.uniform(0.3, 2), -30, 30)))
        out = np.maximum(out, body * np.float32(rng.lognormal(0, 0.4)))
    if rng.random() < 0.5:
        holes = _texture(rng, shape, 1.7) > rng.uniform(1.0, 2.0)
        out = out * (1 - rng.uniform(0.3, 0.9) * _blur(holes.astype(np.float32), 1))
    return np.asarray(out * chromatin, np.float32)


def spots(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Beads, vesicles and single molecules; some are rings, some cluster."""
    count = int(_log_uniform(rng, 5, 1500))
    place = rng.uniform(0, 1, (count, 2)) * np.array(shape)
    if rng.random() < 0.4:
        centres = rng.uniform(0, 1, (8, 2)) * np.array(shape)
        place = centres[rng.integers(0, 8, count)] + rng.normal(0, rng.uniform(5, 40), (count, 2))
    weight = rng.lognormal(0, rng.uniform(0.2, 1.2), count)
    if rng.random() < 0.3:
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radius = rng.gamma(4, _log_uniform(rng, 0.3, 1.5), count)
        y = place[:, :1] + radius[:, None] * np.sin(turn)
        x = place[:, 1:] + radius[:, None] * np.cos(turn)
        return _splat(y.ravel(), x.ravel(), np.repeat(weight, 24) / 24, shape)
    return _splat(place[:, 0], place[:, 1], weight, shape)


def tissue(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Log-normal random texture, from grainy to cloudy."""
    field = _texture(rng, shape, rng.uniform(0.7, 1.9))
    return np.asarray(np.exp(rng.uniform(0.3, 1.6) * field), np.float32)


def leaves(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Overlapping flat shapes with sharp edges (the dead-leaves model of images)."""
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    out = np.full(shape, rng.random(), np.float32)
    contrast = rng.uniform(0.3, 2.0)
    for _ in range(int(rng.integers(20, 110))):
        r = _log_uniform(rng, 2, 60)
        cy, cx = rng.uniform(0, 1, 2) * np.array(shape)
        y0, y1 = max(int(cy - 2 * r), 0), min(int(cy + 2 * r) + 1, shape[0])
        x0, x1 = max(int(cx - 2 * r), 0), min(int(cx + 2 * r) + 1, shape[1])
        if y0 >= y1 or x0 >= x1:
            continue
        dy, dx = yy[y0:y1, x0:x1] - cy, xx[y0:y1, x0:x1] - cx
        t = rng.uniform(0, np.pi)
        u, v = dy * np.sin(t) + dx * np.cos(t), dy * np.cos(t) - dx * np.sin(t)
        v = v * rng.uniform(1, 3)
        inside = (u * u + v * v < r * r) if rng.random() < 0.7 else np.maximum(abs(u), abs(v)) < r
        out[y0:y1, x0:x1][inside] = rng.lognormal(0, contrast)
    return out


def empty(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """Nothing but a slow gradient: here a network must not invent anything."""
    return 1 + np.float32(rng.uniform(0, 0.4)) * _texture(rng, shape, 2.5)


FAMILIES: dict[str, tuple[Callable[[np.random.Generator, tuple[int, int]], FloatImage], float]] = {
    "filaments": (filaments, 0.24),
    "fibres": (fibres, 0.20),
    "mitochondria": (mitochondria, 0.15),
    "membranes": (membranes, 0.07),
    "nuclei": (nuclei, 0.09),
    "spots": (spots, 0.09),
    "tissue": (tissue, 0.05),
    "leaves": (leaves, 0.07),
    "empty": (empty, 0.04),
}
"""Family -> (generator, share of the scenes whose sharp layer it is)."""


def _optics(rng: np.random.Generator, layer: FloatImage) -> FloatImage:
    """A core of random width, with the wide skirt that real point-spread functions have."""
    sigma = _log_uniform(rng, 0.35, 3.2)
    if rng.random() < 0.08:
        sigma = 0.0
    core = _blur(layer, sigma)
    skirt = rng.uniform(0, 0.35)
    if skirt > 0.05:
        core = (1 - skirt) * core + skirt * _blur(layer, max(sigma, 0.5) * rng.uniform(2, 6))
    return core


def _normalised(layer: FloatImage, quantile: float = 0.999) -> FloatImage:
    layer = np.maximum(layer, 0)
    top = float(np.quantile(layer, quantile))
    if top <= 0:
        top = float(layer.max())
    return layer / np.float32(top) if top > 0 else layer


def scene(seed: tuple[int, ...], shape: tuple[int, int] = (256, 256)) -> FloatImage:
    """Noise-free (Y, X) float32 image, its 99.9th percentile near 1; a function of `seed`."""
    rng = np.random.default_rng(seed)
    names = list(FAMILIES)
    shares = np.array([FAMILIES[n][1] for n in names])
    shares = shares / shares.sum()
    first = names[rng.choice(len(names), p=shares)]
    image = _normalised(_optics(rng, FAMILIES[first][0](rng, shape)))
    if first != "empty" and rng.random() < 0.35:
        other = names[rng.choice(len(names) - 1, p=shares[:-1] / shares[:-1].sum())]
        more = _normalised(_optics(rng, FAMILIES[other][0](rng, shape)))
        image = image + np.float32(_log_uniform(rng, 0.1, 1)) * more
    if rng.random() < 0.25:
        image = image ** np.float32(rng.uniform(0.6, 1.8))
    if first != "empty" and rng.random() < 0.6:
        # Light from above and below the plane in focus.
        haze = image if rng.random() < 0.5 else FAMILIES[first][0](rng, shape)
        haze = _normalised(_blur(haze, _log_uniform(rng, 3, 25)), 0.99)
        image = image + np.float32(_log_uniform(rng, 0.03, 1.0)) * haze
    if rng.random() < 0.3:
        image = image * np.exp(rng.uniform(0.1, 0.8) * _texture(rng, shape, 2.2))
    image = _normalised(image)
    return image / np.float32(max(float(image.max()) / 4, 1))


def numbered_scene(seed: int, side_px: int, number: int) -> FloatImage:
    """Square `scene` of the seed (seed, number): a function of one number, once the others are
    bound, that another process can call.
    """
    return scene((seed, number), (side_px, side_px))
