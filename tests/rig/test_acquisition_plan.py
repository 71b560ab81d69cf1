"""What is to be acquired: options, lists of positions and useq sequences."""

import json

import pytest

from liverestore.acquisition_plan import AcquisitionPlan, channels_named, even_times
from liverestore.acquisition_positions import read_positions
from liverestore.acquisition_sequence import read_sequence
from liverestore.errors import UserError
from liverestore.rig_channels import ChannelConfig
from liverestore.writer.names import free_pairs

CHANNELS = (
    ChannelConfig(name="Nuclei", group="Channel", preset="DAPI", exposure_ms=10.0),
    ChannelConfig(name="GFP", group="Light", preset="blue"),
)


def pos_file(*stages):
    """A position list as Micro-Manager 2 saves it."""

    def position(label, devices):
        return {
            "DefaultXYStage": {"type": "STRING", "scalar": "XY"},
            "DefaultZStage": {"type": "STRING", "scalar": "Z"},
            "DevicePositions": {
                "type": "PROPERTY_MAP",
                "array": [
                    {
                        "Device": {"type": "STRING", "scalar": name},
                        "Position_um": {"type": "DOUBLE", "array": um},
                    }
                    for name, um in devices.items()
                ],
            },
            "Label": {"type": "STRING", "scalar": label},
        }

    listed = {"type": "PROPERTY_MAP", "array": [position(*stage) for stage in stages]}
    return json.dumps({"encoding": "UTF-8", "format": "x", "map": {"StagePositions": listed}})


def test_positions_of_micro_manager(tmp_path):
    file = tmp_path / "list.pos"
    file.write_text(
        pos_file(("Pos0", {"XY": [1.5, -2.0], "Z": [30.0]}), ("Pos0", {"XY": [3.0, 4.0]})),
        encoding="utf-8",
    )
    positions, notes = read_positions([str(file), "7,8"])
    assert [(p.name, p.xy_um) for p in positions] == [
        ("Pos0", (1.5, -2.0)), ("Pos0_2", (3.0, 4.0)), ("p02", (7.0, 8.0)),
    ]  # fmt: skip
    assert notes == ("list.pos: positions of Z are left out: only the XY stage is moved",)


def test_positions_as_people_write_them(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("# mine\nX um, Y um\n1, 2, left\n\n3,4 # right\n", encoding="utf-8")
    # Only the first line may be a header.
    with pytest.raises(UserError, match=r"line 2: got 'X um, Y um'; allowed is X,Y"):
        read_positions([str(file)])
    file.write_text("X um, Y um\n1, 2, left\n\n3,4 # right\n", encoding="utf-8")
    positions, notes = read_positions([str(file), "-1,-2; 5,6,edge"])
    assert [(p.name, p.xy_um) for p in positions] == [
        ("left", (1, 2)), ("p01", (3, 4)), ("p02", (-1, -2)), ("edge", (5, 6)),
    ]  # fmt: skip
    assert notes == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has no positions"),
        ("1,2\n3;4\n", "line 2: got '3;4'"),
        ("{}", "no position list of Micro-Manager 2"),
        ('{"map": {"StagePositions": {"array": []}}}', "has no positions"),
        (pos_file(("Pos0", {"Z": [1.0]})), "no place of 'XY' in position 0"),
    ],
)
def test_lists_that_are_none(tmp_path, content, said):
    file = tmp_path / "list.txt"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=said) as raised:
        read_positions([str(file)])
    assert "\n" not in str(raised.value)


def test_files_of_positions_get_names_that_every_system_takes(tmp_path):
    pairs = free_pairs(tmp_path, ["a/b: c", "A_b c", "a-b-c", "µ"], "ome-tiff")
    assert [raw.name for raw, _ in pairs] == [
        "raw_a-b-c.ome.tif", "raw_A_b-c.ome.tif", "raw_a-b-c-2.ome.tif", "raw_µ.ome.tif",
    ]  # fmt: skip
    pairs[2][1].touch()
    again = free_pairs(tmp_path, ["a/b: c", "A_b c", "a-b-c", "µ"], "ome-tiff")
    assert again[3][0].name == "raw_µ_002.ome.tif"


