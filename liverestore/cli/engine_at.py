"""The other machine that restores a run, from the command line or the rig."""

from __future__ import annotations

from liverestore.errors import UserError
from liverestore.reference_schedule import ReferencePlan
from liverestore.rig import RigConfig
from liverestore.rig_server import is_text_surface
from liverestore.service.plan import FarMachine

__all__ = ["engine_server", "refuse_file", "refuse_references"]


def engine_server(rig: RigConfig, address: str | None, key: str | None) -> FarMachine | None:
    """What `--engine-at` and `--key` say, else the rig's [engine_server]; None: this machine.

    Raises `UserError` for an address or key that is none, for one without the other, and where
    this machine has no key itself.
    """
    from liverestore.transport.engine_desk import check_address
    from liverestore.transport.machine_keys import KeyFolder

    told = rig.engine_server
    if key is not None and address is None:
        raise UserError("--key: goes with --engine-at, which is missing")
    if address is None and told is not None:
        address, key = told.address, told.key
    if address is None:
        return None
    if key is None and told is not None and told.address == address:
        key = told.key
    if key is None:
        raise UserError(
            "--engine-at: needs --key, the line that `liverestore keys` prints on the engine's "
            "machine"
        )
    folder = KeyFolder()
    folder.own()
    return FarMachine(check_address(address), folder.find(key))


def refuse_file(server: FarMachine | None, dpm: str | None) -> None:
    """Raises `UserError` for a surface that is a file where it would have to travel."""
    if server is not None and dpm is not None and not is_text_surface(dpm):
        raise UserError(
            f"--dpm: got {dpm!r}, a file, which does not travel to an engine on another machine; "
            "give the surface as text, or restore on this machine"
        )


def refuse_references(server: FarMachine | None, references: ReferencePlan | None) -> None:
    """Raises `UserError` for reference shots where nobody would score them."""
    if server is not None and references is not None:
        raise UserError(
            "--reference-every: an engine on another machine is not scored, so that the light "
            "would be spent for nothing; restore on this machine, or leave it out"
        )
