"""Runs the capture loop on one source, keeping a copy of each frame the camera delivered.

python kept_frames.py RIG FRAMES OUT.ome.zarr|OUT.ome.tif COPIES.npy
"""

import sys
from pathlib import Path

import numpy as np

from liverestore.camera.open import open_source
from liverestore.rig import load_rig
from liverestore.service.capture_loop import CaptureLoop
from liverestore.service.recorder import Recorder
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.outlet import Outlet


class Keeping:
    """A source that remembers what it delivered."""

    def __init__(self, source):
        self.source = source
        self.copies = []
        self.start, self.stop, self.configure = source.start, source.stop, source.configure

    def next_frame(self, timeout_s):
        frame = self.source.next_frame(timeout_s)
        if frame is not None:
            self.copies.append(frame.pixels.copy())
        return frame


def main():
    rig, frames, out, copies = sys.argv[1:]
    source = Keeping(open_source(load_rig(rig)))
    with PrivateEndpoints() as endpoint:
        outlet = Outlet(endpoint("raw"), roles=("engine",))
        recorder = Recorder(lambda: (Path(out), None), planned=(Path(out), None))
        loop = CaptureLoop(source, outlet, recorder=recorder, frames=int(frames))
        loop.prepare()
        loop.run()
        outlet.finish("over", timeout_s=0.0)
        outlet.close()
    report = loop.report("ended")
    assert loop.error is None, loop.error
    assert (report.captured, report.written, report.lost) == (int(frames), int(frames), 0), report
    assert report.restored + report.dropped == report.captured
    np.save(copies, np.stack(source.copies))


if __name__ == "__main__":
    main()
