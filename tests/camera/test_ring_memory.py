"""The core's ring is held once, whichever thread begins the sequence."""

import subprocess
import sys
from pathlib import Path

import pytest

import liverestore.camera.mm_memory as mm_memory
from liverestore.camera.mm_memory import RingMemory

RING_MB = 128
SCRIPT = f"""
import sys, threading
from pathlib import Path
import msgspec
import liverestore.camera.mm_core as mm_core
from liverestore.camera.open import open_source
from liverestore.rig import load_rig

def held_mb():
    told = Path("/proc/self/status").read_text(encoding="ascii")
    return int(told.split("RssAnon:")[1].split()[0]) // 1024

if sys.argv[1] == "kept":
    mm_core._RING._trim = None
rig = load_rig("mmcore_demo")
small = msgspec.structs.replace(rig.source, buffer_size_mb={RING_MB})
source = open_source(msgspec.structs.replace(rig, source=small))
source.start()
before = held_mb()

def take():
    while source.next_frame(1.0) is None:
        pass

thread = threading.Thread(target=take)
thread.start()
thread.join()
print(held_mb() - before)
source.stop()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="arenas of glibc, and /proc")
def test_a_ring_that_another_thread_makes_anew_is_held_once():
    grown = {}
    for how in ("given back", "kept"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, how],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        grown[how] = int(done.stdout)
    assert grown["given back"] < RING_MB / 2, grown
    if grown["kept"] < RING_MB / 2:
        pytest.skip(f"this C library keeps nothing by itself: {grown}")


def test_only_a_change_of_threads_is_worth_it(monkeypatch):
    trims, me = [], [1]
    monkeypatch.setattr(mm_memory, "_glibc_trim", lambda: trims.append)
    monkeypatch.setattr(mm_memory.threading, "get_ident", lambda: me[0])
    ring = RingMemory()
    for thread in (1, 1, 2, 2, 1):
        me[0] = thread
        ring.made_anew()
    assert len(trims) == 3
