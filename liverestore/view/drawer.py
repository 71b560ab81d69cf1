"""The drawer at the right of the images: tools that are shown and put away one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from liverestore.view.key_tips import set_key_tip
from liverestore.view.shortcuts import SHORTCUTS
from liverestore.view.tool_strip import SideButton, ToolStrip, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ToolDrawer"]

_WIDTH_PX = 320


@runtime_checkable
class _Rescaled(Protocol):
    def rescale(self, scale: float) -> None: ...


class _Tool(QFrame):
    """A tool under its name, with a button that puts it away."""

    put_away = Signal()

    def __init__(self, name: str, widget: QWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("tool")
        self.widget = widget
        self.wanted = False
        """Whether the user wants to see it, which takes that it is offered too."""
        title = QLabel(name, self)
        title.setObjectName("toolTitle")
        close = QPushButton("\u00d7", self)
        close.setObjectName("toolClose")
        close.setToolTip(f"Put {name} away")
        close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        close.clicked.connect(self.put_away)
        head = QHBoxLayout()
        head.addWidget(title, 1)
        head.addWidget(close)
        self._column = QVBoxLayout(self)
        self._column.addLayout(head)
        self._column.addWidget(widget)

    def rescale(self, scale: float) -> None:
        edge, gap = round(8 * scale), round(5 * scale)
        self._column.setContentsMargins(edge, gap, edge, edge)
        self._column.setSpacing(gap)
        if isinstance(self.widget, _Rescaled):
            self.widget.rescale(scale)


class ToolDrawer(QWidget):
    """Tools one above the other, and a strip of buttons that show or hide them.

    The column is as wide as a plot needs (320 px at normal size), scrolls when the tools
    are higher than the window, and takes no room while none is shown. A tool gets the
    height of its size hint. A hidden tool must do no work: its `isVisible()` is False.
    """

    toggled = Signal(str, bool)
    """The name of a tool, and whether it is shown now."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("drawer")
        self._tools: dict[str, _Tool] = {}
        self._buttons: dict[str, QPushButton] = {}
        self._withheld: set[str] = set()
        self._actions: dict[str, Callable[[], None]] = {}
        self._scale = 1.0
        self._content = content = QWidget(self)
        content.setObjectName("drawerContent")
        self._column = QVBoxLayout(content)
        self._column.addStretch(1)
        self._scroll = QScrollArea(self)
        self._scroll.setObjectName("drawerScroll")
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(content)
        self._scroll.setVisible(False)
        self._strip = ToolStrip(self)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(self._scroll)
        self._row.addWidget(self._strip)
        self.setVisible(False)

    @property
    def names(self) -> tuple[str, ...]:
        """All tools, from top to bottom."""
        return tuple(self._tools)

    @property
    def actions_by_key(self) -> dict[str, Callable[[], None]]:
        """What the keys of `shortcuts.SHORTCUTS` do here: action to what it starts.

        The window binds them once, after the last tool was added.
        """
        return dict(self._actions)

    def add_tool(self, name: str, widget: QWidget, *, key_action: str | None = None) -> None:
        """Take in `widget`, hidden, at the place of its `name`, which is on its button.

        `key_action` is the action of `shortcuts.SHORTCUTS` that shows and hides it. Where
        `widget` has a method `rescale(scale)`, it is called with the drawer's. Raises
        `ValueError` for a name that is taken and `KeyError` for an unknown action.
        """
        if name in self._tools:
            raise ValueError(f"the drawer has a tool {name!r} already")
        tip = f"Show or hide {name}"
        if key_action is not None:
            if key_action not in SHORTCUTS:
                raise KeyError(key_action)
            tip += f" ({{{key_action}}})"
            self._actions[key_action] = lambda: self.toggle(name)
        tool = _Tool(name, widget, self._content)
        tool.setVisible(False)
        tool.put_away.connect(lambda: self.toggle(name))
        button = SideButton(name, self._strip)
        button.setObjectName("toolButton")
        button.setCheckable(True)
        set_key_tip(button, tip)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda: self.toggle(name))
        self._tools[name], self._buttons[name] = tool, button
        self._tools = dict(sorted(self._tools.items(), key=lambda item: place_of(item[0])))
        self._column.insertWidget(self.names.index(name), tool)
        self._strip.add(name, button)
        tool.rescale(self._scale)
        self.setVisible(True)

    def offer(self, name: str, on: bool) -> None:
        """Let the tool be there, as it was before, or let it and its button be away.

        Raises `KeyError` for an unknown name.
        """
        tool = self._tools[name]
        if (name not in self._withheld) is on:
            return
        (self._withheld.discard if on else self._withheld.add)(name)
        self._buttons[name].setVisible(on)
        self._show(name, tool)

    def button(self, name: str) -> QPushButton:
        """The button that shows and hides the tool. Raises `KeyError` for an unknown name."""
        return self._buttons[name]

    def shown(self, name: str) -> bool:
        """Whether the tool is shown, or will be when it is offered again.

        Raises `KeyError` for an unknown name.
        """
        return self._tools[name].wanted

    def toggle(self, name: str) -> None:
        """Show the tool, or put it away. Raises `KeyError` for an unknown name."""
        tool = self._tools[name]
        show = tool.wanted = not tool.wanted
        self._buttons[name].setChecked(show)
        self._show(name, tool)
        if show and name not in self._withheld:
            # Its place is known only after the layout.
            QTimer.singleShot(0, tool, lambda: self._scroll.ensureWidgetVisible(tool))
        self.toggled.emit(name, show)

    def _show(self, name: str, tool: _Tool) -> None:
        tool.setVisible(tool.wanted and name not in self._withheld)
        self._scroll.setVisible(any(not other.isHidden() for other in self._tools.values()))

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._scale = scale
        edge = round(8 * scale)
        self._scroll.setFixedWidth(round(_WIDTH_PX * scale))
        # The images' own margin separates the column from them.
        self._column.setContentsMargins(0, edge, round(4 * scale), edge)
        self._column.setSpacing(edge)
        self._strip.rescale(scale)
        self._row.setSpacing(round(2 * scale))
        for tool in self._tools.values():
            tool.rescale(scale)
