"""When a frame was captured, in the words of this computer's clock; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from liverestore.frame import FrameHeader

__all__ = ["Moment", "moment_of", "moments_together"]


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of capture, in local time."""

    forms: tuple[str, ...]
    """Ways to write it, the longest first: with the date, and without."""
    detail: str
    """Date, time and zone, for the tool tip."""
    at: datetime


def moment_of(header: FrameHeader) -> Moment | None:
    """When `header`'s frame was captured, to the millisecond; None where it does not say."""
    try:
        at = datetime.fromisoformat(header.captured_utc).astimezone()
    except ValueError:
        return None
    date, time = _date(at), _time(at)
    zone = f"{at:%z}"
    detail = f"captured {date} {time}, local time (UTC{zone[:3]}:{zone[3:5]})"
    return Moment((f"{date}  {time}", time), detail, at)


def moments_together(moments: Mapping[str, Moment | None]) -> Moment | None:
    """Of the pictures in a composite, by the names of their channels; None where none is known.

    In the shortest form it is the newest one.
    """
    known = {name: moment for name, moment in moments.items() if moment is not None}
    if not known:
        return None
    newest = max(known.values(), key=lambda moment: moment.at)
    times = " · ".join(_time(moment.at) for moment in known.values())
    return Moment(
        (f"{_date(newest.at)}  {times}", times, newest.forms[-1]),
        "\n".join(f"{name}: {moment.detail}" for name, moment in known.items()),
        newest.at,
    )


def _date(at: datetime) -> str:
    return at.strftime("%Y-%m-%d")


def _time(at: datetime) -> str:
    return at.time().isoformat(timespec="milliseconds")
