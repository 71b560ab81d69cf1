"""`liverestore engines add` and `remove`: models of the BioImage Model Zoo, and our own."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from liverestore.cli.engine_test import Outcome, keeps_scale, read_tensor, run_test
from liverestore.errors import LiverestoreError, UserError
from liverestore.file_moves import remove, rename
from liverestore.model_spec import BUILT_IN, ModelSpec, find_engine
from liverestore.paths import engine_folders, replace_file, shipped, user_data
from liverestore.zoo_card import ZooCard, read_zoo_card
from liverestore.zoo_files import Part, Tolerance
from liverestore.zoo_model import zoo_model
from liverestore.zoo_package import (
    MAX_PACKAGE_BYTES,
    Source,
    card_name,
    digest,
    open_package,
    read_tree,
    take,
)
from liverestore.zoo_record import RECORD_FILE, Checked, is_zoo_card
from liverestore.zoo_values import fixed_range

__all__ = ["Added", "add_engine", "remove_engine"]

_LONGEST_NAME = 60


@dataclasses.dataclass(frozen=True, slots=True)
class Added:
    """What was installed, and what a person should know of it."""

    spec: ModelSpec
    outcome: Outcome
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True)
class _Draft:
    """A package in a folder of its own that nobody sees yet."""

    folder: Path
    place: str
    left: int
    """Bytes that may still come."""

    def get(self, source: Source, part: Part) -> Path:
        """Copy a file, checked against its sha256 where the card states it."""
        file = take(source, part.source, self.folder, self.place, left=self.left)
        self.left -= file.stat().st_size
        if part.sha256 is not None and digest(file) != part.sha256.lower():
            raise UserError(
                f"{self.place}: {file.name} has the sha256 {digest(file)[:12]}..., but its card "
                f"says {part.sha256[:12]}...; download the package again"
            )
        return file


def add_engine(path: Path, name: str | None = None, *, replace: bool = False) -> Added:
    """Install the package at `path` (a folder, its card or a .zip) as an engine of the user's.

    Its test input is put through the runtime here and compared with its test output first: a
    model that gives something else is refused with the figures, and so is one that does not make
    one picture of one picture. Nothing is left behind then. Raises `UserError` and `Failure`.
    """
    root = user_data() / "engines"
    with open_package(path) as source, _workplace(root) as work:
        draft = _Draft(Path(work) / "package", str(path), MAX_PACKAGE_BYTES)
        draft.folder.mkdir()
        draft.get(source, Part(card_name(source, str(path)), None)).rename(
            draft.folder / "rdf.yaml"
        )
        card = read_tree(draft.folder / "rdf.yaml", str(path))
        name = _free_name(name or _name_of(card, path), root, replace=replace)
        if is_zoo_card(card):
            found, outcome, notes = _checked_zoo(card, draft, source, name)
        else:
            found, outcome, notes = _checked_own(card, draft, source)
        for extra in ("README.md", "LICENSE"):
            if extra in source.names() and not (draft.folder / extra).exists():
                draft.get(source, Part(extra, None))
        if not outcome.passed:
            raise UserError(
                f"{path}: does not do here what it did for its authors: {outcome.words()}, on "
                f"{outcome.runtime}; it is not installed"
            )
        if found is not None:
            replace_file(draft.folder / RECORD_FILE, msgspec.json.encode(found))
        _take_place(draft.folder, root / name, Path(work))
    return Added(find_engine(name), outcome, notes)


def remove_engine(name: str) -> Path:
    """Delete the user's own engine `name`; where it was. Raises `UserError` for any other."""
    root = user_data() / "engines"
    # Of the names that are there, so that no name leads out of the folder.
    if name not in _own_names(root):
        where = (
            "is shipped" if (shipped("engines") / name).is_dir() or name in BUILT_IN else "is not"
        )
        raise UserError(
            f"engine '{name}': {where} among your own in {root}; allowed are "
            f"{', '.join(_own_names(root)) or 'none, since there are none'}"
        )
    remove(root / name)
    return root / name