def read(tmp_path, text, name="mda.yaml"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return read_sequence(file, CHANNELS)


def test_a_sequence_as_other_programs_write_it(tmp_path):
    from useq import MDASequence

    sequence = MDASequence(
        time_plan={"interval": {"seconds": 2.5}, "loops": 3},
        stage_positions=[{"x": 1, "y": 2, "name": "left"}, (3, 4, 7)],
        grid_plan={"rows": 1, "columns": 2, "fov_width": 10, "fov_height": 10},
        channels=["DAPI", {"config": "GFP", "exposure": 40}, {"config": "Cy5", "group": "C"}],
    )
    for name, text in (
        ("mda.yaml", sequence.yaml()),
        ("mda.json", sequence.model_dump_json(exclude_unset=True)),
    ):
        plan = read(tmp_path, text, name)
        assert plan.times_s == (0.0, 2.5, 5.0)
        assert [p.name for p in plan.positions] == ["left_00", "left_01", "p02", "p03"]
        assert [p.xy_um for p in plan.positions] == [(-4, 2), (6, 2), (-2, 4), (8, 4)]
        assert [(c.name, c.group, c.preset, c.exposure_ms) for c in plan.channels] == [
            ("Nuclei", "Channel", "DAPI", 10.0),
            ("GFP", "Light", "blue", 40.0),
            ("Cy5", "C", "Cy5", None),
        ]
        assert plan.notes == (
            f"{name}: the z of positions (7 um) is left out: planes are virtual and the focus "
            "drive never moves",
        )
        assert plan.exposures == 3 * 4 * 3


def test_phases_of_time(tmp_path):
    plan = read(
        tmp_path,
        "time_plan: [{interval: 1, loops: 3}, {interval: 10, loops: 3}]\nchannels: [DAPI]\n",
    )
    assert plan.times_s == (0.0, 1.0, 2.0, 12.0, 22.0)
    assert [p.xy_um for p in plan.positions] == [None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("z_plan: {range: 4, step: 1}", r"got z_plan; planes are virtual .* --zstack"),
        ("autofocus_plan: {autofocus_motor_offset: 1, axes: [p]}", "got autofocus_plan"),
        ("channels: [{config: DAPI, z_offset: 1}]", "channel DAPI: got z_offset"),
        ("channels: [{config: DAPI, acquire_every: 2}]\ntime_plan: {interval: 1, loops: 4}",
         "so some time points or channels are left out"),
        ("axis_order: ptc\ntime_plan: {interval: 1, loops: 2}\nstage_positions: [{x: 0}, {x: 1}]",
         "time is not the outermost axis"),
        ("grid_plan: {rows: 2, columns: 2}", "fov_width and fov_height are missing"),
        ("stage_positions: [{x: 1, y: 2, sequence: {z_plan: {range: 2, step: 1}}}]",
         "a position has a z_plan"),
        ("time_plan: 5", r"time_plan.*got 5"),
        ("timeplan: {interval: 1, loops: 2}", "got 'timeplan', which a useq.MDASequence does not"),
        ("a: [", "is no valid YAML"),
        ("- 1", "got no mapping"),
    ],
)  # fmt: skip
def test_sequences_that_cannot_be_taken_are_one_line(tmp_path, text, said):
    with pytest.raises(UserError, match=said) as raised:
        read(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_files_that_are_no_sequences(tmp_path):
    with pytest.raises(UserError, match=r"allowed are \.yaml and \.json"):
        read(tmp_path, "", "mda.toml")
    with pytest.raises(UserError, match="is no valid JSON"):
        read(tmp_path, "{", "mda.json")
    with pytest.raises(UserError, match="cannot be read"):
        read_sequence(tmp_path / "none.yaml", ())


def test_numbers_out_of_range():
    for count, interval_s in ((0, 1.0), (2, -1.0), (2, float("nan"))):
        with pytest.raises(UserError, match=r"--time-points: got 0|--interval: got"):
            even_times(count, interval_s)
    with pytest.raises(UserError, match=r"got 1,000,001 frames .* split the acquisition"):
        AcquisitionPlan(even_times(1_000_001, 0.0))
    for text, said in (("", "got no name"), ("GFP,GFP", "twice"), ("Cy5", "rig r has Nuclei, GFP")):
        with pytest.raises(UserError, match=said):
            channels_named(text, CHANNELS, "r")
    assert [c.name for c in channels_named(" GFP,Nuclei", CHANNELS, "r")] == ["GFP", "Nuclei"]
