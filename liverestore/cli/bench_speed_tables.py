"""Tables of the bench for speed: ratios first, then frames and milliseconds."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liverestore.speed.records import GpuAnswer, PeerRow, SpeedAnswer, SpeedRow, Timing

__all__ = ["show_speed"]

_SHORT = {
    "onnxruntime": "ONNX RT",
    "torch.compile": "compile",
    "torch.compile cudagraphs": "graphs",
}
_STAGES = ("in", "compute", "out", "around")


def show_speed(answer: SpeedAnswer, console: Console) -> None:
    """Print everything that was measured, what it means, and on what."""
    if answer.rows:
        console.print(_ratios(answer))
        console.print(
            Text(
                "Rate of the whole pipeline, counts in to counts out, as a multiple of the rate of "
                "the bare network in each runtime: own (the same runtime and precision alone) "
                "and others; above 1 the pipeline is faster. Medians of rounds in turns. peak: "
                "share of the matrix products per second that this device reached.",
                style="dim",
            )
        )
        console.print()
        console.print(_times(answer))
        console.print(
            Text(
                "ms of a frame: in (stabilise, pad or copy to the device), compute, out (invert, "
                "crop or copy back), medians. floor: convolutions at the measured peak; traffic: "
                "their memory at the measured bandwidth, if no cache held any of it.",
                style="dim",
            )
        )
    if answer.gpu is not None:
        _show_gpu(answer.gpu, console)
    for row in answer.rows:
        for peer in row.peers:
            if peer.missing is not None:
                line = f"{row.engine} {_edges(row)}, {peer.name}: {peer.missing}"
                console.print(Text(line, style="yellow"))
    for reason in answer.left_out:
        console.print(Text(f"left out: {reason}", style="yellow"))
    for line in _machine(answer):
        console.print(Text(line, style="dim"))


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)


def _edges(row: SpeedRow) -> str:
    height, width = row.shape
    return f"{height}" if height == width else f"{height}x{width}"


def _names(answer: SpeedAnswer) -> list[tuple[str, str]]:
    """Name and precision of every peer that is nobody's own runtime, in order of appearance."""
    found: dict[tuple[str, str], None] = {}
    for row in answer.rows:
        for peer in row.peers:
            if not peer.bare and peer.name != "openvino" and not peer.name.endswith(" loop"):
                found[peer.name, peer.precision] = None
    return list(found)


def _ratios(answer: SpeedAnswer) -> Table:
    table = _table()
    table.add_column("engine", overflow="fold")
    table.add_column("px", justify="right", no_wrap=True)
    table.add_column("on", no_wrap=True)
    table.add_column("own", justify="right", no_wrap=True)
    names = _names(answer)
    for name, precision in names:
        table.add_column(f"{_SHORT.get(name, name)} {precision}", justify="right")
    table.add_column("peak", justify="right", no_wrap=True)
    table.add_column("fps", justify="right", no_wrap=True)
    for row in answer.rows:
        own = next((peer for peer in row.peers if peer.bare), None)
        others = {(peer.name, peer.precision): peer for peer in row.peers}
        share = None if row.floor is None else row.floor.share_of_peak
        rate = row.overlapped or row.pipeline
        table.add_row(
            Text(row.engine),
            _edges(row),
            Text(f"{row.runtime.split()[0]} {row.precision}"),
            _ratio(own),
            *(_ratio(others.get(key)) for key in names),
            "-" if share is None else f"{100 * share:.0f} %",
            "-" if rate is None else _rate(rate),
        )
    return table


def _ratio(peer: PeerRow | None) -> str:
    return "-" if peer is None or peer.ratio is None else f"{peer.ratio.median:.2f}"


def _rate(timing: Timing) -> str:
    return f"{timing.fps:.1f}" if timing.fps < 100 else f"{timing.fps:.0f}"


def _times(answer: SpeedAnswer) -> Table:
    table = _table()
    table.add_column("engine", overflow="fold")
    table.add_column("px", justify="right", no_wrap=True)
    table.add_column("on", no_wrap=True)
    for heading in ("p50", "p95", "p99", *_STAGES[:3], "floor", "traffic", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in answer.rows:
        floor = row.floor
        memory = row.gpu_bytes if row.gpu_bytes is not None else row.rss_growth_bytes
        table.add_row(
            Text(row.engine),
            _edges(row),
            Text(row.precision),
            *_percentiles(row.pipeline),
            *(_ms(row.stages[s].p50_ms if s in row.stages else None) for s in _STAGES[:3]),
            _ms(None if floor is None else floor.compute_ms),
            _ms(None if floor is None else floor.traffic_ms),
            "-" if memory is None else f"{memory / 1e6:.0f}",
        )
    return table


def _percentiles(timing: Timing | None) -> tuple[str, str, str]:
    if timing is None:
        return "-", "-", "-"
    return _ms(timing.p50_ms), _ms(timing.p95_ms), _ms(timing.p99_ms)


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _show_gpu(gpu: GpuAnswer, console: Console) -> None:
    console.print()
    for word in gpu.runtimes:
        what = "takes it" if word.accepts else word.reason or "refuses it"
        console.print(Text(f"{word.runtime}, {word.engine}: {what}"))
    for name, timing in gpu.live.items():
        console.print(
            Text(
                f"capture to result at 1024x1024, {name}: p50 {timing.p50_ms:.1f} ms, "
                f"p95 {timing.p95_ms:.1f} ms (aim: under 10 ms)"
            )
        )
    for name, timing in gpu.stack_21_planes.items():
        console.print(
            Text(
                f"21 planes of 1024x1024, {name}: {timing.p50_ms:.0f} ms a stack "
                "(aim: under 100 ms)"
            )
        )
    into, out = gpu.transfer_in_bytes_per_s, gpu.transfer_out_bytes_per_s
    if into is not None and out is not None:
        console.print(Text(f"to the device {into / 1e9:.0f} GB/s, back {out / 1e9:.0f} GB/s"))


def _machine(answer: SpeedAnswer) -> list[str]:
    machine = answer.machine
    peaks = ", ".join(
        f"{peak.flop_per_s / 1e12:.3g} TFLOP/s {peak.precision}" for peak in answer.peaks
    )
    memory = answer.bandwidth_bytes_per_s
    load = machine.load_before
    return [
        f"{machine.gpu or machine.processor}, {machine.cores} cores, {machine.system}"
        + ("" if load is None else f"; load before {load:g}"),
        "peak "
        + (peaks or "not measured")
        + ("" if memory is None else f"; memory {memory / 1e9:.0f} GB/s"),
        ", ".join(f"{name} {version}" for name, version in answer.versions.items()),
    ]
