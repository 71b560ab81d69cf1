"""The virtual stack of a run: at which distances planes are made of each frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from liverestore.errors import UserError
from liverestore.model_spec import ModelSpec
from liverestore.refocus import check_reach
from liverestore.wire import MAX_PLANES
from liverestore.zstack import ZStack, parse_zstack

__all__ = ["LiveZStack", "live_zstack"]


def live_zstack(text: str, engines: Sequence[ModelSpec], what: str = "virtual stack") -> ZStack:
    """The stack START:STOP:STEP (um) that `text` asks of the refocusing `engines`.

    Raises `UserError`, which calls the text `what`, for one that is none, has more planes than
    a message holds or goes beyond the reach of an engine: planes are never clipped, so that each
    voxel is where the file says.
    """
    stack = parse_zstack(text, what)
    if stack.count > MAX_PLANES:
        raise UserError(
            f"{what}: got {text!r}, which is {stack.count} planes; allowed while live are up to "
            f"{MAX_PLANES}; take a larger step"
        )
    for spec in engines:
        check_reach(max(stack.planes_um, key=abs), spec, f"{what} {text}")
    return stack


class LiveZStack:
    """The stack in effect; none to begin with. `tell` gets a line where an engine cannot make it.

    Used from one thread.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _line: None) -> None:
        self._tell = tell
        self._text: str | None = None
        self._stack: ZStack | None = None
        self._planes: dict[str, tuple[float, ...]] = {}
        """Of each engine that was asked about."""

    @property
    def asked(self) -> str | None:
        """The text in effect, START:STOP:STEP in um."""
        return self._text

    def ask(self, text: str | None, engines: Sequence[ModelSpec]) -> None:
        """Make the stack `text` from the next frame on; None: none.

        Raises as `live_zstack` does, with the one before in effect.
        """
        stack = None if text is None else live_zstack(text, engines)
        self._text, self._stack = text, stack
        self._planes.clear()

    def planes_um(self, spec: ModelSpec) -> tuple[float, ...]:
        """Distances of the planes that `spec` is to make, in um; () where it makes none.

        An engine that came later and does not reach all of them makes none, and is told of once.
        """
        if self._stack is None or not spec.refocuses:
            return ()
        if spec.name not in self._planes:
            planes_um = self._stack.planes_um
            try:
                check_reach(max(planes_um, key=abs), spec, f"the virtual stack {self._text}")
            except UserError as error:
                self._tell(f"no virtual stack: {error}")
                planes_um = ()
            self._planes[spec.name] = planes_um
        return self._planes[spec.name]
