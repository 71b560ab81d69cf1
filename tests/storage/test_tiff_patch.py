"""Changes to finished TIFF files, classic and big."""

import io

import numpy as np
import pytest
import tifffile

from liverestore.writer.tiff_patch import end_chain, set_description
from liverestore.writer.whole import write_all


@pytest.fixture(params=[False, True], ids=["classic", "big"])
def tiff(request, tmp_path):
    path = tmp_path / "a.tif"
    ends = []
    with (
        path.open("w+b") as file,
        tifffile.TiffWriter(file, bigtiff=request.param, shaped=False) as writer,
    ):
        for n in range(3):
            writer.write(
                np.full((8, 8), n, np.uint16),
                contiguous=False,
                metadata=None,
                description="to be replaced" if n == 0 else None,
            )
            file.flush()
            ends.append(file.tell())
    return path, request.param, ends


def test_description_is_replaced(tiff):
    path, big, _ = tiff
    with path.open("r+b", buffering=0) as file:
        set_description(file, big, "<µm>".encode() * 1000)
    with tifffile.TiffFile(path) as found:
        assert found.pages[0].tags[270].value == "<µm>" * 1000
        assert len(found.pages) == 3
        assert found.pages[2].asarray()[0, 0] == 2


def test_full_disk_leaves_the_old_description(tiff):
    path, big, _ = tiff
    before = path.read_bytes()

    class Full(io.FileIO):
        def write(self, data):
            taken = super().write(bytes(data)[:10])
            if self.tell() > len(before) + 30:
                raise OSError(28, "No space left on device")
            return taken

    with Full(path, "r+b") as file, pytest.raises(OSError, match="No space"):
        set_description(file, big, b"x" * 1000)
    assert path.read_bytes() == before


def test_chain_ends_before_a_cut(tiff):
    path, big, ends = tiff
    with path.open("r+b") as file:
        file.truncate(ends[1])
        end_chain(file, big, ends[1])
    with tifffile.TiffFile(path) as found:
        assert len(found.pages) == 2
        assert found.pages[1].asarray()[0, 0] == 1


def test_whole_chain_is_left_alone(tiff):
    path, big, ends = tiff
    before = path.read_bytes()
    with path.open("r+b") as file:
        end_chain(file, big, ends[2])
    assert path.read_bytes() == before


def test_write_all_goes_on_after_a_part():
    class Partial(io.BytesIO):
        def write(self, data):
            return super().write(bytes(data)[:3])

    file = Partial()
    write_all(file, b"0123456789")
    assert file.getvalue() == b"0123456789"


def test_write_all_gives_up_when_nothing_is_taken():
    class Stuck(io.BytesIO):
        def write(self, data):
            return 0

    with pytest.raises(OSError, match="space"):
        write_all(Stuck(), b"0")
