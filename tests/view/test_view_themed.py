import pyqtgraph as pg
import pytest
from PySide6.QtCore import QPoint

from liverestore.view.theme import THEMES, plot_colours
from liverestore.view.themed import colours_of, dress_plot, theme_of
from liverestore.view.widgets import TickBox


def _colour_at(widget, x, y):
    return widget.grab().toImage().pixelColor(x, y)


@pytest.mark.parametrize("theme", THEMES)
def test_the_window_wears_the_theme_and_the_image_stays_dark(open_window, theme):
    window, _ = open_window()
    window.look.set_theme(theme)
    assert theme_of(window.display.lut) == theme
    assert _colour_at(window.display, 2, 4).name() == THEMES[theme]["panel"]
    gap = window.deck.mapTo(window, QPoint(0, 0))
    assert _colour_at(window, gap.x() + 2, gap.y() + 2).name() == THEMES[theme]["window"]
    image = window.raw_pane.image.viewport()
    assert _colour_at(image, 3, 3).name() == THEMES["dark"]["image"]


def test_ticks_and_arrows_follow_the_theme(open_window):
    window, _ = open_window()
    box = window.findChild(TickBox, "autostretch")
    seen = []
    for theme in ("dark", "light"):
        window.look.set_theme(theme)
        picture = box.grab().toImage()
        colours = {
            picture.pixelColor(x, y).name()
            for x in range(box.height())
            for y in range(box.height())
        }
        seen.append((THEMES[theme]["accent"] in colours, THEMES[theme]["field"] in colours))
    assert seen == [(True, True)] * 2


def test_a_plot_is_dressed_in_the_colours_of_its_window(open_window, settle):
    window, _ = open_window()
    plot = pg.PlotWidget(window)
    plot.setLabel("bottom", "counts", units="e")
    for theme in ("dark", "light"):
        window.look.set_theme(theme)
        dress_plot(plot, 1.5)
        colours = plot_colours(theme)
        assert plot.backgroundBrush().color().name() == colours.ground
        axis = plot.getAxis("bottom")
        assert axis.textPen().color().name() == colours.axis == axis.pen().color().name()
        assert axis.labelStyle["color"] == colours.text == colours_of(plot)["text"]
        assert (axis.labelText, axis.labelUnits) == ("counts", "e")
    plot.close()
