"""An engine on another machine: over real sockets, in threads of one process."""

from typing import get_args

import msgspec
import numpy as np
import pytest
from far_machine import RIG, BadNetwork, Microscope, Server, frame, machines

from liverestore.camera_maps import CameraMaps, save_maps
from liverestore.errors import UserError
from liverestore.frame import Restored
from liverestore.model_spec import find_engine
from liverestore.remote_wire import Open, Opened, decode_word, encode_word, is_word
from liverestore.restore import restore
from liverestore.rig_camera import camera_of
from liverestore.runtime.table import open_runtime
from liverestore.status import EngineReport, Notice, SetDpm, SetEngine, SetLive, SetTrustMap
from liverestore.transport.engine_desk import EngineLine
from liverestore.transport.machine_keys import KeyFolder
from liverestore.trust.trust_map import MapKind


@pytest.fixture
def keys(tmp_path):
    return machines(tmp_path)


@pytest.fixture
def server(keys):
    server = Server(keys[1])
    yield server
    server.close()


@pytest.fixture
def network(server):
    made = []

    def make(**how):
        made.append(BadNetwork(server.port, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def scope(keys):
    made = []

    def make(port, **plan):
        made.append(Microscope(keys[0], keys[1].own().public, port, **plan))
        return made[-1]

    yield make
    for one in made:
        one.close()


def is_result(made):
    return isinstance(made, Restored)


def test_what_comes_back_is_what_an_engine_here_would_have_made(server, scope):
    microscope = scope(server.port, engine="mean5")
    made, _ = microscope.shoot(is_result)
    here = frame(made.source.header.number)
    spec = find_engine("mean5")
    with_this = restore(here, spec, open_runtime(spec).infer, camera_of(RIG.camera))
    np.testing.assert_array_equal(made.pixels, with_this.pixels)
    np.testing.assert_array_equal(made.source.pixels, here.pixels)
    assert made.provenance.parameters["engine_machine"] == "gpu"
    report = microscope.said(EngineReport)
    assert (report.engine, report.ready) == ("mean5", True)
    assert report.runtime.endswith(" on gpu")


def test_every_frame_is_accounted_for_and_the_newest_is_sent(server, scope):
    microscope = scope(server.port)
    numbers = []
    microscope.shoot(lambda made: numbers.append(made.source.header.number) or len(numbers) == 30)
    microscope.raw.finish("over", timeout_s=20)
    microscope.joined()
    counts = microscope.counts()
    assert counts.offered == counts.done + counts.dropped
    assert counts.done >= 30
    assert numbers == sorted(set(numbers))
    final = microscope.words[-1]
    assert isinstance(final, EngineReport)
    assert final.restored == counts.done


def test_the_age_is_of_one_clock_and_has_both_ways_in_it(server, scope, network):
    microscope = scope(network(delay_s=0.04).port)
    ages = []

    def enough(made):
        header, told = made.source.header, made.provenance
        assert header.captured_ns < told.started_ns <= told.finished_ns
        ages.append((told.finished_ns - header.captured_ns) / 1e6)
        return len(ages) == 8

    microscope.shoot(enough)
    assert min(ages) >= 80
    report = microscope.said(EngineReport, where=lambda word: word.restored >= 8)
    assert report.age_p50_ms >= 79  # to 1 % of its value
    assert report.wait_p50_ms >= 79


def test_a_line_that_loses_packets_loses_no_account(server, scope, network):
    microscope = scope(network(delay_s=0.01, stall_s=0.2, stall_every=10).port)
    numbers = []
    microscope.shoot(lambda made: numbers.append(made.source.header.number) or len(numbers) == 25)
    microscope.raw.finish("over", timeout_s=20)
    microscope.joined()
    counts = microscope.counts()
    assert counts.offered == counts.done + counts.dropped
    assert numbers == sorted(set(numbers))


def test_after_a_lost_connection_the_engine_is_back_by_itself(server, scope, network):
    line = network()
    microscope = scope(line.port, engine="mean5")
    _, shot = microscope.shoot(is_result)
    microscope.order(SetEngine(name="median5"))
    _, shot = microscope.shoot(lambda made: made.provenance.engine == "median5", first=shot)
    line.cut()
    microscope.said(Notice, where=lambda word: "connection was lost" in word.text)
    before = microscope.counts().dropped
    # Capture hands on frames as ever; they count as dropped.
    while microscope.counts().dropped < before + 20:
        microscope.raw.offer(frame(shot))
        shot += 1
    gap = shot
    line.refusing = False
    made, _ = microscope.shoot(lambda made: made.source.header.number >= gap, first=shot)
    assert made.provenance.engine == "median5"
    assert "back after" in microscope.said(Notice, where=lambda word: word.ordinary).text
    assert sum("begins" in line for line in server.lines) == 1, "the same run went on"
    microscope.raw.finish("over", timeout_s=20)
    microscope.joined()
    counts = microscope.counts()
    assert counts.offered == counts.done + counts.dropped


def test_a_server_that_was_started_again_takes_the_run_over(keys, scope):
    first = Server(keys[1])
    microscope = scope(first.port)
    _, shot = microscope.shoot(is_result)
    first.close()
    second = Server(keys[1], first.port)
    try:
        microscope.shoot(lambda made: made.source.header.number > shot, first=shot + 1)
    finally:
        second.close()
    assert microscope.error is None


def test_an_unknown_key_is_told_so_and_gets_nothing(server, keys, tmp_path):
    stranger = KeyFolder(tmp_path / "stranger")
    stranger.own_or_new("stranger")
    microscope = Microscope(stranger, keys[1].own().public, server.port)
    microscope.joined()
    microscope.close()
    assert isinstance(microscope.error, UserError)
    assert "liverestore keys --allow" in str(microscope.error)
    assert server.lines == []


def test_a_key_that_is_forgotten_opens_nothing_any_more(server, keys):
    keys[1].forget("scope")
    microscope = Microscope(keys[0], keys[1].own().public, server.port)
    microscope.joined()
    microscope.close()
    assert "does not know this machine's key" in str(microscope.error)


@pytest.mark.parametrize("engine", ["nowhere", "/tmp", "../engines"])
def test_only_engines_that_are_installed_there_are_used(server, scope, engine):
    microscope = scope(server.port, engine=engine)
    microscope.joined()
    assert isinstance(microscope.error, UserError)
    assert "not installed on the engine's machine" in str(microscope.error)


def test_the_next_run_follows_and_a_second_one_waits(keys, scope):
    server = Server(keys[1], runs=1)
    first = scope(server.port)
    first.shoot(is_result)
    second = scope(server.port)
    assert "another run uses the engine (rig 'far')" in second.said(Notice).text
    first.raw.finish("over", timeout_s=20)
    first.joined()
    second.shoot(is_result)
    server.close()


def test_several_microscopes_are_served_together_each_with_its_own(server, scope, keys):
    """Engines, surfaces and frames of one are not those of another."""
    scopes = [scope(server.port, engine=name) for name in ("null", "mean5", "median5")]
    firsts = [one.shoot(is_result)[0] for one in scopes]
    assert [made.provenance.engine for made in firsts] == ["null", "mean5", "median5"]
    (name,) = keys[1].authorised()
    assert server.lines == [f"{name}: run of the rig 'far' begins"] * 3
    scopes[1].order(SetEngine(name="denoise-live"))
    scopes[1].shoot(lambda made: made.provenance.engine == "denoise-live", first=100)
    assert scopes[0].shoot(is_result, first=100)[0].provenance.engine == "null"
    scopes[0].raw.finish("over", timeout_s=20)
    scopes[0].joined()
    assert scopes[2].shoot(is_result, first=200)[0].provenance.engine == "median5"


def test_the_end_of_the_server_ends_all_runs(keys, scope):
    server = Server(keys[1])
    scopes = [scope(server.port) for _ in range(2)]
    for one in scopes:
        one.shoot(is_result)
    server.close()
    assert server.count_of_ends() == 2


def test_no_file_of_the_engines_machine_is_opened_for_a_run(server, scope, tmp_path):
    np.save(tmp_path / "map.npy", np.zeros((24, 24), np.float32))
    microscope = scope(server.port)
    microscope.shoot(is_result)
    microscope.order(SetDpm(spec=str(tmp_path / "map.npy")))
    assert "does not travel" in microscope.said(Notice).text
    refused = scope(server.port, dpm=str(tmp_path / "map.npy"))
    first = microscope
    first.raw.finish("over", timeout_s=20)
    first.joined()
    refused.joined()
    assert "is a file" in str(refused.error)


def test_the_cameras_maps_travel_with_the_rig(server, scope, tmp_path):
    offsets = np.full((24, 24), 100.0, np.float32)
    offsets[:, ::2] = 120.0
    save_maps(tmp_path / "maps.tif", CameraMaps(offsets, None, 1, "test"))
    camera = msgspec.structs.replace(RIG.camera, maps=str(tmp_path / "maps.tif"))
    rig = msgspec.structs.replace(RIG, camera=camera)
    microscope = scope(server.port, rig=rig, engine="denoise-live")
    made, _ = microscope.shoot(is_result)
    here = frame(made.source.header.number)
    spec = find_engine("denoise-live")
    runtime = open_runtime(spec, threads=1, precision="fast")
    expected = restore(here, spec, runtime.infer, camera_of(camera))
    difference = made.pixels.astype(float) - expected.pixels.astype(float)
    assert np.abs(difference).max() <= 2
    assert "maps" in str(made.provenance.parameters)


def test_what_can_be_believed_is_judged_there_and_told_here(server, scope):
    microscope = scope(server.port, engine="denoise-live")
    microscope.order(SetTrustMap(kind=get_args(MapKind)[0]))
    made, _ = microscope.shoot(lambda made: "trust" in made.provenance.parameters)
    report = microscope.said(EngineReport, where=lambda word: word.trust)
    assert report.trust[""].level == made.provenance.parameters["trust"]


def test_a_pause_reaches_the_engine_and_the_end_ends_it(server, scope):
    microscope = scope(server.port)
    microscope.shoot(is_result)
    microscope.order(SetLive(on=False))
    microscope.raw.finish("over", timeout_s=20)
    microscope.joined()
    assert microscope.error is None
    assert server.count_of_ends() == 1


def test_a_run_that_is_open_cannot_be_taken_over_by_another(server, scope, keys):
    """Not even by the same machine without the word that it chose."""
    microscope = scope(server.port)
    _made, shot = microscope.shoot(is_result)
    line = EngineLine(f"tcp://127.0.0.1:{server.port}", keys[0].own(), keys[1].own().public)
    while "up" not in line.events():
        line.wait(0.02)
    line.send(encode_word(Open(session="x" * 32, rig=RIG, engine="null")))
    words = []
    while not any(isinstance(word, Opened) for word in words):
        line.wait(0.1)
        got = line.receive()
        words += [] if got is None else [decode_word(got[0])]
    # It got a run of its own: what the first one's frames become goes to the first one.
    microscope.shoot(is_result, first=shot)
    line.wait(0.3)
    while (got := line.receive()) is not None:
        assert is_word(got[0]), "a result of another run"
    line.close()
