"""Which channels there are, which of them is looked at, and the newest frames of each; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from liverestore.rig_channels import ChannelConfig, channel_colour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liverestore.view.composite import Rgb
    from liverestore.view.feed import ShownPair

__all__ = ["ChannelBook", "ChannelLook", "looks_of"]


@dataclass(frozen=True, slots=True)
class ChannelLook:
    """What the view knows of a channel beforehand."""

    name: str | None
    """None: the one channel of a camera whose frames name none."""
    rgb: Rgb
    """What it is painted in, in the composite."""


def looks_of(channels: Sequence[ChannelConfig]) -> tuple[ChannelLook, ...]:
    """The looks of a rig's channels, in their order."""
    listed = tuple(channels)
    return tuple(
        ChannelLook(channel.name, channel_colour(listed, number))
        for number, channel in enumerate(listed)
    )


class ChannelBook:
    """Keeps the newest pair of each channel and the user's choice.

    One channel is always the chosen one: it is seen alone, or, in the composite, it is the
    one whose levels, histogram and read-outs the controls show. Frames of a channel that
    was not announced (a replayed movie) add it.
    """

    def __init__(self, looks: Sequence[ChannelLook] = ()) -> None:
        self._looks = {look.name: look for look in looks}
        self._pairs: dict[str | None, ShownPair] = {}
        self._hidden: set[str | None] = set()
        self._chosen: str | None = looks[0].name if looks else None
        self._composite = False

    @property
    def looks(self) -> tuple[ChannelLook, ...]:
        """All channels, in the order of the rig, then of their arrival."""
        return tuple(self._looks.values())

    @property
    def several(self) -> bool:
        """Whether there is something to choose."""
        return len(self._looks) > 1

    @property
    def chosen(self) -> str | None:
        """The channel that is seen alone, or that leads the composite."""
        return self._chosen

    @property
    def composite(self) -> bool:
        """Whether the ticked channels are seen together."""
        return self._composite and self.several

    @property
    def ticked(self) -> tuple[str | None, ...]:
        """The channels of the composite."""
        return tuple(name for name in self._looks if name not in self._hidden)

    @property
    def visible(self) -> tuple[str | None, ...]:
        """The channels that are on the screen, in their order."""
        return self.ticked if self.composite else (self._chosen,)

    def offer(self, pair: ShownPair) -> str | None:
        """Keep `pair` as the newest of its channel; the name of it."""
        name = pair.raw.header.channel
        if name not in self._looks:
            self._add(name)
        kept = self._pairs.get(name)
        if (
            pair.restored is not None
            or kept is None
            or kept.raw.header.run_id != (pair.raw.header.run_id)
        ):
            self._pairs[name] = pair
        else:
            # A result stays until a newer one comes.
            self._pairs[name] = type(pair)(pair.raw, kept.restored)
        return name

    def newest(self, name: str | None) -> ShownPair | None:
        """The newest raw frame of a channel with its newest result; None before the first."""
        return self._pairs.get(name)

    def choose(self, name: str | None) -> None:
        """See channel `name` alone. An unknown name changes nothing."""
        if name in self._looks:
            self._chosen, self._composite = name, False

    def show_composite(self, on: bool) -> None:
        """See the ticked channels together, or the chosen one alone."""
        self._composite = on
        self._lead()

    def tick(self, name: str | None, on: bool) -> bool:
        """Take a channel into the composite, or out of it; whether it is in it then.

        The last one stays: a composite of nothing is a black image that looks like a fault.
        """
        if on:
            self._hidden.discard(name)
        elif self.ticked != (name,) and name in self._looks:
            self._hidden.add(name)
        self._lead()
        return name in self._looks and name not in self._hidden

    def _lead(self) -> None:
        if self.composite and self._chosen in self._hidden:
            self._chosen = self.ticked[0]

    def _add(self, name: str | None) -> None:
        # As a rig would colour it that names the channels and nothing more.
        bare = tuple(ChannelConfig(name=str(n)) for n in (*self._looks, name))
        rgb = channel_colour(bare, len(bare) - 1)
        if not self._looks:
            self._chosen = name
        self._looks[name] = ChannelLook(name, rgb)
