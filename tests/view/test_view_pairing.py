import threading

from liverestore.status import Stop
from liverestore.view.feed import MemoryFeed, ShownPair
from liverestore.view.pairing import EngineSign, Pairing


def test_without_a_result_the_newest_raw_frame_is_shown(make_frame):
    pairing = Pairing()
    assert pairing.shown(0.0).raw is None
    for number in range(3):
        pairing.offer(ShownPair(make_frame(number=number)), number * 0.01)
    shown = pairing.shown(0.02)
    assert shown.raw.header.number == 2
    assert shown.engine is EngineSign.WAITING
    assert not shown.matched


def test_while_the_engine_answers_both_panes_show_the_same_moment(make_frame, make_restored):
    pairing = Pairing()
    source = make_frame(number=5)
    pairing.offer(ShownPair(make_frame(number=8), make_restored(source)), 0.0)
    pairing.offer(ShownPair(make_frame(number=9)), 0.5)
    shown = pairing.shown(0.6)
    assert shown.raw is source
    assert shown.matched
    assert shown.engine is EngineSign.ANSWERING


def test_after_a_second_without_an_answer_the_raw_pane_goes_on(make_frame, make_restored):
    pairing = Pairing()
    pairing.offer(ShownPair(make_frame(number=5), make_restored(make_frame(number=5))), 0.0)
    pairing.offer(ShownPair(make_frame(number=6)), 0.1)
    assert pairing.shown(1.1).engine is EngineSign.ANSWERING
    pairing.offer(ShownPair(make_frame(number=99)), 1.15)
    shown = pairing.shown(1.15)
    assert shown.engine is EngineSign.SILENT
    assert shown.raw.header.number == 99
    assert shown.restored.source.header.number == 5
    pairing.offer(ShownPair(make_frame(number=99), make_restored(make_frame(number=99))), 1.2)
    assert pairing.shown(1.2).engine is EngineSign.ANSWERING


def test_an_engine_is_not_silent_when_the_camera_pauses(make_frame, make_restored):
    pairing = Pairing()
    pairing.offer(ShownPair(make_frame(number=5), make_restored(make_frame(number=5))), 0.0)
    assert pairing.shown(60.0).engine is EngineSign.ANSWERING
    pairing.offer(ShownPair(make_frame(number=6)), 60.0)
    assert pairing.shown(60.5).engine is EngineSign.ANSWERING
    assert pairing.shown(61.5).engine is EngineSign.SILENT


def test_a_slow_engine_is_behind_and_not_dead(make_frame, make_restored):
    pairing = Pairing()
    for i in range(4):
        source = make_frame(number=10 * i)
        pairing.offer(ShownPair(make_frame(number=10 * i + 9), make_restored(source)), 4.0 * i)
    assert pairing.shown(12.0 + 2.0).engine is EngineSign.BEHIND
    assert pairing.shown(12.0 + 2.0).raw.header.number == 39
    assert pairing.shown(12.0 + 12.5).engine is EngineSign.SILENT


def test_a_new_run_forgets_the_old_result(make_frame, make_restored):
    pairing = Pairing()
    old = make_frame(number=5)
    pairing.offer(ShownPair(old, make_restored(old)), 0.0)
    pairing.offer(ShownPair(make_frame(number=0, run_id="next")), 0.1)
    shown = pairing.shown(0.1)
    assert shown.restored is None
    assert shown.raw.header.run_id == "next"
    pairing.offer(ShownPair(make_frame(number=1, run_id="next"), make_restored(old)), 0.2)
    assert pairing.shown(0.2).restored is None, "a late result of another run"


def test_the_memory_feed_keeps_the_newest_frame_and_the_last_result(make_frame, make_restored):
    feed = MemoryFeed()
    assert feed.newest() is None
    result = make_restored(make_frame(number=1))
    feed.offer(ShownPair(make_frame(number=1), result))
    feed.offer(ShownPair(make_frame(number=2)))
    feed.offer(ShownPair(make_frame(number=3)))
    pair = feed.newest()
    assert pair.raw.header.number == 3
    assert pair.restored is result
    assert feed.overwritten == 2
    assert feed.newest() is None


def test_the_memory_feed_hands_over_between_threads(make_frame, make_status):
    feed = MemoryFeed()
    frames = [make_frame(number=i) for i in range(500)]

    def produce():
        for frame in frames:
            feed.offer(ShownPair(frame))

    thread = threading.Thread(target=produce)
    thread.start()
    seen = []
    while thread.is_alive() or not seen or seen[-1] != 499:
        pair = feed.newest()
        if pair is not None:
            seen.append(pair.raw.header.number)
    thread.join()
    assert seen == sorted(seen)
    assert len(seen) + feed.overwritten == 500
    feed.report(make_status(captured=3))
    assert feed.status().captured == 3
    feed.send(Stop())
    assert feed.commands() == [Stop()]
    assert feed.commands() == []
    feed.close()
    feed.close()
    assert feed.closed
