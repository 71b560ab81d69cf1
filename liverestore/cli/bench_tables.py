"""Tables of the bench: one for each test, the best of each kind in bold."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liverestore.quality.plan import Measured
from liverestore.quality.records import METRICS, Score

__all__ = ["best_of", "show_test"]

_TRUTHS = ("truth", "bead in focus")
"""Rows that say what would be right."""
_ASIDE = (*_TRUTHS, "the same without noise")
"""Rows that no method can be: never the best."""
_ITERATED = ("Richardson-Lucy", "RL, reblurred")
_NARROW = 100
"""Columns of the terminal below which padding goes."""
_MANY = 6
"""Conditions side by side beyond which the names of the methods have no room then."""

Values = dict[tuple[str, str], float]
"""(row, column) of a block -> value."""


def show_test(measured: Measured, console: Console) -> None:
    """Print the table of one test, what it was taken on, and what its columns mean."""
    test, scores = measured.test, measured.scores
    console.print(Text(test.title, style="bold underline"))
    if measured.problem is not None:
        console.print(Text(f"ended early: {measured.problem}", style="red"))
    if not scores:
        console.print("nothing was measured", style="dim")
        console.print()
        return
    if measured.done < test.steps:
        console.print(f"{measured.done} of {test.steps} steps", style="yellow")
    shown = [key for key in test.shown if any(key in score.metrics for score in scores)]
    by_condition = test.columns == "conditions"
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0) if console.width <= _NARROW else (0, 2, 0, 0),
        header_style="bold",
        show_edge=False,
    )
    if by_condition:
        _by_conditions(table, scores, shown, narrow=console.width <= _NARROW)
    else:
        _by_metrics(table, scores, shown)
    console.print(table)
    meanings = "; ".join(dict.fromkeys(METRICS[key].explained for key in shown))
    for line in (*test.notes, f"{meanings}."):
        console.print(Text(line, style="dim"))
    console.print()


def _by_metrics(table: Table, scores: list[Score], shown: list[str]) -> None:
    """Metrics side by side, conditions above each other."""
    table.add_column("")
    table.add_column("method")
    for key in shown:
        table.add_column(METRICS[key].heading, justify="right")
    has_settings = any(score.setting is not None for score in scores)
    if has_settings:
        table.add_column("chosen", style="dim")
    for condition in _unique(score.condition for score in scores):
        block = [score for score in scores if score.condition == condition]
        methods = [score.method for score in block]
        values = {
            (s.method, key): s.metrics[key] for s in block for key in shown if key in s.metrics
        }
        best = {key: best_of(key, methods, key, values) for key in shown}
        for number, score in enumerate(block):
            cells = [_cell(values, score.method, key, key, best[key]) for key in shown]
            setting = [_setting(score)] if has_settings else []
            table.add_row(
                Text(condition if number == 0 else ""),
                Text(score.method),
                *cells,
                *setting,
                end_section=number == len(block) - 1,
            )


def _by_conditions(table: Table, scores: list[Score], shown: list[str], *, narrow: bool) -> None:
    """Conditions side by side, one block of methods for each metric.

    Many of them where it is `narrow`: the metric has a line of its own, and the unit stands once,
    so that room is left for the names of the methods.
    """
    conditions = _unique(score.condition for score in scores)
    narrow = narrow and len(conditions) > _MANY
    headings, unit = _without_unit(conditions) if narrow else (conditions, "")
    if narrow:
        table.padding = (0, 0, 0, 0)  # a blank between two columns is left
    else:
        table.add_column("")
    table.add_column(f"method, at {unit}" if unit else "method")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for key in shown:
        values = {(s.method, s.condition): s.metrics[key] for s in scores if key in s.metrics}
        methods = _unique(method for method, _ in values)
        if narrow:
            table.add_row(Text(METRICS[key].heading, style="underline"))
        for number, method in enumerate(methods):
            cells = [
                _cell(values, method, condition, key, best_of(key, methods, condition, values))
                for condition in conditions
            ]
            first = [] if narrow else [Text(METRICS[key].heading if number == 0 else "")]
            last = number == len(methods) - 1
            table.add_row(*first, Text(method), *cells, end_section=last)


def _without_unit(conditions: list[str]) -> tuple[list[str], str]:
    """("-8", "8"), "um" for ("-8 um", "8 um"); as they are where they do not share one."""
    parts = [condition.rpartition(" ") for condition in conditions]
    units = {unit for _, _, unit in parts}
    if len(units) > 1 or not all(number for number, _, _ in parts):
        return conditions, ""
    return [number for number, _, _ in parts], units.pop()


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def best_of(key: str, methods: list[str], column: str, values: Values) -> str | None:
    """The method that is best in `column` of a block; None where nothing can be said.

    Where neither much nor little is good, the best is the one nearest to the truth.
    """
    found = {
        m: values[m, column]
        for m in methods
        if m not in _ASIDE and not m.endswith(", uniform") and (m, column) in values
    }
    finite = {m: v for m, v in found.items() if math.isfinite(v)}
    better = METRICS[key].better
    if len(found) < 2 or not finite:
        return None
    if better == "high":
        return max(finite, key=lambda m: finite[m])
    if better == "low":
        return min(finite, key=lambda m: finite[m])
    truths = [values[t, column] for t in _TRUTHS if (t, column) in values]
    if not truths or not all(v > 0 for v in (*truths, *finite.values())):
        return None
    return min(finite, key=lambda m: abs(math.log(finite[m] / truths[0])))


def _cell(values: Values, method: str, column: str, key: str, best: str | None) -> Text:
    value = values.get((method, column))
    if value is None:
        return Text("-", style="dim")
    if math.isfinite(value):
        text = f"{value:z.{METRICS[key].digits}f}"
    else:
        text = "wide" if "fwhm" in key else "none"
    return Text(text, style="bold" if method == best else "")


def _setting(score: Score) -> Text:
    if score.setting is None:
        return Text("")
    unit = "iterations" if score.method in _ITERATED else "px"
    return Text(f"{score.setting:g} {unit}")
