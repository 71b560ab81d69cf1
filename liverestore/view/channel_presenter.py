"""Several channels, each with its own pairing and levels, as one state to be painted; no Qt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from liverestore.view.channels import ChannelBook
from liverestore.view.composite import Layer, Layers, layers_of
from liverestore.view.display import Composite, DisplayState, PaneState
from liverestore.view.moment import moments_together
from liverestore.view.rival import common_badge
from liverestore.view.status_cells import cells_of_channels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from liverestore.frame import Frame, Restored
    from liverestore.status import RunStatus
    from liverestore.view.channels import ChannelLook
    from liverestore.view.composite import Rgb
    from liverestore.view.feed import ShownPair
    from liverestore.view.levels import Levels
    from liverestore.view.presenter import Presenter
    from liverestore.view.status_cells import Cell

__all__ = ["ChannelPresenter"]


class ChannelPresenter:
    """A `Presenter` for each channel, made by `make` when it is first needed.

    With one channel it is that channel's presenter and nothing else. A channel that is not
    seen costs nothing: its newest pair waits in `book`.
    """

    def __init__(self, looks: Sequence[ChannelLook], make: Callable[[], Presenter]) -> None:
        self.book = ChannelBook(looks)
        self._make = make
        self._presenters: dict[str | None, Presenter] = {}
        self._behind: set[str | None] = set()
        """Channels whose newest pair their presenter has not seen."""
        self._composite: Composite | None = None
        self._cells_of: tuple[tuple[Cell, ...], ...] = ()
        self._cells: tuple[Cell, ...] = ()
        """Of all channels of `_composite`, made of `_cells_of`."""

    @property
    def chosen(self) -> Presenter:
        """The presenter of the channel that the controls speak of."""
        return self._of(self.book.chosen)

    @property
    def all(self) -> tuple[Presenter, ...]:
        """The presenters of all channels."""
        return tuple(self._of(look.name) for look in self.book.looks) or (self.chosen,)

    def step(
        self,
        pair: ShownPair | None,
        status: RunStatus | None,
        now_ns: int,
        notices: tuple[str, ...] = (),
    ) -> DisplayState:
        """What to paint at `now_ns`, after `pair` arrived (None: nothing did)."""
        arrived: str | None = None
        if pair is not None:
            known = bool(self.book.looks)
            arrived = self.book.offer(pair)
            if not known and None in self._presenters:
                # What was set before the first frame was meant for it, whatever its name.
                self._presenters[arrived] = self._presenters.pop(None)
        self._share()
        states: dict[str | None, DisplayState] = {}
        for name in self.book.visible:
            fed = pair if pair is not None and name == arrived else None
            if fed is None and name in self._behind:
                fed = self.book.newest(name)
            self._behind.discard(name)
            states[name] = self._of(name).step(fed, status, now_ns, notices)
        if pair is not None and arrived not in states:
            self._behind.add(arrived)
        state = states.get(self.book.chosen)
        if self.book.composite or state is None:
            state = self._together(states, now_ns)
        else:
            self._composite = None
        return replace(state, channels=len(self.book.looks)) if self.book.several else state

    def shown_fps(self, now_ns: int) -> float | None:
        """New frames shown per second, of all channels that are seen; None with none."""
        rates = [self._of(name).shown_fps(now_ns) for name in self.book.visible]
        known = [rate for rate in rates if rate is not None]
        return sum(known) if known else None

    def _of(self, name: str | None) -> Presenter:
        if name not in self._presenters:
            made = self._make()
            for other in self._presenters.values():
                _take_over(made, other)
            self._presenters[name] = made
        return self._presenters[name]

    def _share(self) -> None:
        """What holds for all channels is set at the chosen one's presenter."""
        chosen = self._of(self.book.chosen)
        for other in self._presenters.values():
            if other is not chosen:
                _take_over(other, chosen)

    def _together(self, states: dict[str | None, DisplayState], now_ns: int) -> DisplayState:
        """The chosen channel's state, with the pictures of all channels in `states`."""
        lead = states[self.book.chosen]
        if lead.raw.image is None:
            lead = next((s for s in states.values() if s.raw.image is not None), lead)
        if lead.raw.image is None:
            return lead
        shape = lead.raw.image.pixels.shape
        fitting: dict[str, DisplayState] = {}
        cautions: list[str] = []
        for name, state in states.items():
            if state.raw.image is None or state.levels is None:
                continue
            if state.raw.image.pixels.shape != shape:
                cautions.append(f"{name}: another frame size, left out of the composite")
                continue
            fitting[str(name)] = state
        if not fitting:
            return lead
        self._composite = _composite(self._composite, fitting, self._colours())
        return replace(
            lead,
            left=_pane(lead.left, {n: s.left for n, s in fitting.items()}, tuple(cautions)),
            restored=_pane(lead.restored, {n: s.restored for n, s in fitting.items()}, ()),
            cells=self._numbers(lead, states, now_ns),
            composite=self._composite,
        )

    def _numbers(
        self, lead: DisplayState, states: dict[str | None, DisplayState], now_ns: int
    ) -> tuple[Cell, ...]:
        """The status line of all channels in `states`, new where one of theirs is new."""
        made_of = (lead.cells, *(state.cells for state in states.values()))
        before = self._cells_of
        if len(made_of) != len(before) or any(
            a is not b for a, b in zip(made_of, before, strict=True)
        ):
            self._cells_of = made_of
            saturated = {str(n): self._of(n).saturated for n, s in states.items() if s.raw.image}
            self._cells = cells_of_channels(lead.cells, self.shown_fps(now_ns), saturated)
        return self._cells

    def _colours(self) -> dict[str, Rgb]:
        return {str(look.name): look.rgb for look in self.book.looks}


