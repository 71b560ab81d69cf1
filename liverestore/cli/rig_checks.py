"""What the optics of the user's own rigs allow."""

from __future__ import annotations

from liverestore.cli.finding import Finding
from liverestore.errors import LiverestoreError
from liverestore.paths import shipped
from liverestore.rig import list_rigs, load_rig
from liverestore.rig_optics import optics_of
from liverestore.sign_of_z import sign_report

__all__ = ["sign_of_z"]


def sign_of_z() -> list[Finding]:
    """For each rig of the user's with all of its optics, whether one frame tells +z from -z.

    Rigs that cannot be read are told of by another check, and those that state no optics are
    none to refocus with.
    """
    found = []
    for name, file in list_rigs().items():
        if file.parent == shipped("hardware_configs"):
            continue
        try:
            optics = optics_of(load_rig(file))
        except LiverestoreError:
            continue
        report = sign_report(optics)
        found.append(
            Finding(
                name="sign of z",
                state="ok" if report.told_um else "note",
                text=f"{name}: {report.sentence}",
                remedy=None
                if report.told_um
                else f"measure the objective: liverestore calibrate --rig {name} --psf STACK; or "
                f"take two planes: liverestore sign --rig {name} FRAME1 FRAME2",
                essential=False,
            )
        )
    return found
