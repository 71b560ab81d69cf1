"""Packages that are broken or made to do harm: one line each, and nothing left on the disk."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
import yaml

pytest.importorskip("onnx")

from zoo_packages import mean3, network, picture

import liverestore.cli.engine_add as engine_add
from liverestore.cli.engine_add import add_engine
from liverestore.errors import LiverestoreError

GIVEN = picture((16, 16))
AXES = [
    {"type": "batch"},
    {"type": "channel", "channel_names": ["a"]},
    {"type": "space", "id": "y", "size": {"min": 8, "step": 4}},
    {"type": "space", "id": "x", "size": {"min": 8, "step": 4}},
]
CARD = {
    "format_version": "0.5.3",
    "type": "model",
    "name": "Evil twin",
    "inputs": [{"id": "raw", "axes": AXES, "test_tensor": {"source": "in.npy"}}],
    "outputs": [{"id": "made", "axes": AXES, "test_tensor": {"source": "out.npy"}}],
    "weights": {"onnx": {"source": "net.onnx", "opset_version": 17}},
}


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.fixture(scope="module")
def network_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    network(path)
    return path.read_bytes()


@pytest.fixture
def files(network_bytes):
    """Of a package that is right, by their names."""
    return {
        "rdf.yaml": yaml.safe_dump(CARD).encode(),
        "in.npy": npy(GIVEN[None, None]),
        "out.npy": npy(mean3(GIVEN)[None, None].astype(np.float32)),
        "net.onnx": network_bytes,
    }


@pytest.fixture
def engines(tmp_path, monkeypatch):
    """Folder of the user's engines, beside which nothing may appear."""
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "engines"


def zipped(files, path):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of two files of one name
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def refused(path, engines):
    before = {p for p in path.parent.rglob("*") if engines not in p.parents}
    with pytest.raises(LiverestoreError) as caught:
        add_engine(path)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 900
    after = {p for p in path.parent.rglob("*") if engines not in p.parents}
    assert after - before <= {engines.parent, engines}
    assert not engines.exists() or not list(engines.iterdir())
    return line


def test_the_right_one_is_taken(files, engines, tmp_path):
    added = add_engine(zipped(files, tmp_path / "m.zip"))
    assert added.spec.name == "evil-twin"
    assert sorted(p.name for p in (engines / "evil-twin").iterdir()) == [
        "checked.json", "in.npy", "net.onnx", "out.npy", "rdf.yaml",
    ]  # fmt: skip


PLACES = ["../net.onnx", "/srv/net.onnx", "a/../../net.onnx", "C:\\net.onnx"]


@pytest.mark.parametrize("where", PLACES)
def test_no_path_leads_out(files, engines, tmp_path, where):
    """Neither in the archive nor in the card, nor in both."""
    card = {**CARD, "weights": {"onnx": {"source": where, "opset_version": 17}}}
    evil = {**files, "rdf.yaml": yaml.safe_dump(card).encode(), where: files["net.onnx"]}
    assert "outside of its folder" in refused(zipped(evil, tmp_path / "m.zip"), engines)


def test_members_that_nobody_asked_for_are_not_written(files, engines, tmp_path):
    add_engine(zipped({**files, "../../evil.txt": b"x", "sub/evil.sh": b"x"}, tmp_path / "m.zip"))
    assert not list(tmp_path.rglob("*evil.*"))


def test_a_link_is_only_the_text_in_it(files, engines, tmp_path):
    path = tmp_path / "m.zip"
    del files["net.onnx"]
    zipped(files, path)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("net.onnx")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/hostname")
    refused(path, engines)


def test_a_link_out_of_a_folder_is_no_way_out(files, engines, tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "net.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "net.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    assert "outside of it" in refused(folder, engines)


def test_the_size_is_bounded_whatever_the_archive_says(files, engines, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_add, "MAX_PACKAGE_BYTES", 200_000)
    bomb = {**files, "net.onnx": bytes(10_000_000)}
    assert "has more than" in refused(zipped(bomb, tmp_path / "m.zip"), engines)


def many(path):
    return zipped({f"{k}": b"" for k in range(2500)}, path)


BROKEN = {
    "nothing": (lambda _files: b"", "no whole .zip"),
    "half": (lambda files: files[: len(files) // 2], "no whole .zip"),
    "text": (lambda _files: b"hello" * 100, "no whole .zip"),
    "torn": (lambda files: files[:300] + b"\0" * 200 + files[500:], ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_archives_that_are_none(files, engines, tmp_path, name):
    path = zipped(files, tmp_path / "m.zip")
    change, word = BROKEN[name]
    path.write_bytes(change(path.read_bytes()))
    assert word in refused(path, engines)


def test_too_many_files_or_none(engines, tmp_path):
    assert "2500 files" in refused(many(tmp_path / "m.zip"), engines)
    assert "no such file" in refused(tmp_path / "n.zip", engines)
    assert "0 cards" in refused(zipped({"a.txt": b"x"}, tmp_path / "o.zip"), engines)


def header(shape, descr="'<f4'"):
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head


EVIL = {
    "a tensor larger than its file": ("in.npy", header("(1, 1, 60000, 60000)"), "in.npy"),
    "a pickle": ("in.npy", header("(1,)", "'|O'") + b"\x80\x04K\x01.", "no numbers"),
    "no tensor": ("out.npy", b"junk", "no .npy"),
    "not a number": ("out.npy", npy(np.full((1, 1, 16, 16), np.nan, np.float32)), "NaN"),
    "another shape": ("in.npy", npy(np.zeros((16, 16), np.float32)), "shape"),
    "an output of another shape": ("out.npy", npy(np.zeros((1, 1, 8, 8), np.float32)), "shape"),
    "no network": ("net.onnx", b"junk", "evil-twin"),
    "a program": ("rdf.yaml", b"!!python/object/apply:os.system ['true']", "no YAML"),
    "brackets without end": ("rdf.yaml", b"[" * 100_000, "no YAML"),
    "a list": ("rdf.yaml", b"[1, 2]", "its card lacks"),
    "two megabytes": ("rdf.yaml", b"#" * (2 << 20), "1 MiB"),
}


@pytest.mark.parametrize("name", EVIL)
def test_files_that_are_evil(files, engines, tmp_path, name):
    file, data, word = EVIL[name]
    assert word in refused(zipped({**files, file: data}, tmp_path / "m.zip"), engines)


def test_a_file_that_is_missing_is_named(files, engines, tmp_path):
    del files["out.npy"]
    assert "'out.npy', which is not in the package" in refused(
        zipped(files, tmp_path / "m.zip"), engines
    )
