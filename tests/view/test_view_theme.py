import re

import pytest

from liverestore.view.theme import GROUNDS, THEMES, plot_colours, stylesheet


def _luminance(colour):
    """Relative luminance of "#rrggbb", WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_of_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_text_stands_out_from_its_ground(theme):
    colours = THEMES[theme]
    weak = {
        (text, ground): round(contrast(colours[text], colours[ground]), 2)
        for text, grounds in GROUNDS.items()
        for ground in grounds
        if contrast(colours[text], colours[ground]) < 4.5
    }
    assert not weak


@pytest.mark.parametrize("theme", THEMES)
def test_what_cannot_be_used_now_is_still_readable(theme):
    colours = THEMES[theme]
    assert contrast(colours["disabled"], colours["field"]) >= 3.0
    assert contrast(colours["disabled"], colours["button"]) >= 3.0
    assert contrast(colours["stop_disabled_text"], colours["stop_disabled"]) >= 3.0


def test_every_theme_has_the_same_colours_and_a_dark_image():
    names = {theme: set(colours) for theme, colours in THEMES.items()}
    assert names["light"] == names["dark"]
    assert {_luminance(colours["image"]) < 0.01 for colours in THEMES.values()} == {True}
    assert _luminance(THEMES["light"]["window"]) > 0.7 > 0.02 > _luminance(THEMES["dark"]["window"])


@pytest.mark.parametrize("theme", THEMES)
def test_the_style_sheet_has_no_colour_of_its_own(theme):
    used = set(re.findall(r"#[0-9a-f]{6}\b", stylesheet(1.0, theme)))
    assert used <= set(THEMES[theme].values())
    other = "light" if theme == "dark" else "dark"
    assert not (used & set(THEMES[other].values())) - set(THEMES[theme].values())


@pytest.mark.parametrize("theme", THEMES)
def test_curves_of_raw_and_restored_are_told_apart(theme):
    plot = plot_colours(theme)
    assert plot.raw != plot.restored
    assert min(contrast(c, plot.ground) for c in (plot.raw, plot.restored, plot.axis)) >= 4.5
