"""Put the figures of `liverestore bench --quality --json FILE` into docs/quality.md.

Those of `bench --refocus --json FILE` go to a place of their own there.

python benchmarks/quality_tables.py FILE [--without ENGINE ...]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from liverestore.quality.records import METRICS

DOCUMENT = Path(__file__).parents[1] / "docs" / "quality.md"
START, END = "<!-- tables -->", "<!-- end of tables -->"
STAGE_START, STAGE_END = "<!-- stage tables -->", "<!-- end of stage tables -->"


def _cell(metrics: dict[str, float | None], key: str) -> str:
    if key not in metrics:
        return ""
    value = metrics[key]
    if value is None:
        return "wide" if "fwhm" in key else "none"
    return f"{value:z.{METRICS[key].digits}f}"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * 2 + ["---:"] * (len(header) - 2), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _by_metrics(test: dict[str, Any], scores: list[dict[str, Any]]) -> list[str]:
    shown = [key for key in test["shown"] if any(key in s["metrics"] for s in scores)]
    header = ["", "method", *(METRICS[key].heading for key in shown)]
    rows, before = [], None
    for score in scores:
        name = "" if score["condition"] == before else score["condition"]
        before = score["condition"]
        rows.append([name, score["method"], *(_cell(score["metrics"], key) for key in shown)])
    return _table(header, rows)


def _by_conditions(test: dict[str, Any], scores: list[dict[str, Any]]) -> list[str]:
    conditions = list(dict.fromkeys(score["condition"] for score in scores))
    values = {(score["method"], score["condition"]): score["metrics"] for score in scores}
    rows = []
    for key in test["shown"]:
        methods = dict.fromkeys(s["method"] for s in scores if key in s["metrics"])
        for number, method in enumerate(methods):
            cells = [_cell(values.get((method, c), {}), key) for c in conditions]
            rows.append([METRICS[key].heading if number == 0 else "", method, *cells])
    return _table(["", "method", *conditions], rows)


def main() -> None:
    """Replace the tables of the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--without", action="append", default=[], metavar="ENGINE")
    chosen = parser.parse_args()
    answer = json.loads(chosen.file.read_text(encoding="utf-8"))
    hidden = {
        *chosen.without,
        *(f"{name}, {more}" for name in chosen.without for more in ("uniform", "wrong side")),
    }
    engines = [e for e in answer["engines"] if e["name"] not in hidden]
    named = ", ".join(f"{e['name']} {e['version']} ({e['runtime']})" for e in engines)
    text = [f"liverestore {answer['liverestore']}, {answer['measured_utc'][:10]}: {named}."]
    for test in answer["tests"]:
        scores = [s for s in test["scores"] if s["method"] not in hidden]
        if {s["method"] for s in scores} <= {"frame as recorded"}:
            continue
        lay_out = _by_metrics if test["columns"] == "metrics" else _by_conditions
        title = test["title"][0].upper() + test["title"][1:]
        text += ["", f"### {title}", "", *lay_out(test, scores)]
    document = DOCUMENT.read_text(encoding="utf-8")
    by_stage = answer["tests"][0]["key"].startswith("refocus-by-stage")
    start, end = (STAGE_START, STAGE_END) if by_stage else (START, END)
    before, rest = document.split(start)
    after = rest.split(end)[1]
    block = "\n".join([start, "", *text, "", end])
    DOCUMENT.write_text(f"{before}{block}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
