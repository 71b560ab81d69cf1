"""What `doctor` says of a graphics card, and of TensorRT without one."""

import subprocess

import pytest

from liverestore.cli import machine_checks


@pytest.mark.parametrize(
    ("line", "installed", "state", "says"),
    [
        ("", ("tensorrt-rtx-cu13-libs",), "note", "TensorRT-RTX 1 can build plans for other"),
        ("", (), "note", "run on the processor"),
        ("NVIDIA RTX 4090, 581.2, 8.9", ("tensorrt-rtx-cu13-libs",), "ok", "with TensorRT-RTX 1"),
        ("NVIDIA RTX 4090, 581.2, 8.9", (), "note", "liverestore[tensorrt-cu13]"),
        ("NVIDIA T4, 550.1, 7.5", (), "note", "liverestore[tensorrt-cu12]"),
        ("NVIDIA H100, 581.2, 9.0", ("tensorrt-rtx-cu13-libs",), "note", "does not serve sm90"),
        ("NVIDIA H100, 581.2, 9.0", ("tensorrt",), "ok", "with TensorRT 1"),
        ("NVIDIA H100, 581.2, 9.0", ("torch", "onnx"), "ok", "is used through torch 1"),
        ("NVIDIA RTX 4090, 581.2, 8.9", ("torch", "onnx"), "note", "is used through torch 1"),
        ("NVIDIA H100, 581.2, 9.0\nNVIDIA T4, 581.2, 7.5", (), "note", "does not serve sm90"),
    ],
)
def test_the_card_and_what_uses_it(monkeypatch, line, installed, state, says):
    done = subprocess.CompletedProcess((), 0, stdout=line, stderr="")
    monkeypatch.setattr(machine_checks.shutil, "which", lambda name: "nvidia-smi")
    monkeypatch.setattr(machine_checks.subprocess, "run", lambda *_a, **_k: done)
    monkeypatch.setattr(machine_checks, "version", lambda name: "1" if name in installed else None)
    (finding,) = machine_checks.gpu()
    assert finding.state == state
    assert says in f"{finding.text} {finding.remedy}"
    assert not finding.essential
