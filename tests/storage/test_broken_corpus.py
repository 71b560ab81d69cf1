"""Files that are broken or made to do harm: one clear line each, and no memory to speak of."""

import hashlib
import io
import json
import re
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
import zarr

import liverestore
import liverestore.model_spec as model_spec
import liverestore.runtime.plan_cache as plan_cache
from liverestore.camera_maps import load_maps
from liverestore.dpm import parse_dpm
from liverestore.errors import LiverestoreError
from liverestore.model_spec import find_engine
from liverestore.movie import open_movie
from liverestore.paths import shipped
from liverestore.rig import load_rig
from liverestore.runtime.table import open_runtime

LIMIT_BYTES = 64 << 20
"""Python's and NumPy's memory for any of these files, of which none has more than 2 MiB."""


def refused(call, limit_bytes=LIMIT_BYTES):
    """The line that `call` refused with; anything else fails."""
    tracemalloc.start()
    try:
        with pytest.raises(LiverestoreError) as caught:
            call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit_bytes
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 900
    return line


def first_frame(path):
    with open_movie(path) as movie:
        return movie[0]


# -- TIFF -----------------------------------------------------------------------------


def tiff(**tags):
    """A TIFF of 16x16 pixels that says something else of itself."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((16, 16), np.uint16))
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as whole:
        at = {tag.name: tag.valueoffset for tag in whole.pages[0].tags}
    for name, value in tags.items():
        struct.pack_into("<I", data, at[name], value)
    return bytes(data)


TIFFS = {
    "nothing": b"",
    "another format": b"\x89PNG\r\n\x1a\n" + b"\0" * 60,
    "a mark and no more": b"II*\0",
    "a directory beyond the end": b"II*\0" + b"\xff" * 40,
    "a huge picture": tiff(ImageWidth=400_000_000, ImageLength=400_000_000),
    "a picture larger than its file": tiff(ImageWidth=100_000, ImageLength=100_000),
    "no pixels": tiff(ImageWidth=0),
    "pixels beyond the end": tiff(StripOffsets=4_000_000_000),
    "cut in the middle": tiff()[:300],
}


@pytest.mark.parametrize("name", TIFFS)
def test_tiff(tmp_path, name):
    path = tmp_path / "x.tif"
    path.write_bytes(TIFFS[name])
    assert "x.tif" in refused(lambda: first_frame(path))
    assert "camera maps" in refused(lambda: load_maps(path))


# -- Zarr -----------------------------------------------------------------------------


def store(path):
    group = zarr.open_group(path, mode="w")
    group.create_array("0", shape=(3, 16, 16), chunks=(1, 16, 16), dtype="uint16")[:] = 1
    axes = [{"name": n, "type": "space" if n in "xy" else "time"} for n in "tyx"]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    pictures = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": pictures}]}
    return path


def told(file, change):
    def edit(path):
        tree = json.loads((path / file).read_text())
        change(tree)
        (path / file).write_text(json.dumps(tree))

    return edit


def array(**changes):
    return told("0/zarr.json", lambda tree: tree.update(changes))


def picture_at(place):
    def change(tree):
        tree["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = place

    return told("zarr.json", change)


DEEP = "[" * 100_000
STORES = {
    "no metadata": lambda path: (path / "zarr.json").unlink(),
    "brackets without end": lambda path: (path / "zarr.json").write_text(DEEP),
    "no JSON": lambda path: (path / "0" / "zarr.json").write_bytes(b"\xff\xfe\0"),
    "a huge picture": array(shape=[3, 10**7, 10**7]),
    "a picture of a size beyond all": array(shape=[3, 10**30, 16]),
    "a negative size": array(shape=[3, -1, 16]),
    "an unknown codec": array(codecs=[{"name": "evil"}]),
    "a dtype that is none": array(data_type="object"),
    "a picture outside": picture_at("../../x"),
    "a picture at the root": picture_at("/etc"),
    "damaged chunks": lambda path: [c.write_bytes(b"x") for c in path.rglob("c/*/0/0")],
}


@pytest.mark.parametrize("name", STORES)
def test_zarr(tmp_path, name):
    path = store(tmp_path / "x.ome.zarr")
    assert first_frame(path).any()
    STORES[name](path)
    # For a huge picture the system is asked for address space, of which nothing is used.
    limit_bytes = float("inf") if name == "a huge picture" else LIMIT_BYTES
    assert "x.ome.zarr" in refused(lambda: first_frame(path), limit_bytes)


def test_an_archive_is_no_zarr_store(tmp_path):
    path = tmp_path / "x.ome.zarr"
    path.write_bytes(b"PK\3\4" + b"\0" * 40)
    assert "x.ome.zarr" in refused(lambda: first_frame(path))


# -- rigs -----------------------------------------------------------------------------

RIGS = {
    "bytes": b"\xff\xfe\x00",
    "zeros": b"\0" * 10,
    "brackets without end": b"a=" + DEEP.encode(),
    "deep lists": b"a=" + b"[" * 300 + b"]" * 300,
    "deep tables": b"[" + b"a." * 900 + b"b]\nx=1",
    "a long number": b"a=" + b"9" * 6000,
    "a number beyond all": b"name='r'\n[source]\nkind='simulated'\n[camera]\ngain_e_per_count=inf",
    "a date that is none": b"a=1979-99-99",
    "two megabytes": b"#" * (2 << 20),
    "another file": b'{"name": "json"}',
}


@pytest.mark.parametrize("name", RIGS)
def test_rig(tmp_path, name):
    path = tmp_path / "x.toml"
    path.write_bytes(RIGS[name])
    assert "x.toml" in refused(lambda: load_rig(path))


# -- surfaces -------------------------------------------------------------------------


def npy(shape, data=b"", descr="'<f4'"):
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + data


MAPS = {
    "nothing": b"",
    "an archive": b"PK\3\4" + b"\0" * 40,
    "a huge map": npy("(10000000, 10000000)"),
    "a map larger than its file": npy("(60000, 60000)", b"\0" * 100),
    "a size beyond all": npy("(9223372036854775807, 2)"),
    "a negative size": npy("(-1, -1)"),
    "a pickle": npy("(1, 1)", b"\x80\x04K\x01.", "'|O'"),
    "a program": b"\x93NUMPY\1\0\x14\0__import__('os')    \n",
    "brackets without end": b"\x93NUMPY\1\0" + struct.pack("<H", 60_000) + b"(" * 60_000,
    "complex numbers": npy("(2, 2)", b"\0" * 32, "'<c8'"),
    "not a number": npy("(1, 1)", struct.pack("<f", float("nan"))),
    "a line": npy("(4,)", b"\0" * 16),
}


@pytest.mark.parametrize("name", MAPS)
def test_dpm(tmp_path, name):
    path = tmp_path / "x.npy"
    path.write_bytes(MAPS[name])
    assert "x.npy" in refused(lambda: parse_dpm(str(path)))


@pytest.mark.parametrize("name", TIFFS)
def test_dpm_as_a_tiff(tmp_path, name):
    path = tmp_path / "x.tif"
    path.write_bytes(TIFFS[name])
    assert "x.tif" in refused(lambda: np.asarray(parse_dpm(str(path)).surface_um((16, 16), 0.1)))


# -- engines --------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of a shipped engine, as a package of the user's: (its folder, write its card)."""
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    folder = tmp_path / "engines" / "mine"
    shutil.copytree(shipped("engines") / "denoise-live", folder)

    def write(change):
        card = yaml.safe_load((folder / "rdf.yaml").read_text(encoding="utf-8"))
        change(card)
        (folder / "rdf.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")

    return folder, write