def _take_over(presenter: Presenter, other: Presenter) -> None:
    """Show images as `other` does, as far as that is not a channel's own affair."""
    presenter.lut, presenter.rival = other.lut, other.rival
    presenter.look_at_raw = other.look_at_raw
    presenter.not_shown = other.not_shown
    presenter.mark_saturated = other.mark_saturated
    presenter.levels.chosen = other.levels.chosen
    presenter.levels.linked = other.levels.linked


def _composite(
    before: Composite | None, states: dict[str, DisplayState], colours: dict[str, Rgb]
) -> Composite:
    """The pictures of `states`; those of `before` where they would look the same."""
    left = {name: state.left.image for name, state in states.items()}
    restored = {name: state.restored.image for name, state in states.items()}
    levels = {name: state.levels for name, state in states.items()}
    # A second engine's result is shown with the levels of the first one's.
    left_levels = {
        name: state.raw_levels if state.left.image is state.raw.image else state.levels
        for name, state in states.items()
    }
    layers = _layers(before.left if before else None, left, left_levels, colours)
    made = _layers(before.restored if before else None, restored, levels, colours)
    if before is not None and layers is before.left and made is before.restored:
        return before
    return Composite(
        left=layers,
        restored=made,
        left_images=_there(left),
        restored_images=_there(restored),
    )


def _there(images: dict[str, Frame | Restored | None]) -> dict[str, Frame | Restored]:
    return {name: image for name, image in images.items() if image is not None}


def _layers(
    before: Layers | None,
    images: dict[str, Frame | Restored | None],
    levels: dict[str, Levels | None],
    colours: dict[str, Rgb],
) -> Layers | None:
    layers = []
    shape: tuple[int, ...] | None = None
    for name, image in images.items():
        limits = levels[name]
        # A late result may still have the size from before a change of the ROI.
        if image is None or limits is None or image.pixels.shape != (shape or image.pixels.shape):
            continue
        shape = image.pixels.shape
        layers.append(Layer(image.pixels, limits, colours[name]))
    return layers_of(before, tuple(layers)) if layers else None


def _pane(lead: PaneState, parts: dict[str, PaneState], cautions: tuple[str, ...]) -> PaneState:
    """What is written around a composite of `parts`, by the names of their channels."""
    shown = {name: part for name, part in parts.items() if part.image is not None}
    if not shown:
        return lead
    missing = [f"{name}: no restored frame yet" for name in parts if name not in shown]
    cautions_of = [f"{name}: {text}" for name, part in shown.items() for text in part.cautions]
    return replace(
        lead,
        image=lead.image or next(iter(shown.values())).image,
        title=f"{lead.word}, composite",
        caption=" + ".join(
            name if part.title == part.word else f"{name} ({part.title})"
            for name, part in shown.items()
        ),
        frame_label=" · ".join(part.frame_label.removeprefix("frame ") for part in shown.values()),
        waiting="",
        banner=_banner({name: part.banner for name, part in shown.items()}),
        cautions=(*cautions, *missing, *cautions_of),
        dimmed=all(part.dimmed for part in shown.values()),
        badge=common_badge(part.badge for part in shown.values()),
        moment=moments_together({name: part.moment for name, part in shown.items()}),
    )


def _banner(banners: dict[str, str]) -> str:
    """What all channels say is said once."""
    said = set(banners.values())
    if len(said) == 1:
        return said.pop()
    return "\n".join(f"{name}: {text}" for name, text in banners.items() if text)
