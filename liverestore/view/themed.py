"""What a widget asks of the theme that its window wears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QFont

from liverestore.view.theme import THEMES, plot_colours

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyqtgraph as pg
    from PySide6.QtWidgets import QWidget

__all__ = ["colours_of", "dress_plot", "theme_of", "wear_theme"]

_PROPERTY = "theme"


def wear_theme(window: QWidget, theme: str) -> None:
    """Let all widgets in `window` find `theme`; the style sheet is set apart from this."""
    window.setProperty(_PROPERTY, theme)


def theme_of(widget: QWidget) -> str:
    """Name of the theme of the window that `widget` is in.

    It changes while the program runs: ask when painting, or in `changeEvent` when the event
    is a `StyleChange`.
    """
    theme = widget.window().property(_PROPERTY)
    return theme if isinstance(theme, str) and theme in THEMES else "dark"


def colours_of(widget: QWidget) -> Mapping[str, str]:
    """Colours, by name, of the theme of the window that `widget` is in."""
    return THEMES[theme_of(widget)]


def dress_plot(plot: pg.PlotWidget, scale: float) -> None:
    """Give ground, axes and numbers of `plot` the colours of its window's theme.

    `scale` is how much larger than normal the text is. Curves are left alone: their colours
    are in `theme.plot_colours(theme_of(plot))`.
    """
    colours = plot_colours(theme_of(plot))
    plot.setBackground(colours.ground)
    font = QFont(plot.font())
    font.setPixelSize(round(11 * scale))
    for name in ("left", "bottom", "right", "top"):
        axis = plot.getAxis(name)
        axis.setPen(colours.axis)
        axis.setTextPen(colours.axis)
        axis.setTickFont(font)
        if axis.labelText:
            axis.setLabel(
                axis.labelText,
                units=axis.labelUnits or None,
                color=colours.text,
                **{"font-size": f"{round(11 * scale)}px"},
            )
