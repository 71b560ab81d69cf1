import pytest
from light_run import Run

from liverestore.transport.endpoint import PrivateEndpoints


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
