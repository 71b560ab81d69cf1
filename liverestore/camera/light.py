"""What can be done about the light of a source: shut it off, and bound what it exposes."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["LightPath", "LimitedSource", "limited_source"]


class LightPath(Protocol):
    """Shutter and stage: whether light falls, and where."""

    shutter: str | None
    """Label of the shutter; None: there is none."""

    def is_open(self) -> bool | None:
        """What the shutter itself says; None without one, or where it does not answer."""
        ...

    def shut(self, *, by_hand: bool = False) -> str | None:
        """See that no light falls; what is wrong, in words, or None.

        A shutter that only the user switches (autoshutter off) is left alone, except
        `by_hand`, which closes it too.
        """
        ...

    def xy_um(self) -> tuple[float, float] | None:
        """Where the stage stands; None without one, or where it does not answer."""
        ...


@runtime_checkable
class LimitedSource(Protocol):
    """A source whose camera runs by itself, ahead of whoever takes its frames."""

    light: LightPath | None
    """None before `start` and after `stop`."""

    @property
    def exposure_ms(self) -> float | None:
        """Of the next frame, as the camera took it."""
        ...

    @property
    def running(self) -> bool:
        """Whether a sequence has begun and neither been ended nor delivered its last frame."""
        ...

    def limit(self, exposures: int | None) -> None:
        """Let the next sequence end by itself after so many exposures; None: it goes on."""
        ...


def limited_source(source: object) -> LimitedSource | None:
    """`source`, or the source inside it, whose light can be controlled; None: neither."""
    for one in (source, getattr(source, "source", None)):
        if isinstance(one, LimitedSource):
            return one
    return None
