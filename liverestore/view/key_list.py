"""The list of keys, over the window; a click on a row gives its action other keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from liverestore.view.key_row import KeyRow
from liverestore.view.keymap import KeyTaken
from liverestore.view.shortcuts import MEANINGS, groups, key_pressed, shown_key
from liverestore.view.widgets import set_tone

if TYPE_CHECKING:
    from PySide6.QtGui import QMouseEvent

    from liverestore.view.shortcuts import KeyBindings

__all__ = ["KeyList"]

_MOST_KEYS = 3
_HINT = "Click a row to give it other keys. They are yours on every rig."


class KeyList(QFrame):
    """Shown by `?`, hidden by `?` or Escape; takes no key from the image unless asked to."""

    def __init__(self, bindings: KeyBindings, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self._bindings = bindings
        self._scale = 1.0
        self._asking: str | None = None
        self._pressed: tuple[str, ...] = ()
        self._focus_before: QWidget | None = None
        self.setObjectName("keys")
        title = QLabel("Keys", self)
        title.setObjectName("keyTitle")
        self.hint = QLabel(_HINT, self)
        self.hint.setObjectName("keyHint")
        self.reset_all = QPushButton("Reset all", self)
        self.reset_all.setToolTip("Give every action its usual keys")
        self.close_button = QPushButton("Close", self)
        for button in (self.reset_all, self.close_button):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._head = QHBoxLayout()
        self._head.addWidget(title)
        self._head.addWidget(self.hint, 1)
        self._head.addWidget(self.reset_all)
        self._head.addWidget(self.close_button)
        self.rows: dict[str, KeyRow] = {}
        self._groups: list[tuple[QWidget, QVBoxLayout, int]] = []
        self._content = QWidget(self)
        self._content.setObjectName("keyContent")
        self._columns = QHBoxLayout(self._content)
        for name, actions in groups(bindings.keymap.actions).items():
            self._add_group(name, actions)
        self._scroll = QScrollArea(self)
        self._scroll.setObjectName("keyScroll")
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(self._content)
        self._column = QVBoxLayout(self)
        self._column.addLayout(self._head)
        self._column.addWidget(self._scroll, 1)
        self.reset_all.clicked.connect(self._reset_all)
        self.close_button.clicked.connect(self.put_away)
        self.setVisible(False)
        parent.installEventFilter(self)

    def toggle(self) -> None:
        """Show or hide it."""
        if not self.isHidden():
            self.put_away()
            return
        self._show_all()
        self._say(_HINT)
        self.setVisible(True)
        self._place()

    def put_away(self) -> None:
        """Hide it; keys that are being asked for stay what they were."""
        self._stop_asking()
        self.hide()

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._scale = scale
        if not self.isHidden():
            self._place()

    def ask(self, action: str) -> None:
        """Take the next keys that are pressed for `action`, until Enter or Escape."""
        if self._asking is None:
            self._focus_before = self._window.focusWidget()
        self._stop_asking(keep_focus=True)
        self._asking, self._pressed = action, ()
        self.rows[action].show_waiting(())
        self._say(
            f"Press the key for \u201c{MEANINGS[action]}\u201d, "
            "then Enter; Esc leaves it as it was."
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Stay in the middle of the window."""
        if event.type() == QEvent.Type.Resize and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent) -> bool:
        """While keys are asked for, they start nothing else."""
        if self._asking is not None and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        if (
            self._asking is not None
            and isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
        ):
            # Here and not in keyPressEvent: Qt keeps Tab for itself.
            self._take(event)
            return True
        if event.type() == QEvent.Type.FocusOut and self._asking is not None:
            self._focus_before = None
            self._stop_asking()
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the click from the image under the list."""
        event.accept()

    def _take(self, event: QKeyEvent) -> None:
        action = self._asking
        if action is None or event.isAutoRepeat():
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._accept(action)
        elif event.key() == Qt.Key.Key_Escape:
            self._stop_asking()
            self._say(_HINT)
        elif event.key() == Qt.Key.Key_Backspace:
            self._pressed = self._pressed[:-1]
            self.rows[action].show_waiting(self._pressed)
        elif (key := key_pressed(event)) is not None:
            self._collect(action, key)

    def _collect(self, action: str, key: str) -> None:
        other = self._bindings.keymap.taken_by(key, action)
        if other is not None:
            self._say_taken(KeyTaken(key, other))
            return
        if key not in self._pressed:
            self._pressed = (*self._pressed, key)[-_MOST_KEYS:]
        self.rows[action].show_waiting(self._pressed)
        self._say("Enter keeps it, another key is added, Backspace takes one back, Esc cancels.")

    def _accept(self, action: str) -> None:
        if self._pressed:
            self._bindings.keymap.give(action, self._pressed)
            self._stop_asking()
            self._store()
        else:
            self._stop_asking()
            self._say(_HINT)

    def _reset(self, action: str) -> None:
        self._stop_asking()
        try:
            self._bindings.keymap.reset(action)
        except KeyTaken as taken:
            self._say_taken(taken)
            return
        self._store()

    def _reset_all(self) -> None:
        self._stop_asking()
        self._bindings.keymap.reset_all()
        self._store()

    def _store(self) -> None:
        self._bindings.store()
        self._show_all()
        self._say(self._bindings.notice or _HINT, warn=bool(self._bindings.notice))

    def _stop_asking(self, *, keep_focus: bool = False) -> None:
        if self._asking is None:
            return
        action, self._asking, self._pressed = self._asking, None, ()
        self._show(action)
        if not keep_focus:
            self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            before, self._focus_before = self._focus_before, None
            if before is not None:
                before.setFocus()

    def _say_taken(self, taken: KeyTaken) -> None:
        meaning = MEANINGS[taken.action]
        self._say(f"{shown_key(taken.key)} is taken by: {meaning}", warn=True)

    def _say(self, text: str, *, warn: bool = False) -> None:
        set_tone(self.hint, "warn" if warn else "muted")
        self.hint.setText(text)

    def _show_all(self) -> None:
        for action in self.rows:
            self._show(action)

    def _show(self, action: str) -> None:
        keymap = self._bindings.keymap
        self.rows[action].show_keys(
            keymap.keys(action), keymap.usual(action), changed=keymap.changed(action)
        )

    def _add_group(self, name: str, actions: tuple[str, ...]) -> None:
        group = QWidget(self._content)
        group.setObjectName("keyGroup")
        column = QVBoxLayout(group)
        label = QLabel(name, group)
        label.setObjectName("keyGroupName")
        column.addWidget(label)
        for action in actions:
            row = self.rows[action] = KeyRow(action, group)
            row.clicked.connect(self.ask)
            row.reset_asked.connect(self._reset)
            column.addWidget(row)
        self._groups.append((group, column, len(actions) + 2))

    def _place(self) -> None:
        """As many columns as the window has room for, in the middle of it."""
        scale, area = self._scale, self._window.rect()
        edge = round(16 * scale)
        for row in self.rows.values():
            row.rescale(scale)
        self._column.setContentsMargins(edge, round(12 * scale), edge, edge)
        self._column.setSpacing(round(8 * scale))
        self._head.setSpacing(round(10 * scale))
        for _, column, _ in self._groups:
            column.setContentsMargins(0, 0, 0, round(6 * scale))
            column.setSpacing(0)
        row_px = next(iter(self.rows.values())).sizeHint().width()
        gap = round(14 * scale)
        room = area.width() - 4 * edge
        count = max(1, min(3, (room + gap) // (row_px + gap)))
        self._fill(count, gap)
        self._content.adjustSize()
        need = self._content.sizeHint()
        bar = self._scroll.verticalScrollBar().sizeHint().width()
        head = self._head.sizeHint()
        height = need.height() + head.height() + 3 * edge
        width = max(need.width(), head.width()) + 2 * edge + bar
        self.resize(min(width, area.width() - edge), min(height, area.height() - 2 * edge))
        self.move(area.center() - self.rect().center())
        self.raise_()

    def _fill(self, count: int, gap: int) -> None:
        """Put the groups into `count` columns of about the same length, in their order."""
        while (item := self._columns.takeAt(0)) is not None:
            layout = item.layout()
            if layout is not None:
                layout.deleteLater()
        self._columns.setContentsMargins(0, 0, 0, 0)
        self._columns.setSpacing(gap)
        columns = [QVBoxLayout() for _ in range(count)]
        for index, members in enumerate(_share_out([w for _, _, w in self._groups], count)):
            for member in members:
                columns[index].addWidget(self._groups[member][0])
            columns[index].addStretch(1)
            self._columns.addLayout(columns[index])


def _share_out(lengths: list[int], count: int) -> list[list[int]]:
    """Indices of `lengths` in `count` runs, the longest of which is as short as can be.

    >>> _share_out([11, 6, 4, 5, 8], 3)
    [[0], [1, 2], [3, 4]]
    """
    for limit in range(max(lengths), sum(lengths) + 1):
        runs: list[list[int]] = [[]]
        filled = 0
        for index, length in enumerate(lengths):
            if runs[-1] and filled + length > limit:
                runs.append([])
                filled = 0
            runs[-1].append(index)
            filled += length
        if len(runs) <= count:
            break
    return [*runs, *([] for _ in range(count - len(runs)))]
