"""Frames of a real core say which objective its turret has in the light path."""

import msgspec
import pytest

from liverestore.camera.mm_core import load_core, release_core
from liverestore.camera.mm_objective import ObjectiveTags, turret_of
from liverestore.camera.open import open_source
from liverestore.rig import load_rig

CONFIGURATION = """\
Property,Core,Initialize,0
Device,Camera,DemoCamera,DCam
Device,Z,DemoCamera,DStage
Device,Turret,DemoCamera,DObjective
Property,Core,Initialize,1
Property,Core,Camera,Camera
Property,Core,Focus,Z
Property,Core,AutoShutter,0
Label,Turret,0,20x/0.75
Label,Turret,1,60x/1.2 W
Property,Turret,State,1
{sizes}"""
SIZES = """\
ConfigPixelSize,Res20x,Turret,Label,20x/0.75
PixelSize_um,Res20x,0.325
ConfigPixelSize,Res60x,Turret,Label,60x/1.2 W
PixelSize_um,Res60x,0.1083
"""


def rig_with(tmp_path, sizes=SIZES, turret="Turret"):
    file = tmp_path / "turret.cfg"
    file.write_text(CONFIGURATION.format(sizes=sizes).replace("Turret", turret))
    rig = load_rig("mmcore_demo")
    size = {"OnCameraCCDXSize": "128", "OnCameraCCDYSize": "96"}
    properties = {"Camera": {**rig.source.properties["Camera"], **size}}
    source = msgspec.structs.replace(
        rig.source, config_file=str(file), properties=properties, buffer_size_mb=16
    )
    return msgspec.structs.replace(
        rig, source=source, camera=msgspec.structs.replace(rig.camera, exposure_ms=5.0)
    )


def test_a_turret_turned_in_the_run_is_told_with_the_frames(tmp_path):
    source = open_source(rig_with(tmp_path))
    source.start()
    try:
        said = source.next_frame(5.0).header.metadata
        assert said["Objective-Label"] == "60x/1.2 W"
        assert float(said["PixelSizeUm"]) == pytest.approx(0.1083)
        source._core.set_property("Turret", "State", "0")
        for _ in range(400):
            said = source.next_frame(5.0).header.metadata
            if said["Objective-Label"] != "60x/1.2 W":
                break
        assert said["Objective-Label"] == "20x/0.75"
        assert float(said["PixelSizeUm"]) == pytest.approx(0.325)
    finally:
        source.stop()


def test_the_core_is_not_asked_for_every_frame(tmp_path):
    core = load_core(rig_with(tmp_path))
    now = [0.0]
    try:
        tags = ObjectiveTags(core, lambda: now[0])
        first = tags.read()
        core.set_property("Turret", "State", "0")
        assert tags.read() is first
        now[0] = 0.3
        assert tags.read()["Objective-Label"] == "20x/0.75"
    finally:
        release_core(core)


@pytest.mark.parametrize(("name", "turret"), [("TINosePiece", "TINosePiece"), ("Wheel", None)])
def test_without_pixel_sizes_the_name_tells_the_turret(tmp_path, name, turret):
    core = load_core(rig_with(tmp_path, sizes="", turret=name))
    try:
        assert turret_of(core) == turret
        said = ObjectiveTags(core, lambda: 0.0).read()
        assert said == ({"Objective-Label": "60x/1.2 W"} if turret else {})
    finally:
        release_core(core)