ENDLESS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CARDS = {
    "nothing": b"",
    "bytes": b"\xff\xfe\0\1",
    "brackets without end": DEEP.encode(),
    "a date that is none": b"version: 2024-99-99\n",
    "a program": b"!!python/object/apply:os.system ['true']",
    "a card in itself": b"config: &a {liverestore: *a}\nweights: *a",
    "two megabytes": b"#" * (2 << 20),
    "a list": b"[1, 2]",
}


@pytest.mark.parametrize("name", CARDS)
def test_card(package, name):
    (package[0] / "rdf.yaml").write_bytes(CARDS[name])
    assert "mine" in refused(lambda: find_engine("mine"))


def test_a_card_whose_text_would_have_no_end(package):
    card = (package[0] / "rdf.yaml").read_text(encoding="utf-8")
    (package[0] / "rdf.yaml").write_text(f"{ENDLESS}{card}\ndescription: *i\n", encoding="utf-8")
    assert "description" in refused(lambda: find_engine("mine"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("divisor", 0), ("divisor", 10**9), ("halo_px", -4), ("halo_px", 10**9), ("halo_px", 1.5),
     ("reach_um", -1), ("input", "evil"), ("photon_range_e", [1]), ("task", ["denoise"])],
)  # fmt: skip
def test_a_number_that_no_engine_has_is_named(package, key, value):
    package[1](lambda card: card["config"]["liverestore"].update({key: value}))
    assert key in refused(lambda: find_engine("mine"))


