"""Files with a few wrong bytes open or are refused in one line; nothing else happens."""

import io
import re
import shutil

import numpy as np
import pytest
import tifffile

from liverestore.errors import UserError
from liverestore.movie import open_movie
from liverestore.writer.ome import OmeSink

ROUNDS = 90
_HOSTILE = ("null", "-1", "[]", "{}", '"x"', "1e400", "99999999999", "true", "[[1]]", "")


def read_or_refuse(path):
    try:
        with open_movie(path) as movie:
            for index in range(min(len(movie), 4)):
                assert movie[index].shape == movie.shape[1:]
                movie.header(index)
    except UserError as error:
        said = str(error)
    else:
        return True
    assert "\n" not in said
    return False


def record(path, frames):
    sink = OmeSink(path)
    for number in range(3):
        sink.append(frames(number))
    sink.close()
    return path


def tiff_seeds(tmp_path, frames):
    pixels = np.arange(3 * 16 * 16, dtype=np.uint16).reshape(3, 16, 16)
    plain, zipped = io.BytesIO(), io.BytesIO()
    tifffile.imwrite(plain, pixels, imagej=True, metadata={"axes": "TYX"})
    with tifffile.TiffWriter(zipped) as writer:
        for frame in pixels:
            writer.write(frame, compression="zlib", contiguous=False, metadata=None)
    own = record(tmp_path / "own.ome.tif", frames).read_bytes()
    return [plain.getvalue(), zipped.getvalue(), own]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tiff(tmp_path, frames, seed, caplog):
    rng = np.random.default_rng(seed)
    whole = tiff_seeds(tmp_path, frames)[seed]
    path = tmp_path / "x.tif"
    outcomes = set()
    for _ in range(ROUNDS):
        data = bytearray(whole)
        if rng.random() < 0.3:
            del data[int(rng.integers(1, len(data))) :]
        for _ in range(int(rng.integers(1, 6))):
            # The directories, where it hurts most, lie mostly at the start.
            reach = min(len(data), 600) if rng.random() < 0.6 else len(data)
            data[int(rng.integers(reach))] = int(rng.integers(256))
        path.write_bytes(data)
        outcomes.add(read_or_refuse(path))
    assert outcomes == {True, False}
    assert caplog.records == []


def test_zarr(tmp_path, frames):
    rng = np.random.default_rng(0)
    whole = record(tmp_path / "own.ome.zarr", frames)
    path = tmp_path / "x.ome.zarr"
    outcomes = set()
    for _ in range(ROUNDS // 2):
        shutil.copytree(whole, path)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        file = files[int(rng.integers(len(files)))]
        data = bytearray(file.read_bytes())
        choice = rng.random()
        if choice < 0.15:
            file.unlink()
        elif choice < 0.6 and file.name == "zarr.json":
            text = data.decode()
            tokens = list(re.finditer(r'"[^"]*"|\d+|\[|\]|null|true', text))
            token = tokens[int(rng.integers(len(tokens)))]
            new = _HOSTILE[int(rng.integers(len(_HOSTILE)))]
            file.write_text(text[: token.start()] + new + text[token.end() :])
        elif choice < 0.75:
            file.write_bytes(data[: int(rng.integers(len(data)))])
        else:
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
            file.write_bytes(data)
        outcomes.add(read_or_refuse(path))
        shutil.rmtree(path)
    assert outcomes == {True, False}


def test_missing_chunk_of_a_recording_is_no_black_frame(tmp_path, frames):
    path = record(tmp_path / "own.ome.zarr", frames)
    (path / "0" / "c" / "1" / "0" / "0").unlink()
    with open_movie(path) as movie:
        assert movie[0].any()
        with pytest.raises(UserError, match="frame 1 is missing"):
            movie[1]
