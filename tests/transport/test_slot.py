from hypothesis import given
from hypothesis import strategies as st

from liverestore.transport.slot import Slot


def test_the_newest_wins_and_the_replaced_one_is_counted():
    slot = Slot()
    slot.offer("a")
    slot.offer("b")
    assert slot.take(1) == "b"
    assert slot.take(1) is None
    slot.settle(1, done=True)
    counts = slot.counts
    assert (counts.offered, counts.done, counts.dropped, counts.waiting) == (2, 1, 1, 0)


def test_what_a_dead_consumer_had_counts_as_dropped():
    slot = Slot()
    slot.offer("a")
    slot.take(0)
    slot.settle(None, done=True)
    assert slot.counts.dropped == 1


STEPS = st.sampled_from(["offer", "take", "done", "failed", "wrong", "back", "give_up"])


@given(st.lists(STEPS, max_size=60))
def test_the_account_is_exact_whatever_happens(steps):
    slot = Slot()
    number = 0
    for step in steps:
        if step == "offer":
            number += 1
            slot.offer(number)
        elif step == "take":
            if slot.sent is None and slot.item is not None:
                slot.take(slot.item)
        elif step == "give_up":
            slot.give_up()
        else:
            acknowledged = {"wrong": -1, "back": None}.get(step, slot.sent)
            slot.settle(acknowledged, done=step != "failed")
        counts = slot.counts
        assert counts.offered == counts.done + counts.dropped + counts.waiting
    slot.give_up()
    assert slot.counts.offered == slot.counts.done + slot.counts.dropped


def test_each_channel_keeps_its_newest_and_its_turn():
    slot = Slot()
    for number in range(6):
        slot.offer(number, "blue" if number % 2 == 0 else "green")
    assert slot.counts.waiting == 2
    assert slot.counts.dropped == 4
    # The one that waited longest first, then the other: none of the two is starved.
    assert slot.take(4) == 4
    slot.offer(6, "blue")
    assert slot.item == 5
    slot.settle(4, done=True)
    assert slot.take(5) == 5
    slot.settle(5, done=True)
    assert slot.take(6) == 6
    assert slot.take(7) is None
    counts = slot.counts
    assert counts.offered == counts.done + counts.dropped + counts.waiting == 7


def test_giving_up_counts_the_frames_of_all_channels():
    slot = Slot()
    slot.offer(0, "blue")
    slot.offer(1, "green")
    slot.give_up()
    assert slot.item is None
    assert slot.counts.dropped == 2
    assert slot.counts.waiting == 0
