"""Ctrl-C and Ctrl-Break of a console of Windows, which reach every process in it."""

import ctypes
import functools
import os
import signal
import sys
import threading

import fake_processes as fake
import pytest

from liverestore.cli.interrupt import ended_by_sigterm
from liverestore.rig import RigConfig, SourceConfig, SpecimenConfig
from liverestore.service import child, ending_signals
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.supervisor import Supervisor
from liverestore.training import low_priority
from liverestore.transport.endpoint import PrivateEndpoints

RIG = RigConfig(name="fake", source=SourceConfig(kind="simulated"), specimen=SpecimenConfig())


class Kernel:
    """kernel32 as far as it is used: its functions note what they are called with."""

    def __init__(self):
        self.calls = []
        for name in ("SetConsoleCtrlHandler", "GetCurrentProcess", "SetPriorityClass"):
            setattr(self, name, functools.partial(self._called, name))

    def _called(self, name, *arguments):
        self.calls.append((name, *arguments))
        return -1 if name == "GetCurrentProcess" else 1


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, **_options: kernel, raising=False)
    # Neither is there on Windows.
    monkeypatch.delattr(signal, "pthread_sigmask", raising=False)
    monkeypatch.delattr(os, "sched_setscheduler", raising=False)
    return kernel


@pytest.fixture(autouse=True)
def hangup(monkeypatch):
    """Windows has none."""
    monkeypatch.setattr(ending_signals, "_HANGUP", None)


@pytest.fixture
def ctrl_break(monkeypatch):
    """A signal that stands for Ctrl-Break, which other systems do not have."""
    if not hasattr(signal, "SIGBREAK"):
        monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    before = signal.getsignal(signal.SIGBREAK)
    yield signal.SIGBREAK
    signal.signal(signal.SIGBREAK, before)


def test_a_child_is_started_deaf_to_ctrl_c_and_the_parent_hears_it_again(kernel):
    with ending_signals.deaf_to_ctrl_c():
        assert kernel.calls == [("SetConsoleCtrlHandler", None, True)]
    assert kernel.calls[1:] == [("SetConsoleCtrlHandler", None, False)]


def test_the_parent_hears_ctrl_c_again_when_a_child_cannot_be_started(kernel):
    with pytest.raises(OSError, match="no memory"), ending_signals.deaf_to_ctrl_c():
        raise OSError("no memory")
    assert kernel.calls[-1] == ("SetConsoleCtrlHandler", None, False)


def test_a_training_beside_live_gives_way(kernel):
    assert low_priority.give_way() == "idle priority class"
    assert kernel.calls[-1] == ("SetPriorityClass", -1, 0x40)
    # A handle has 64 bits there; untold, ctypes passes 32.
    assert kernel.GetCurrentProcess.restype is ctypes.c_void_p
    assert kernel.SetPriorityClass.argtypes[0] is ctypes.c_void_p


def test_a_process_of_a_run_ignores_ctrl_break_and_ends_when_it_is_told_to(ctrl_break):
    """Its default is to end at once, with the file open and the shutter too."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop = threading.Event()
    try:
        child._listen_to_signals(stop)
        for number in (signal.SIGINT, ctrl_break):
            assert signal.getsignal(number) is signal.SIG_IGN
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_without_masks_of_signals_a_process_ignores_ctrl_c_all_the_same(kernel):
    before = signal.getsignal(signal.SIGINT)
    try:
        ending_signals.hear_ctrl_c_no_more()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_break_ends_a_run_in_order(ctrl_break):
    """As Ctrl-C does: the supervisor tells its processes, which close what they hold."""

    def pressed(status):
        if status.state == "running":
            signal.raise_signal(ctrl_break)

    with PrivateEndpoints() as endpoint:
        ends = RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored"))
        plan = RunPlan(rig=RIG, engine="mean5", endpoints=ends)
        result = Supervisor(plan, {"capture": fake.capture}, on_status=pressed).run()
    assert result.interrupted
    assert result.failure is None
    assert result.capture.phase == "ended"


def test_ctrl_break_ends_a_measurement_as_ctrl_c_does(ctrl_break):
    before = signal.getsignal(ctrl_break)
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        signal.raise_signal(ctrl_break)
    assert signal.getsignal(ctrl_break) is before


def test_where_there_is_no_ctrl_break_and_no_hangup_two_signals_end_a_program(monkeypatch):
    monkeypatch.delattr(signal, "SIGBREAK", raising=False)
    assert ending_signals.ending_signals() == (signal.SIGINT, signal.SIGTERM)
