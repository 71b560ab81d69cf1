"""Colours and type of the live view: dark, so that a dim sample is what one sees."""

from __future__ import annotations

__all__ = ["COLOURS", "scale_for", "stylesheet"]

COLOURS = {
    "window": "#14171a",
    "panel": "#1b1f24",
    "field": "#101316",
    "line": "#2c333a",
    "text": "#dbe1e7",
    "muted": "#93a0ab",
    "accent": "#4cc2b0",
    "warn": "#f0b84a",
    "alarm": "#ff6464",
    "image": "#050607",
}

_BASE_SIZE = (1600.0, 900.0)


def scale_for(width: int, height: int) -> float:
    """How much larger than normal text and controls are in a window of that size (px).

    A 4K screen without the system's own scaling gets text of the same visual size; the
    steps of a quarter keep it steady while the window is being dragged.
    """
    wanted = min(width / _BASE_SIZE[0], height / _BASE_SIZE[1])
    return max(1.0, int(wanted * 4.0) / 4.0)


def stylesheet(scale: float) -> str:
    """Qt style sheet for all widgets of the window at `scale`."""
    c = COLOURS

    def px(value: float) -> str:
        return f"{max(1, round(value * scale))}px"

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
    #run {{ font-weight: 600; }}
    #run[tone="muted"] {{ color: {c["muted"]}; }}
    #run[tone="alarm"] {{ color: {c["alarm"]}; }}
    #pane {{ background: {c["panel"]}; border: 1px solid {c["line"]};
        border-radius: {px(4)}; }}
    #pane QLabel {{ background: transparent; }}
    #paneTitle {{ font-weight: 600; font-size: {px(14)}; }}
    #paneCaption, #paneFrame {{ color: {c["muted"]}; }}
    #colourScale {{ background: transparent; color: {c["muted"]}; }}
    #compare, #deck {{ background: transparent; }}
    #keys {{ background: {c["panel"]}; border: 1px solid {c["accent"]};
        border-radius: {px(6)}; padding: {px(14)}; }}
    #paneReadout {{ color: {c["text"]}; }}
    #notices {{ background: #3a2f14; border-bottom: 1px solid {c["warn"]}; }}
    #notices QLabel {{ background: transparent; color: #ffdf9e; }}
    #status {{ background: {c["panel"]}; border-top: 1px solid {c["line"]}; }}
    #status QLabel {{ background: transparent; }}
    #cellName {{ color: {c["muted"]}; font-size: {px(10)}; }}
    #cellValue {{ font-size: {px(14)}; }}
    #cellValue[tone="muted"] {{ color: {c["muted"]}; }}
    #cellValue[tone="warn"] {{ color: {c["warn"]}; }}
    #cellValue[tone="alarm"] {{ color: {c["alarm"]}; font-weight: 700; }}
    QPushButton, QComboBox, QDoubleSpinBox {{
        background: {c["field"]}; border: 1px solid {c["line"]};
        border-radius: {px(3)}; min-height: {px(18)};
        selection-background-color: {c["accent"]}; selection-color: #06201c;
    }}
    QPushButton, QComboBox {{ padding: {px(3)} {px(7)}; }}
    QDoubleSpinBox {{ padding: {px(3)} {px(5)}; }}
    QDoubleSpinBox::up-button, QDoubleSpinBox::down-button {{ width: 0; border: none; }}
    QDoubleSpinBox QLineEdit {{ background: transparent; border: none; }}
    QPushButton {{ background: #262c33; }}
    QPushButton:hover, QComboBox:hover, QDoubleSpinBox:hover {{ border-color: {c["muted"]}; }}
    QPushButton:focus, QComboBox:focus, QDoubleSpinBox:focus {{
        border-color: {c["accent"]}; }}
    QPushButton:pressed {{ background: {c["field"]}; }}
    QPushButton:checked {{ border-color: {c["accent"]}; color: {c["accent"]}; }}
    QPushButton:disabled, QComboBox:disabled, QDoubleSpinBox:disabled {{
        color: #5d6770; border-color: #23282d; }}
    QPushButton#stop {{ background: #5a1f22; border-color: #8d3438; color: #ffdcdc;
        font-weight: 600; padding: {px(3)} {px(16)}; }}
    QPushButton#stop:hover {{ background: #74282c; }}
    QPushButton#stop:disabled {{ background: #2a2022; border-color: #38292b;
        color: #86757a; }}
    QPushButton#step {{ padding: {px(3)} {px(6)}; min-width: {px(16)}; }}
    QPushButton#dismiss {{ background: transparent; border: none; color: #ffdf9e;
        padding: {px(1)} {px(6)}; }}
    QComboBox::drop-down {{ border: none; width: {px(18)}; }}
    QComboBox QAbstractItemView {{ background: {c["field"]};
        selection-background-color: {c["accent"]}; selection-color: #06201c; }}
    QCheckBox::indicator {{ width: {px(14)}; height: {px(14)};
        border: 1px solid {c["muted"]}; border-radius: {px(2)}; background: {c["field"]}; }}
    QCheckBox::indicator:checked {{ background: {c["accent"]};
        border-color: {c["accent"]}; }}
    """
