"""The light path of a Micro-Manager core: configuration groups and presets as channels."""

from __future__ import annotations

from typing import Any

from liverestore.camera.mm_core import reason_of
from liverestore.errors import Failure, UserError
from liverestore.rig import RigConfig
from liverestore.rig_channels import ChannelConfig

__all__ = ["check_presets", "set_preset"]


def check_presets(core: Any, rig: RigConfig) -> None:
    """See that the core has the group and preset of each channel of `rig`.

    Raises `UserError` for the first that it has not, naming those that there are.
    """
    groups = tuple(core.get_available_config_groups())
    for number, channel in enumerate(rig.channels):
        if channel.group is None or channel.preset is None:
            continue
        where = f"rig {rig.origin or rig.name}: channels[{number}]"
        if channel.group not in groups:
            raise UserError(
                f"{where}.group: got {channel.group!r}, the configuration has "
                f"{', '.join(map(repr, groups)) or 'no groups'}; make it in Micro-Manager's main "
                "window and save the configuration"
            )
        presets = tuple(core.get_available_configs(channel.group))
        if channel.preset not in presets:
            raise UserError(
                f"{where}.preset: got {channel.preset!r}, the group {channel.group!r} has "
                f"{', '.join(map(repr, presets)) or 'no presets'}; choose one of them"
            )


def set_preset(core: Any, channel: ChannelConfig) -> None:
    """Set the light path for `channel` and wait until its devices are there.

    Raises `Failure` where a device does not obey: a frame would carry a wrong name.
    """
    if channel.group is None or channel.preset is None:
        return
    try:
        core.set_config(channel.group, channel.preset)
        core.wait_for_config(channel.group, channel.preset)
    except RuntimeError as error:
        raise Failure(
            f"channel {channel.name}: {channel.group} does not go to {channel.preset} "
            f"({reason_of(error)}); check that its devices are switched on"
        ) from None