@pytest.mark.parametrize("source", ["../weights.onnx", "/etc/hostname", "a/../../../x.onnx"])
def test_weights_lie_in_the_folder_of_their_package(package, source):
    package[1](lambda card: card["weights"]["onnx"].update(source=source))
    assert "outside of its folder" in refused(lambda: find_engine("mine"))


def test_a_link_out_of_the_folder_is_no_way_out(package, tmp_path):
    folder, _ = package
    (folder / "weights.onnx").replace(tmp_path / "elsewhere.onnx")
    try:
        (folder / "weights.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    except OSError as error:
        pytest.skip(f"this user may make no links (Windows): {error}")
    assert "outside of its folder" in refused(lambda: find_engine("mine"))


WEIGHTS = {
    "nothing": lambda _whole: b"",
    "junk": lambda _whole: b"junk",
    "half": lambda whole: whole[: len(whole) // 2],
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_no_network(package, name):
    """Their sha256 is right: whoever made the package made it so."""
    folder, write = package
    weights = folder / "weights.onnx"
    weights.write_bytes(WEIGHTS[name](weights.read_bytes()))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    write(lambda card: card["weights"]["onnx"].update(sha256=digest))

    def use():
        runtime = open_runtime(find_engine("mine"), threads=1)
        try:
            runtime.warm_up((64, 64))
        finally:
            runtime.close()

    assert "mine" in refused(use)


def test_weights_that_changed_are_not_loaded(package):
    with (package[0] / "weights.onnx").open("ab") as file:
        file.write(b"x")
    assert "sha256" in refused(lambda: find_engine("mine"))


def test_weights_and_plans_have_a_largest_size(package, monkeypatch, tmp_path):
    monkeypatch.setattr(model_spec, "MAX_WEIGHTS_BYTES", 1 << 20)
    assert "up to 1 MiB" in refused(lambda: find_engine("mine"))
    monkeypatch.setattr(plan_cache, "MAX_PLAN_BYTES", 3)
    (tmp_path / "x.plan").write_bytes(b"plan")
    (tmp_path / "x.plan").chmod(0o600)
    assert "more than" in plan_cache.read_private(tmp_path / "x.plan")


def test_no_archive_is_ever_unpacked():
    """So none can write outside of its folder; one module reads members of packages one by one."""
    archives = re.compile(r"^\s*(?:import|from) (?:zipfile|tarfile|zipimport)|unpack_archive", re.M)
    files = list(Path(liverestore.__file__).parent.rglob("*.py"))
    found = [file for file in files if archives.search(file.read_text(encoding="utf-8"))]
    assert [file.name for file in found] == ["zoo_package.py"]
    assert not re.search(r"\.extract(all)?\(", found[0].read_text(encoding="utf-8"))
