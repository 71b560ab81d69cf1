import threading

import pytest
from light_run import Run

from liverestore.service.reference_shots import REFERENCES
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.inlet import Inlet
from liverestore.wire import End


@pytest.fixture
def opened(tmp_path):
    made = []
    with PrivateEndpoints() as endpoint:

        def make(rig, **more):
            made.append(Run(rig, tmp_path, endpoint(f"raw{len(made)}"), **more))
            return made[-1]

        yield make
        for run in made:
            run.end()


@pytest.fixture
def consumers():
    """An engine and a scorer that take what they get, in threads of their own."""
    threads, over = [], threading.Event()

    def attend(run):
        got = {"engine": [], REFERENCES: []}

        def take(role):
            inlet = Inlet(run.outlet._endpoint.for_client(), role)
            while not (over.is_set() or isinstance(body := inlet.receive(0.1), End)):
                if body is not None:
                    got[role].append(body)
            inlet.close()

        for role in got:
            threads.append(threading.Thread(target=take, args=(role,)))
            threads[-1].start()
        return got

    yield attend
    over.set()
    for thread in threads:
        thread.join(20)
