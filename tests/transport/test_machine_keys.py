import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from liverestore.errors import UserError
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.machine_keys import KeyFolder, parse_key

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX's")


@pytest.fixture
def folder(tmp_path):
    return KeyFolder(tmp_path / "keys")


def test_a_key_is_made_once_and_told_as_one_line(folder):
    own = folder.own_or_new("scope")
    assert folder.own_or_new() == own
    text = str(own.public)
    assert text.split(":")[:2] == ["liverestore-key", "scope"]
    assert parse_key(f"  {text}\n") == own.public
    assert zmq.curve_public(own.secret) == own.public.z85
    assert z85.decode(own.secret).hex() not in text
    assert z85.decode(own.secret).hex() not in repr(own)


@posix
def test_the_files_are_the_users_alone(folder, tmp_path):
    folder.own_or_new("scope")
    folder.authorise(str(folder.own().public))
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "keys").iterdir()}
    assert modes == {"machine.key": 0o600, "authorised.keys": 0o600}


@posix
@pytest.mark.parametrize("name", ["machine.key", "authorised.keys"])
def test_a_key_that_others_can_read_or_change_is_not_used(folder, tmp_path, name):
    folder.own_or_new("scope")
    folder.authorise(str(folder.own().public))
    (tmp_path / "keys" / name).chmod(0o620)
    with pytest.raises(UserError, match="chmod 600"):
        folder.own() if name == "machine.key" else folder.authorised()


def test_machines_are_authorised_and_forgotten(folder, tmp_path):
    other = KeyFolder(tmp_path / "other").own_or_new("gpu").public
    assert folder.authorised() == {}
    folder.authorise(str(other))
    assert folder.find("gpu") == folder.find(str(other)) == other
    folder.forget("gpu")
    assert folder.authorised() == {}
    with pytest.raises(UserError, match="those that are: none"):
        folder.forget("gpu")


def test_another_key_under_a_known_name_is_refused(folder, tmp_path):
    for place in ("one", "two"):
        key = KeyFolder(tmp_path / place).own_or_new("gpu").public
        if place == "two":
            with pytest.raises(UserError, match="another key"):
                folder.authorise(str(key))
        else:
            folder.authorise(str(key))


@pytest.mark.parametrize(
    "text",
    ["", "gpu", "liverestore-key:gpu:12", "liverestore-key:g u:" + "0" * 64, "x" * 10_000,
     "liverestore-key:gpu:" + "0" * 63 + "G", "liverestore-key::" + "0" * 64, "\0\n\0"],
)  # fmt: skip
def test_what_is_no_key_is_refused_in_one_line(text):
    with pytest.raises(UserError, match="no key of a machine") as caught:
        parse_key(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("content", [b"", b"gpu 12\n", b"\xff\xfe", b"gpu " + b"0" * 65])
def test_a_damaged_file_is_refused_in_one_line(folder, tmp_path, content):
    folder.own_or_new("scope")
    for name in ("machine.key", "authorised.keys"):
        (tmp_path / "keys" / name).write_bytes(content)
        (tmp_path / "keys" / name).chmod(0o600)
    with pytest.raises(UserError, match=r"machine\.key"):
        folder.own()
    if content:
        with pytest.raises(UserError, match=r"authorised\.keys"):
            folder.authorised()


def test_without_a_key_the_remedy_is_said(folder):
    with pytest.raises(UserError, match="liverestore keys"):
        folder.own()


CONNECT = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
try:
    sock.connect(sys.argv[1])
except PermissionError:
    sys.exit(7)
sys.exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows the endpoints are behind CURVE")
def test_another_user_of_this_machine_reaches_no_private_endpoint():
    python = "/usr/bin/python3"
    if os.geteuid() != 0 or not Path(python).exists():
        pytest.skip("needs root and the system's Python, to become another user")
    with PrivateEndpoints(tcp=False) as endpoints:
        path = endpoints("frames").address.removeprefix("ipc://")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            codes = [
                subprocess.run([python, "-c", CONNECT, path], check=False, cwd="/", **user)
                for user in ({}, {"user": 65534, "group": 65534, "extra_groups": []})
            ]
    assert [done.returncode for done in codes] == [0, 7]
