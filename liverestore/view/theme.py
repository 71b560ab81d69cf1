"""Colours and type of the live view.

Dark, so that a dim sample is what one sees; or light, for a lit office. Image areas stay dark
in both: `COLOURS` are the colours of the dark theme and of all that is painted over an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "COLOURS",
    "GROUNDS",
    "LARGER",
    "THEMES",
    "PlotColours",
    "plot_colours",
    "scale_for",
    "stylesheet",
]

COLOURS: dict[str, str] = {
    "window": "#14171a",
    "panel": "#1b1f24",
    "field": "#101316",
    "button": "#262c33",
    "line": "#2c333a",
    "text": "#dbe1e7",
    "muted": "#93a0ab",
    "disabled": "#75818b",
    "disabled_line": "#23282d",
    "accent": "#4cc2b0",
    "on_accent": "#06201c",
    "warn": "#f0b84a",
    "alarm": "#ff6e6e",
    "notice": "#3a2f14",
    "notice_line": "#f0b84a",
    "notice_text": "#ffdf9e",
    "stop": "#5a1f22",
    "stop_hover": "#74282c",
    "stop_line": "#8d3438",
    "stop_text": "#ffdcdc",
    "stop_disabled": "#2a2022",
    "stop_disabled_line": "#38292b",
    "stop_disabled_text": "#86757a",
    "raw": "#f0a35e",
    "restored": "#4cc2b0",
    "rival": "#8ab8ff",
    "image": "#050607",
}

THEMES: dict[str, Mapping[str, str]] = {
    "dark": COLOURS,
    "light": {
        "window": "#e6e9ed",
        "panel": "#f4f6f8",
        "field": "#ffffff",
        "button": "#e3e7ec",
        "line": "#b7c0c8",
        "text": "#181d21",
        "muted": "#4f5a64",
        "disabled": "#79848d",
        "disabled_line": "#cfd5da",
        "accent": "#006b60",
        "on_accent": "#ffffff",
        "warn": "#7d4f00",
        "alarm": "#b3141b",
        "notice": "#fff0c9",
        "notice_line": "#c98d1a",
        "notice_text": "#553800",
        "stop": "#b3262b",
        "stop_hover": "#9a1c21",
        "stop_line": "#8d1a1f",
        "stop_text": "#ffffff",
        "stop_disabled": "#ead9da",
        "stop_disabled_line": "#d9c3c5",
        "stop_disabled_text": "#8a7377",
        "raw": "#944800",
        "restored": "#006b60",
        "rival": "#1f5fae",
        "image": "#050607",
    },
}
"""The themes by name; each has the same colours by name."""

GROUNDS: dict[str, tuple[str, ...]] = {
    "text": ("window", "panel", "field", "button"),
    "muted": ("window", "panel", "field"),
    "accent": ("panel", "field", "button"),
    "on_accent": ("accent",),
    "warn": ("panel",),
    "alarm": ("panel",),
    "notice_text": ("notice",),
    "stop_text": ("stop", "stop_hover"),
    "raw": ("panel", "field"),
    "restored": ("panel", "field"),
    "rival": ("panel", "field"),
}
"""Colours of text and the grounds that each is written on (see the test of contrast)."""


@dataclass(frozen=True, slots=True)
class PlotColours:
    """Colours of a plot, as "#rrggbb"."""

    ground: str
    axis: str
    """Axis lines and numbers."""
    grid: str
    text: str
    """Names of the axes."""
    raw: str
    restored: str
    handle: str
    """What the mouse takes hold of."""


def plot_colours(theme: str = "dark") -> PlotColours:
    """Colours of the plots of `theme`; raw and restored have the same ones in every plot."""
    c = THEMES[theme]
    return PlotColours(
        ground=c["field"],
        axis=c["muted"],
        grid=c["line"],
        text=c["text"],
        raw=c["raw"],
        restored=c["restored"],
        handle=c["accent"],
    )


_BASE_SIZE = (1600.0, 900.0)


def scale_for(width: int, height: int) -> float:
    """How much larger than normal text and controls are in a window of that size (px).

    A 4K screen without the system's own scaling gets text of the same visual size; the
    steps of a quarter keep it steady while the window is being dragged.
    """
    wanted = min(width / _BASE_SIZE[0], height / _BASE_SIZE[1])
    return max(1.0, int(wanted * 4.0) / 4.0)


LARGER = (1.5, 1.25, 1.125)
"""How much larger large text may be, the best first: at 1.5 the numbers can be read from two
metres (21 px, about 5.5 mm on a common screen, are a sixth of a degree)."""


def stylesheet(
    scale: float,
    theme: str = "dark",
    reading: float | None = None,
    status: float | None = None,
) -> str:
    """Qt style sheet for all widgets of the window at `scale`.

    `reading` is the scale of what is read and not operated (texts around the images,
    notices), `status` that of the status line; None: the same.
    """
    c = THEMES[theme]
    read_scale = scale if reading is None else reading
    status_scale = scale if status is None else status

    def px(value: float) -> str:
        return f"{max(1, round(value * scale))}px"

    def rx(value: float) -> str:
        return f"{max(1, round(value * read_scale))}px"

    def sx(value: float) -> str:
        return f"{max(1, round(value * status_scale))}px"

    return f"""
    QWidget {{
        background: {c["window"]}; color: {c["text"]};
        font-family: "Inter", "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif;
        font-size: {px(13)};
    }}
    QToolTip {{ background: {c["panel"]}; color: {c["text"]}; border: 1px solid {c["line"]}; }}
    #bar {{ background: {c["panel"]}; border-bottom: 1px solid {c["line"]}; }}
    #bar QLabel, #bar QCheckBox {{ background: transparent; }}
    #bar QLabel[role="name"] {{ color: {c["muted"]}; }}
    #group {{ background: transparent; }}
    #toast {{ background: {c["panel"]}; border: 1px solid {c["accent"]};
        border-radius: {px(4)}; padding: {px(8)} {px(12)}; }}
    #run {{ font-weight: 600; }}
    #run[tone="muted"] {{ color: {c["muted"]}; }}
    #run[tone="alarm"] {{ color: {c["alarm"]}; }}
    #pane {{ background: {c["panel"]}; border: 1px solid {c["line"]};
        border-radius: {px(4)}; }}
    #pane QLabel {{ background: transparent; font-size: {rx(13)}; }}
    #pane #paneTitle {{ font-weight: 600; font-size: {rx(14)}; }}
    #paneHeader {{ background: transparent; }}
    #paneCaption, #paneTime, #paneFrame {{ color: {c["muted"]}; }}
    #colourScale {{ background: transparent; color: {c["muted"]};
        font-size: {rx(13)}; }}
    #compare, #deck, #channel {{ background: transparent; }}
    QPushButton#channelName[leads="true"] {{ border-color: {c["muted"]}; }}
    #keys, #closeQuestion {{ background: {c["panel"]}; border: 1px solid {c["accent"]};
        border-radius: {px(6)}; }}
    #keys QLabel, #keyScroll, #keyContent, #keyGroup, #closeQuestion QLabel {{
        background: transparent; }}
    #keyTitle {{ font-weight: 600; font-size: {px(15)}; }}
    #keyHint[tone="muted"] {{ color: {c["muted"]}; }}
    #keyHint[tone="warn"] {{ color: {c["warn"]}; }}
    #keyGroupName {{ color: {c["muted"]}; font-size: {px(11)}; padding-left: {px(6)}; }}
    #keyRow {{ background: transparent; border: 1px solid transparent;
        border-radius: {px(3)}; }}
    #keyRow:hover {{ background: {c["button"]}; }}
    #keyRow[tone="asking"] {{ background: {c["field"]}; border-color: {c["accent"]}; }}
    #keyName {{ font-weight: 600; }}
    #keyRow[tone="asking"] #keyName {{ color: {c["accent"]}; }}
    QPushButton#keyReset {{ background: transparent; border: none; padding: 0;
        min-height: 0; color: {c["muted"]}; }}
    QPushButton#keyReset:hover {{ color: {c["text"]}; }}
    #paneNote {{ color: {c["warn"]}; }}
    #paneReadout {{ color: {c["text"]}; }}
    #notices {{ background: {c["notice"]}; border-bottom: 1px solid {c["notice_line"]}; }}
    #notices QLabel {{ background: transparent; color: {c["notice_text"]};
        font-size: {rx(13)}; }}
    #status {{ background: {c["panel"]}; border-top: 1px solid {c["line"]}; }}
    #status QLabel {{ background: transparent; }}
    #lookBar {{ background: {c["panel"]}; border-top: 1px solid {c["line"]}; }}
    #lookBar QPushButton {{ padding: 0; min-height: 0; }}
    #cellName {{ color: {c["muted"]}; font-size: {sx(10)}; }}
    #cellValue {{ font-size: {sx(14)}; }}
    #cellAside {{ color: {c["muted"]}; font-size: {sx(11)}; }}
    #cellValue[tone="muted"] {{ color: {c["muted"]}; }}
    #trustLight[tone="good"] {{ color: {c["accent"]}; }}
    #trustLight[tone="muted"] {{ color: {c["muted"]}; }}
    #trustLight[tone="warn"] {{ color: {c["warn"]}; }}
    #trustLight[tone="alarm"] {{ color: {c["alarm"]}; font-weight: 700; }}
    #cellValue[tone="warn"] {{ color: {c["warn"]}; }}
    #cellValue[tone="alarm"] {{ color: {c["alarm"]}; font-weight: 700; }}
    #drawer, #drawerScroll, #drawerContent {{ background: {c["window"]}; }}
    #tool {{ background: {c["panel"]}; border: 1px solid {c["line"]};
        border-radius: {px(4)}; }}
    #tool QLabel, #tool QCheckBox {{ background: transparent; }}
    #tool QLabel[role="name"] {{ color: {c["muted"]}; }}
    #tool QLabel[role="raw"] {{ color: {c["raw"]}; font-weight: 600; }}
    #tool QLabel[role="restored"] {{ color: {c["restored"]}; font-weight: 600; }}
    #tool #question, #tool QLabel[tone="warn"], #pane QLabel[tone="warn"] {{
        color: {c["warn"]}; }}
    #toolTitle {{ font-weight: 600; font-size: {px(14)}; }}
    QScrollBar:vertical {{ background: transparent; width: {px(8)}; margin: 0; }}
    QScrollBar::handle:vertical {{ background: {c["line"]}; border-radius: {px(3)};
        min-height: {px(30)}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; }}
    QPushButton, QComboBox, QDoubleSpinBox {{
        background: {c["field"]}; border: 1px solid {c["line"]};
        border-radius: {px(3)}; min-height: {px(18)};
        selection-background-color: {c["accent"]}; selection-color: {c["on_accent"]};
    }}
    QPushButton, QComboBox {{ padding: {px(3)} {px(7)}; }}
    QDoubleSpinBox {{ padding: {px(3)} {px(5)}; }}
    QDoubleSpinBox::up-button, QDoubleSpinBox::down-button {{ width: 0; border: none; }}
    QDoubleSpinBox QLineEdit {{ background: transparent; border: none; }}
    QPushButton {{ background: {c["button"]}; }}
    QPushButton:hover, QComboBox:hover, QDoubleSpinBox:hover {{ border-color: {c["muted"]}; }}
    QPushButton:focus, QComboBox:focus, QDoubleSpinBox:focus {{
        border-color: {c["accent"]}; }}
    QPushButton:pressed {{ background: {c["field"]}; }}
    QPushButton:checked {{ border-color: {c["accent"]}; color: {c["accent"]}; }}
    QPushButton:disabled, QComboBox:disabled, QDoubleSpinBox:disabled {{
        color: {c["disabled"]}; border-color: {c["disabled_line"]}; }}
    QPushButton#stop {{ background: {c["stop"]}; border-color: {c["stop_line"]};
        color: {c["stop_text"]}; font-weight: 600; padding-left: 0; padding-right: 0; }}
    QPushButton#stop:hover {{ background: {c["stop_hover"]}; }}
    QPushButton#stop:disabled {{ background: {c["stop_disabled"]};
        border-color: {c["stop_disabled_line"]}; color: {c["stop_disabled_text"]}; }}
    QPushButton#live, QPushButton#snap {{ padding-left: 0; padding-right: 0; }}
    QPushButton#live:checked {{ background: {c["accent"]}; color: {c["on_accent"]};
        border-color: {c["accent"]}; font-weight: 600; }}
    QPushButton#record {{ padding-left: {px(24)}; padding-right: 0; text-align: left; }}
    QPushButton#record:checked {{ background: {c["stop"]}; border-color: {c["stop_line"]};
        color: {c["stop_text"]}; }}
    QPushButton#step {{ padding: {px(3)} {px(3)}; min-width: {px(16)}; }}
    QPushButton#toolButton {{ background: {c["panel"]}; color: {c["muted"]};
        padding: {px(2)} {px(10)}; min-height: {px(16)}; }}
    QPushButton#toolButton:checked {{ color: {c["accent"]}; }}
    QPushButton#toolClose {{ background: transparent; border: none; color: {c["muted"]};
        padding: 0 {px(5)}; }}
    QPushButton#toolClose:hover {{ color: {c["text"]}; }}
    QPushButton#dismiss {{ background: transparent; border: none; color: {c["notice_text"]};
        padding: {px(1)} {px(6)}; }}
    QSlider#refocusSlider {{ background: transparent; min-height: {px(20)}; }}
    QSplitter, QSplitter::handle {{ background: transparent; }}
    QSlider#refocusSlider::groove:horizontal {{ background: {c["field"]};
        border: 1px solid {c["line"]}; height: {px(4)}; border-radius: {px(2)}; }}
    QSlider#refocusSlider::handle:horizontal {{ background: {c["accent"]};
        width: {px(12)}; margin: -{px(5)} 0; border-radius: {px(5)}; }}
    QSlider#refocusSlider:focus::groove:horizontal {{ border-color: {c["accent"]}; }}
    QProgressBar {{ background: {c["field"]}; border: 1px solid {c["line"]};
        border-radius: {px(3)}; min-height: {px(8)}; max-height: {px(8)}; }}
    QProgressBar::chunk {{ background: {c["accent"]}; }}
    QProgressBar#lightBudget[tone="warn"]::chunk {{ background: {c["warn"]}; }}
    QProgressBar#lightBudget[tone="alarm"]::chunk {{ background: {c["alarm"]}; }}
    QComboBox::drop-down {{ border: none; width: {px(18)}; }}
    QComboBox QAbstractItemView {{ background: {c["field"]};
        selection-background-color: {c["accent"]}; selection-color: {c["on_accent"]}; }}
    QCheckBox {{ spacing: {px(6)}; }}
    QCheckBox::indicator {{ width: {px(14)}; height: {px(14)};
        border: 1px solid {c["muted"]}; border-radius: {px(2)}; background: {c["field"]}; }}
    QCheckBox::indicator:checked {{ background: {c["accent"]};
        border-color: {c["accent"]}; }}
    """
