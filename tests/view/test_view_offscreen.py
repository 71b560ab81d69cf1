import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QImage

from liverestore.errors import Failure
from liverestore.view.feed import ShownPair
from liverestore.view.offscreen import render_png

DATA = Path(__file__).parents[3] / "shared" / "data"


def _pixels(path):
    image = QImage(str(path)).convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
    # A copy: the pixels belong to `image`, which ends with this function.
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


@pytest.fixture
def noisy(make_frame, make_restored):
    rng = np.random.default_rng(3)
    raw = make_frame(rng.poisson(100, (256, 256)).astype(np.uint16), number=42)
    return ShownPair(raw, make_restored(raw, np.full((256, 256), 100, np.uint16)))


def test_the_png_shows_both_images(tmp_path, noisy, make_status, nothing_left):
    path = tmp_path / "view.png"
    render_png(noisy, make_status(), path)
    picture = _pixels(path)
    assert picture.shape == (900, 1600, 3)
    left, right = picture[200:700, 150:650, 0], picture[200:700, 950:1450, 0]
    assert left.std() > 20, "the raw pane shows noise"
    assert right.std() < 1, "the restored pane is flat"


def test_the_size_is_the_one_asked_for(tmp_path, noisy, make_status, nothing_left):
    render_png(noisy, make_status(), tmp_path / "big.png", (3840, 2160))
    assert _pixels(tmp_path / "big.png").shape == (2160, 3840, 3)


def test_an_empty_view_can_be_painted(tmp_path, nothing_left):
    render_png(None, None, tmp_path / "empty.png", (1280, 800))
    assert _pixels(tmp_path / "empty.png")[200:390, 100:600].max() < 20


def test_a_folder_that_is_not_there_is_a_failure(tmp_path, noisy, nothing_left):
    with pytest.raises(Failure, match="cannot write"):
        render_png(noisy, None, tmp_path / "none" / "view.png")


def test_a_process_that_painted_ends_without_a_word(tmp_path):
    code = (
        "import sys; from pathlib import Path; from liverestore.view.offscreen import render_png;"
        "render_png(None, None, Path(sys.argv[1]), (1280, 800))"
    )
    outcome = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code, str(tmp_path / "v.png")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")
    assert (tmp_path / "v.png").stat().st_size > 10_000


@pytest.mark.skipif(not DATA.is_dir(), reason="real images are not in this checkout")
def test_a_real_frame_has_contrast(tmp_path, make_frame, make_status, nothing_left):
    import tifffile

    pixels = tifffile.imread(DATA / "denoise/tirf_microtubules/TIRF_200Hz.tif")[0]
    render_png(ShownPair(make_frame(pixels)), make_status(), tmp_path / "real.png")
    image = _pixels(tmp_path / "real.png")[250:650, 200:600, 0]
    assert np.percentile(image, 95) - np.percentile(image, 5) > 60
