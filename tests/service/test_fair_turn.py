"""Several runs, one graphics card: nobody is starved, nobody can flood the others."""

import threading
import time

from liverestore.remote_wire import Ping, encode_word
from liverestore.service.fair_turn import FairTurn, Share
from liverestore.service.run_inbox import RunInbox
from liverestore.transport.engine_desk import Peer

PEER = Peer(b"1", "key")


def test_those_who_wait_come_in_the_order_of_asking():
    turn, came = FairTurn(), []
    turn.take()

    def ask(number):
        turn.take()
        came.append(number)
        turn.give()

    askers = []
    for number in range(5):
        askers.append(threading.Thread(target=ask, args=(number,)))
        askers[-1].start()
        while len(turn._waiting) <= number:
            time.sleep(0.001)
    turn.give()
    for asker in askers:
        asker.join(10)
    assert came == list(range(5))
    assert not turn.wanted
    turn.take()  # it is free again
    turn.give()


def test_a_greedy_one_gets_no_more_turns_than_the_others():
    """It asks again at once; a plain lock would give it nearly all turns."""
    turn, counts, over = FairTurn(), [0, 0, 0], threading.Event()
    begin = threading.Barrier(4)

    def run(me):
        share = Share(turn)
        begin.wait()
        while not over.is_set():
            share.take()
            counts[me] += 1
            time.sleep(0.001)
            share.give()

    runs = [threading.Thread(target=run, args=(me,)) for me in range(3)]
    for one in runs:
        one.start()
    begin.wait()
    while sum(counts) < 150:
        time.sleep(0.005)
    over.set()
    for one in runs:
        one.join(10)
    # Whoever does not sleep is in the queue: the counts differ by rounds in which one was not.
    assert max(counts) - min(counts) <= 0.2 * sum(counts)


def test_between_two_batches_the_others_go_first():
    turn, order = FairTurn(), []
    long = Share(turn)
    long.take()

    def short():
        share = Share(turn)
        share.take()
        order.append("short")
        share.give()

    other = threading.Thread(target=short)
    other.start()
    while not turn.wanted:
        time.sleep(0.001)
    order.append("batch 1")
    long.pass_on()
    order.append("batch 2")
    long.pass_on()  # nobody waits
    long.give()
    long.give()
    other.join(10)
    assert order == ["batch 1", "short", "batch 2"]


def test_an_inbox_takes_what_the_protocol_allows_and_no_more():
    inbox = RunInbox()
    image, word = [b"LR\x03F", b"", b""], encode_word(Ping())
    assert [inbox.put(PEER, image) for _ in range(3)] == [True, True, False]
    assert all(inbox.put(PEER, word) for _ in range(256))
    assert not inbox.put(PEER, word)
    assert inbox.get(0) == (PEER, image)
    assert inbox.put(PEER, image)
    for _ in range(258):
        assert inbox.get(0) is not None
    assert inbox.get(0.01) is None
