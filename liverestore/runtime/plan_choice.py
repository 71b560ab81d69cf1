"""The plan for a frame: one that was built ahead for such sizes, else the usual one."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec

from liverestore.model_spec import ModelSpec
from liverestore.runtime.build import BuiltPlan, PlanRequest, Sizes, identity_of, plan_for
from liverestore.runtime.plan_cache import (
    PlanIdentity,
    PlanRecord,
    find_plan,
    plan_folder,
    read_private,
)
from liverestore.runtime.tensorrt_library import library

__all__ = ["plan_for_frame"]


def plan_for_frame(spec: ModelSpec, request: PlanRequest, outer: tuple[int, int]) -> BuiltPlan:
    """A plan that takes frames of padded size `outer` (Y, X).

    Of the plans in the cache that fit `request` but for the sizes, the one whose usual size
    is nearest; where there is none, that of `request`, made larger if `outer` does not fit.
    Raises as `plan_for`.
    """
    wanted = identity_of(spec, request, library())
    folder = plan_folder()
    for identity in _near(wanted, outer):
        found = find_plan(identity, folder)
        if isinstance(found, tuple):
            path = folder / f"{identity.key()}.plan"
            return BuiltPlan(found[0], path, found[1], True, None)
    sizes = request.sizes
    high, wide = (max(a, b) for a, b in zip(sizes.largest, outer, strict=True))
    return plan_for(spec, replace(request, sizes=Sizes(sizes.least, sizes.usual, (high, wide))))


def _near(wanted: PlanIdentity, outer: tuple[int, int]) -> list[PlanIdentity]:
    """Identities in the cache that differ from `wanted` in sizes only and take `outer`."""
    fitting: list[tuple[float, PlanIdentity]] = []
    for file in plan_folder().glob("*.json"):
        text = read_private(file)
        if not isinstance(text, bytes):
            continue
        try:
            identity = msgspec.json.decode(text, type=PlanRecord).identity
        except (msgspec.DecodeError, RecursionError):
            # Whoever asks for that very plan is told of it and builds it anew.
            continue
        same = msgspec.structs.replace(identity, sizes=wanted.sizes) == wanted
        least, usual, largest = identity.sizes
        if same and all(a <= b <= c for a, b, c in zip(least, outer, largest, strict=True)):
            distance = sum(abs(math.log(a / b)) for a, b in zip(usual, outer, strict=True))
            fitting.append((distance, identity))
    return [identity for _, identity in sorted(fitting, key=lambda pair: pair[0])]
