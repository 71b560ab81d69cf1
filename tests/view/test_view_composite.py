import numpy as np
import pytest

from liverestore.rig_channels import ChannelConfig
from liverestore.view.channels import ChannelBook, ChannelLook, looks_of
from liverestore.view.composite import Layer, Layers, colour_table, layers_of
from liverestore.view.feed import MemoryFeed, ShownPair

BLUE, GREEN = (0, 0, 255), (0, 255, 0)
WHOLE = (slice(None), slice(None))


def rgb(words):
    return np.stack([(words >> shift) & 255 for shift in (16, 8, 0)], axis=-1)


def test_each_channel_adds_its_colour():
    a = np.array([[0, 100], [150, 300]], np.uint16)
    b = np.array([[0, 0], [50, 50]], np.uint16)
    words = Layers((Layer(a, (100.0, 200.0), GREEN), Layer(b, (0.0, 100.0), BLUE)))[WHOLE]
    assert words.dtype == np.uint32
    assert (words >> 24 == 255).all()
    expected = [[(0, 0, 0), (0, 0, 0)], [(0, 128, 128), (0, 255, 128)]]
    np.testing.assert_array_equal(rgb(words), expected)


def test_bright_colours_stop_at_white_and_never_turn_dark():
    full = np.full((70, 3), 4000, np.uint16)
    layer = Layer(full, (0.0, 1000.0), (200, 200, 200))
    words = Layers((layer, layer, layer))[WHOLE]
    np.testing.assert_array_equal(rgb(words), np.full((70, 3, 3), 255))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_sum_of_any_dtype_is_the_sum_of_the_tables(dtype):
    rng = np.random.default_rng(5)
    layers = tuple(
        Layer(rng.integers(0, 256, (130, 7)).astype(dtype), (20.0, 220.0), colour)
        for colour in (GREEN, (255, 0, 128), (90, 90, 255))
    )
    expected = np.zeros((130, 7, 3))
    for layer in layers:
        share = np.clip((layer.pixels.astype(np.float64) - 20.0) / 200.0, 0.0, 1.0)
        expected += share[..., None] * layer.rgb
    found = rgb(Layers(layers)[WHOLE])
    # Float images are shown in 256 steps, and each colour is rounded.
    assert np.abs(found - np.minimum(expected, 255)).max() <= 3


def test_only_the_part_that_is_seen_is_composed():
    pixels = np.arange(64 * 96, dtype=np.uint16).reshape(64, 96)
    layers = Layers((Layer(pixels, (0.0, 6143.0), GREEN),))
    part = (slice(3, 60, 7), slice(5, 90, 2))
    np.testing.assert_array_equal(layers[part], layers[WHOLE][part])


def test_a_value_that_is_no_number_is_black():
    pixels = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    words = Layers((Layer(pixels, (0.0, 1.0), GREEN),))[WHOLE]
    np.testing.assert_array_equal(rgb(words)[0], [(0, 0, 0), (0, 255, 0), (0, 0, 0)])


def test_table_ends():
    table = colour_table((10.0, 20.0), (255, 0, 0), "uint16")
    assert table.shape == (65_536,)
    assert table[10] == 0
    assert table[20] == table[65_535] == 0xFF0000


def test_looks_follow_the_rig():
    looks = looks_of(
        [ChannelConfig(name="a", colour="#010203"), ChannelConfig(name="b", wavelength_nm=525.0)]
    )
    assert looks == (ChannelLook("a", (1, 2, 3)), ChannelLook("b", (0, 255, 0)))


def pair_of(make_frame, make_restored, channel, number, *, restored=True, run_id="run"):
    frame = make_frame(number=number, channel=channel, run_id=run_id)
    return ShownPair(frame, make_restored(frame) if restored else None)


def test_book_keeps_the_newest_of_each_channel(make_frame, make_restored):
    book = ChannelBook(looks_of([ChannelConfig(name="a"), ChannelConfig(name="b")]))
    first = pair_of(make_frame, make_restored, "a", 0)
    other = pair_of(make_frame, make_restored, "b", 1)
    later = pair_of(make_frame, make_restored, "a", 2, restored=False)
    assert [book.offer(pair) for pair in (first, other, later)] == ["a", "b", "a"]
    # The result stays until a newer one comes ...
    assert book.newest("a").raw is later.raw
    assert book.newest("a").restored is first.restored
    assert book.newest("b") is other
    # ... but not into another run.
    book.offer(pair_of(make_frame, make_restored, "a", 0, restored=False, run_id="next"))
    assert book.newest("a").restored is None


def test_book_ticks_and_leads():
    book = ChannelBook(looks_of([ChannelConfig(name=n) for n in "abc"]))
    assert book.visible == ("a",)
    book.show_composite(True)
    assert book.visible == ("a", "b", "c")
    assert not book.tick("a", False)
    assert book.visible == ("b", "c")
    assert book.chosen == "b"
    book.tick("c", False)
    assert book.tick("b", False), "the last one stays"
    assert book.visible == ("b",)
    book.choose("c")
    assert not book.composite
    assert book.visible == ("c",)
    book.choose("nobody")
    assert book.chosen == "c"


def test_one_channel_has_no_composite(make_frame, make_restored):
    book = ChannelBook()
    assert book.visible == (None,)
    book.offer(pair_of(make_frame, make_restored, None, 0))
    book.show_composite(True)
    assert not book.composite
    assert not book.several
    assert book.visible == (None,)


def test_channels_of_a_replayed_movie_come_with_their_frames(make_frame, make_restored):
    book = ChannelBook()
    for number, name in enumerate(("GFP", "RFP", "GFP")):
        book.offer(pair_of(make_frame, make_restored, name, number))
    assert [look.name for look in book.looks] == ["GFP", "RFP"]
    assert book.chosen == "GFP"
    assert len({look.rgb for look in book.looks}) == 2


def test_feed_keeps_one_pair_of_each_channel(make_frame, make_restored):
    feed = MemoryFeed()
    for number in range(6):
        feed.offer(pair_of(make_frame, make_restored, "ab"[number % 2], number))
    assert feed.overwritten == 4
    taken = [feed.newest().raw.header for _ in range(2)]
    assert [(h.channel, h.number) for h in taken] == [("a", 4), ("b", 5)]
    assert feed.newest() is None


def test_a_new_frame_of_one_channel_leaves_the_others_looked_up():
    first, second, newer = (np.full((8, 8), n, np.uint16) for n in (10, 20, 30))
    levels = (0.0, 100.0)

    def layers(*images):
        return tuple(Layer(i, levels, c) for i, c in zip(images, (GREEN, BLUE), strict=True))

    before = layers_of(None, layers(first, second))
    assert layers_of(before, layers(first, second)) is before
    after = layers_of(before, layers(newer, second))
    assert after is not before
    assert after.layers[1] is before.layers[1]
    whole, part = before[WHOLE], (slice(0, 8, 2), slice(1, 5))
    np.testing.assert_array_equal(before[part], whole[part])
    assert (rgb(after[WHOLE])[..., 1] == round(0.3 * 255)).all()
    assert (rgb(after[WHOLE])[..., 2] == round(0.2 * 255)).all()
