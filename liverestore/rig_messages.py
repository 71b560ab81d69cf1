"""What is wrong with a rig file, in one line for the person who wrote it.

Works from the types alone: the allowed values in a message are those that the struct
declares, so the two cannot drift apart.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

__all__ = ["broken_path", "is_deep", "numbers", "unknown_key", "wrong_value"]

Struct = type[msgspec.Struct]

_UNITS = {
    "_um_s": "um/s",
    "_mw_cm2": "mW/cm2",
    "_photons_per_ms": "photoelectrons/ms",
    "_e_per_count": "photoelectrons per count",
    "_nm": "nm",
    "_um": "um",
    "_ms": "ms",
    "_fps": "frames/s",
    "_mb": "MB",
    "_counts": "counts",
    "_e": "photoelectrons",
}


def unknown_key(data: dict[str, Any], root: Struct) -> str | None:
    """A line on the first key of `data` that `root` does not know, or None.

    "camera.exposure_s: unknown key; did you mean exposure_ms?"
    """
    for path, key, allowed in _unknown_keys(data, root, ""):
        near = difflib.get_close_matches(key, allowed, n=1)
        if near:
            return f"{path}{key}: unknown key; did you mean {near[0]}?"
        for field in msgspec.structs.fields(root):
            section = _struct_of(field.type)
            if section and key in section.__struct_fields__:
                return f"{path}{key}: unknown key here; it belongs into [{field.name}]"
        return f"{path}{key}: unknown key; allowed here: {', '.join(allowed)}"
    return None


def broken_path(data: dict[str, Any]) -> str | None:
    r"""A line on the first path of which TOML took backslashes for control characters, or None.

    "C:\temp\new.cfg" between double quotes is "C:", a tab, "emp", a new line and "ew.cfg".
    """
    for table, section in data.items():
        for key, value in section.items() if isinstance(section, dict) else ():
            named = table == "surfaces" or key in _PATHS
            if named and isinstance(value, str) and any(ord(letter) < 32 for letter in value):
                said = value.encode("unicode_escape").decode("ascii")
                return (
                    f"{table}.{key}: got {said}, in which a backslash and the letter after it "
                    "stand for one control character; write Windows paths with / or in "
                    "'single quotes'"
                )
    return None


_PATHS = ("mm_app_path", "config_file", "path", "maps")


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Path and value of every floating-point number in a parsed file."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner, path)
    elif isinstance(value, float):
        yield path, value


def wrong_value(message: str, data: dict[str, Any], root: Struct) -> str:
    """A line for a person out of msgspec's "Expected `x`, got `y` - at `$.a.b`".

    "optics.wavelength_nm: got 0.52, allowed is a number from 300 up to 1100; the unit
    is nm: did you mean 520?"
    """
    missing = re.search(r"missing required field `(\w+)`", message)
    located = re.search(r"`\$\.?([^`]*)`$", message)
    path = located.group(1) if located else ""
    if missing:
        name = f"{path}.{missing.group(1)}" if path else missing.group(1)
        return f"{name}: is missing; it has to be given"
    value: Any = data
    kind: inspect.Type = inspect.type_info(root)
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list):
            value = value[int(part)]
        kind = _inner(kind, part)
    return f"{path}: got {value!r}, allowed is {_describe(kind)}{_unit_hint(path, value, kind)}"


def _options(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return tuple(option for option in options if not isinstance(option, inspect.NoneType))


def _struct_of(annotation: Any) -> Struct | None:
    """The struct in an annotation such as `CameraConfig` or `SpecimenConfig | None`."""
    for option in _options(inspect.type_info(annotation)):
        if isinstance(option, inspect.StructType):
            return option.cls
    return None


def _list_of(annotation: Any) -> Struct | None:
    """The struct in an annotation such as `tuple[ChannelConfig, ...]`: a list of tables."""
    kind = inspect.type_info(annotation)
    if isinstance(kind, inspect.VarTupleType) and isinstance(kind.item_type, inspect.StructType):
        return kind.item_type.cls
    return None


def _inner(kind: inspect.Type, part: str) -> inspect.Type:
    """The type of member `part` of a value of type `kind`."""
    for option in _options(kind):
        if isinstance(option, inspect.StructType):
            for field in option.fields:
                if field.encode_name == part:
                    return field.type
        if isinstance(option, inspect.DictType):
            return option.value_type
        if isinstance(option, inspect.TupleType):
            return option.item_types[int(part)]
        if isinstance(option, inspect.VarTupleType):
            return option.item_type
    return kind


def _unknown_keys(
    data: dict[str, Any], struct: Struct, path: str
) -> Iterator[tuple[str, str, list[str]]]:
    """(path of the table, unknown key, keys allowed there), for every unknown key."""
    fields = {field.name: field.type for field in msgspec.structs.fields(struct)}
    fields.pop("origin", None)  # set by the reader, not by a file
    for key, value in data.items():
        if key not in fields:
            yield path, key, list(fields)
        elif isinstance(value, dict) and (inner := _struct_of(fields[key])):
            yield from _unknown_keys(value, inner, f"{path}{key}.")
        elif isinstance(value, list) and (inner := _list_of(fields[key])):
            for number, table in enumerate(value):
                if isinstance(table, dict):
                    yield from _unknown_keys(table, inner, f"{path}{key}[{number}].")


def _describe(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.UnionType):
        return " or ".join(_describe(option) for option in _options(kind))
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(repr(value) for value in kind.values)
    if isinstance(kind, inspect.FloatType | inspect.IntType):
        words = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
        bounds = [("above", kind.gt), ("from", kind.ge), ("below", kind.lt), ("up to", kind.le)]
        return " ".join(
            [words, *(f"{word} {bound:.10g}" for word, bound in bounds if bound is not None)]
        )
    if isinstance(kind, inspect.StructType | inspect.DictType):
        return "a table"
    if isinstance(kind, inspect.VarTupleType):
        return "a list of tables, each of which begins with its name in [[double brackets]]"
    if isinstance(kind, inspect.TupleType):
        return f"{len(kind.item_types)} values: [{', '.join(map(_describe, kind.item_types))}]"
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    return "text in quotes"


def _unit_hint(path: str, value: Any, kind: inspect.Type) -> str:
    """Names the unit of a field, and the number meant when it is a thousand off."""
    unit = next((unit for ending, unit in _UNITS.items() if path.endswith(ending)), None)
    if unit is None:
        return ""
    if isinstance(value, str):
        return f"; the unit is {unit}: write the number alone, without quotes and unit"
    if isinstance(value, int | float) and not isinstance(value, bool):
        for factor in (1000.0, 0.001):
            if _allows(kind, value * factor):
                return f"; the unit is {unit}: did you mean {value * factor:g}?"
    return f"; the unit is {unit}"


def _allows(kind: inspect.Type, value: float) -> bool:
    """Whether a number is inside bounds that are closed on both sides."""
    for option in _options(kind):
        if isinstance(option, inspect.FloatType):
            low = option.ge if option.ge is not None else option.gt
            high = option.le if option.le is not None else option.lt
            return low is not None and high is not None and low < value < high
    return False


def is_deep(data: object, levels: int = 20) -> bool:
    """Whether tables and lists lie within each other deeper than `levels`."""
    level = [data]
    for _ in range(levels):
        inner = [
            table.values() if isinstance(table, dict) else table
            for table in level
            if isinstance(table, dict | list)
        ]
        level = [value for values in inner for value in values]
    return bool(level)