def _own_names(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


# -- checking ---------------------------------------------------------------------------

_Found = tuple[Checked | None, Outcome, list[str]]


def _checked_zoo(card: Any, draft: _Draft, source: Source, name: str) -> _Found:
    read = read_zoo_card(card, draft.place)
    weights = draft.get(source, read.weights)
    if read.more_weights is not None:
        draft.get(source, read.more_weights)
    given = read_tensor(draft.get(source, read.test_input), draft.place)
    expected = read_tensor(draft.get(source, read.test_output), draft.place)
    kept = keeps_scale(given, expected)
    zoo = zoo_model(read, keeps_scale=kept, brightest=float(given.max()))
    spec = ModelSpec(
        name=name,
        task="restore",
        version=read.version,
        description=read.description,
        weights=weights,
        sha256=digest(weights),
        domain="counts",
        zoo=zoo,
        folder=draft.folder,
    )
    outcome = _run(spec, given, expected, read.tolerance, draft.place)
    of_input = not outcome.passed and len(read.before) > 1
    if of_input:
        # A card of several steps can be read in two ways; its test tensors tell which is meant.
        other = dataclasses.replace(spec, zoo=dataclasses.replace(zoo, of_input=True))
        second = _run(other, given, expected, read.tolerance, draft.place)
        of_input = second.passed
        spec, outcome = (other, second) if of_input else (spec, outcome)
    stated = read.tolerance
    found = Checked(
        card_sha256=digest(draft.folder / "rdf.yaml"),
        weights_sha256=spec.sha256,
        runtime=outcome.runtime,
        largest_difference=outcome.largest,
        off_per_million=outcome.off_per_million,
        tolerance=f"{stated.absolute:g} + {stated.relative:g} of the value, "
        f"{stated.off_per_million:g} of a million values may be off",
        keeps_scale=kept,
        of_input=of_input,
        test_low=float(given.min()),
        test_high=float(given.max()),
    )
    return found, outcome, _notes(read, spec, found)


def _checked_own(card: Any, draft: _Draft, source: Source) -> _Found:
    """A package that `liverestore train` wrote, here or elsewhere."""
    parts = []
    try:
        for entry in (card["weights"]["onnx"], card["inputs"][0]["test_tensor"],
                      card["outputs"][0]["test_tensor"]):  # fmt: skip
            source_name, stated = entry["source"], entry.get("sha256")
            if not isinstance(source_name, str) or not isinstance(stated, str | None):
                raise TypeError("a name of a file")
            parts.append(Part(source_name, stated))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(
            f"{draft.place}: its card lacks {error}; allowed are models of the BioImage Model Zoo "
            "with ONNX weights, a test input and a test output"
        ) from error
    _, given_file, expected_file = (draft.get(source, part) for part in parts)
    given, expected = (read_tensor(file, draft.place) for file in (given_file, expected_file))
    return None, _run(find_engine(str(draft.folder)), given, expected, Tolerance(), draft.place), []


def _run(spec: ModelSpec, given: Any, expected: Any, tolerance: Tolerance, place: str) -> Outcome:
    try:
        return run_test(spec, given, expected, tolerance)
    except LiverestoreError as error:
        raise UserError(f"{place}: {error}; it is not installed") from error


def _notes(card: ZooCard, spec: ModelSpec, found: Checked) -> list[str]:
    assert spec.zoo is not None, "asked only of models of the zoo"
    notes = []
    if spec.zoo.values == "counts":
        notes.append("counts in, counts out: what leaves is on the scale of the frames")
    else:
        notes += [f"{word}; it is said beside every frame" for word in _about_values(spec)]
    if fixed_range(card.before):
        notes.append(
            f"it does not scale frames; its test picture has values from {found.test_low:g} to "
            f"{found.test_high:g}: frames should be like that"
        )
    if 0 in card.step_px:
        y, x = card.least_px
        notes.append(f"its network takes {y}x{x} pixels only: frames go through it in tiles")
    if card.halo_px is None:
        notes.append(
            f"its card states no halo: tiles, where needed, overlap by {spec.zoo.halo_px} px"
        )
    if spec.zoo.cpu_only is not None:
        notes.append(f"runs on the processor: {spec.zoo.cpu_only}")
    if card.license:
        notes.append(f"its license is {card.license}")
    return notes


def _about_values(spec: ModelSpec) -> tuple[str, ...]:
    assert spec.zoo is not None, "asked only of models of the zoo"
    return spec.zoo.warnings_for(np.zeros((1, 1), np.uint16))


# -- names and places -------------------------------------------------------------------


def _workplace(root: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=root, prefix=".adding-")
    except OSError as error:
        raise UserError(f"{root}: cannot be written to ({error.strerror})") from error


def _name_of(card: Any, path: Path) -> str:
    told = card.get("name") if isinstance(card, dict) else None
    for text in (told, path.stem):
        name = re.sub(r"[^a-z0-9]+", "-", str(text or "").lower())[:_LONGEST_NAME].strip("-")
        if name:
            return name
    return "engine"


def _free_name(name: str, root: Path, *, replace: bool) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name) or name.endswith("."):
        raise UserError(
            f"--name {name!r:.90}: allowed are letters, digits, dots and dashes, up to 80"
        )
    others = [folder for folder in engine_folders() if folder != root]
    if name in BUILT_IN or any((folder / name).exists() for folder in others):
        raise UserError(f"engine '{name}': is shipped under that name; give another with --name")
    if (root / name).exists() and not replace:
        raise UserError(
            f"engine '{name}': is installed already; replace it with --force, or give another name "
            "with --name"
        )
    return name


def _take_place(new: Path, target: Path, work: Path) -> None:
    try:
        if target.exists():
            rename(target, work / "replaced")
        rename(new, target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror})") from error
