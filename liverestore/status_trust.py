"""What a run can be told about what it judges of its results."""

from __future__ import annotations

import msgspec

from liverestore.trust.trust_map import MapKind

__all__ = ["SetTrustMap"]


class SetTrustMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Send a map of what can be believed along with the status, or (None) none."""

    kind: MapKind | None
