"""Folders of sockets: nobody else's, and none stays when its process was killed."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.outlet import Outlet
from liverestore.transport.private_folder import PrivateFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks and signals of Unix")

HOLDS_ONE = (
    "import sys; from liverestore.transport.private_folder import PrivateFolder; "
    "folder = PrivateFolder(); (folder.path / 'control').touch(); "
    "print(folder.path, flush=True); sys.stdin.read()"
)


@pytest.fixture
def place(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="lr-", dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        monkeypatch.setenv("TMPDIR", short)
        yield Path(short)


@pytest.fixture
def holder(place):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    path = process.stdout.readline().strip()
    yield process, place / Path(path).name
    process.kill()
    process.communicate()


def test_a_folder_is_its_users_alone_and_goes_when_closed(place):
    with PrivateFolder() as folder:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        (folder.path / "control").touch()
        with PrivateFolder() as other:
            assert other.path != folder.path
            assert other.reclaimed == []
        assert folder.path.exists()
        folder.close()
    assert list(place.iterdir()) == []


def test_where_the_place_for_temporary_files_is_too_deep_for_sockets_there_is_another(
    tmp_path, monkeypatch
):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with PrivateEndpoints() as endpoint:
        Outlet(endpoint("restored")).close()
        assert list(deep.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_start_and_nothing_else(holder, place):
    process, path = holder
    (place / "liverestore-other").mkdir()
    (place / "liverestore-run-file").touch()
    (place / "liverestore-run-link").symlink_to(place / "liverestore-other")
    with PrivateFolder() as folder:
        assert folder.reclaimed == [], "its process lives"
    assert (path / "control").exists()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with PrivateFolder() as folder:
        assert folder.reclaimed == [path.name]
    left = {one.name for one in place.iterdir()}
    assert left == {"liverestore-other", "liverestore-run-file", "liverestore-run-link"}
