"""One series that looks for the exposure, from the question to the number in the rig."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from liverestore.camera.open import open_source
from liverestore.cli.calibration_file import Target, target_of
from liverestore.cli.exposure_keep import keep_exposure, kept_in
from liverestore.cli.exposure_plan import plan_within
from liverestore.cli.interrupt import ended_by_sigterm
from liverestore.dose_account import account_file, open_account
from liverestore.dose_meter import DoseBudget
from liverestore.errors import LiverestoreError, UserError
from liverestore.exposure_advice import Advice
from liverestore.exposure_fidelity import Fidelity
from liverestore.exposure_quality import Quality
from liverestore.exposure_series import LEAST_ROUNDS, SHORTEST_SHARE, SeriesPlan
from liverestore.exposure_words import (
    Spent,
    advice_lines,
    advice_record,
    advice_result,
    doubt_text,
)
from liverestore.restore import restore
from liverestore.rig import RigConfig
from liverestore.rig_camera import camera_of, missing_camera_numbers
from liverestore.rig_channels import named_channel
from liverestore.rig_followed import refuse_followed
from liverestore.rig_light import lamp_of
from liverestore.runtime.base import whole_of
from liverestore.runtime.table import open_runtime
from liverestore.service.exposure_run import ExposureRun
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.report import check_report, write_report

if TYPE_CHECKING:
    from liverestore.camera.source import FrameSource, SourceInfo
    from liverestore.camera_model import CameraModel
    from liverestore.model_spec import ModelSpec
    from liverestore.runtime.base import InferenceRuntime
    from liverestore.status_exposure import ExposureResult

__all__ = ["ExposureJob", "Request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    quality: Quality
    present_ms: float | None = None
    shortest_ms: float | None = None
    channel: str | None = None
    max_dose_j_cm2: float | None = None
    report: Path | None = None
    plot: Path | None = None
    save: Path | None = None
    """Folder of the sample: its account of light, the numbers and the curve."""
    write: bool = False
    out: Path | None = None
    yes: bool = False


class ExposureJob:
    """Opens the camera of `rig`, takes the series, tells the advice and writes it if asked."""

    def __init__(self, rig: RigConfig, spec: ModelSpec, request: Request, console: Console) -> None:
        """Checks what can be checked without light. Raises `UserError`."""
        self._whole_rig, self._rig, self._spec = rig, _of_channel(rig, request.channel), spec
        self._request, self._console = request, console
        refuse_followed(rig.name, rig.source.kind)
        if rig.source.kind == "replay":
            raise UserError(
                f"rig {rig.name}: replays a movie, whose exposure is past; name a rig of a camera"
            )
        no_counts = "" if spec.counts_out else ", and gives no counts"
        if spec.task != "denoise" or not spec.counts_out:
            raise UserError(
                f"engine '{spec.name}': is for {spec.task}{no_counts}; its pictures differ from "
                "any exposure of this microscope by design, so that none tells how good they "
                "are: choose an engine that denoises"
            )
        camera = camera_of(rig.camera)
        if camera is None:
            raise UserError(
                f"rig {rig.name}: leaves out camera.{missing_camera_numbers(rig.camera)[0]}; "
                "measure the camera first: liverestore calibrate --rig"
            )
        self._camera: CameraModel = camera
        self._lamp = lamp_of(
            self._rig.illumination,
            self._rig.channels,
            next((c.name for c in self._rig.channels), None),
        )
        limit = request.max_dose_j_cm2
        if limit is not None and (self._lamp.irradiance_mw_cm2 is None or not limit > 0):
            raise UserError(
                f"--max-dose: got {limit:g} J/cm2, allowed is more than 0, and the rig must say "
                "irradiance_mw_cm2; measure it at the sample, or leave the option out"
            )
        self._target = self._where_to_write()
        self._run: ExposureRun | None = None
        for path in (request.report, request.plot):
            if path is not None:
                check_report(path)
        self._reports = [path for path in (request.report,) if path is not None]
        self._plots = [path for path in (request.plot,) if path is not None]
        if request.save is not None:
            numbers, curve = kept_in(request.save)
            self._reports.append(numbers)
            self._plots.append(curve)

    def _where_to_write(self) -> Target | None:
        request = self._request
        if request.out is not None and not request.write:
            raise UserError("exposure: got --out without --set; give both to write a copy")
        if not request.write:
            return None
        return target_of(self._rig, request.out, force=request.out is None, with_maps=False)

    def run(self) -> None:
        """Raises `UserError` where the series supports no advice, and as the camera does."""
        try:
            advice, scores, spent = self._take()
        except (LiverestoreError, KeyboardInterrupt) as error:
            if self._run is not None and self._run.shots:
                self._say(self._cut_short(self._run, back=isinstance(error, KeyboardInterrupt)))
            raise
        self._tell(advice, scores, spent)

    def _take(self) -> tuple[Advice, tuple[Fidelity, ...], Spent]:
        runtime = open_runtime(self._spec)
        with ExitStack() as ending:
            ending.callback(runtime.close)
            ending.enter_context(ended_by_sigterm())
            source = open_source(self._rig)
            # Closes the shutter as well.
            ending.callback(source.stop)
            info = source.start()
            folder = self._request.save
            account = account_file(self._rig.name, folder)
            own = self._rig.illumination
            budget = DoseBudget(own.budget_j_cm2, own.session_budget_j_cm2)
            light = LightKeeper(
                open_account(account, budget=budget, expires=folder is None),
                self._rig,
                account=account,
            )
            ending.callback(self._end_light, light)
            light.begin(source, info)
            plan = self._plan(info, light.meter.left_j_cm2)
            self._ask_for_light(plan)
            run = self._run = self._series(source, plan, runtime, light)
            run.before_ms = info.exposure_ms
            advice, scores = self._taken(run)
        return advice, scores, self._spent(run)

    def _spent(self, run: ExposureRun) -> Spent:
        stays_on = self._rig.illumination.light_on == "live"
        return Spent(self._lamp, run.light_ms, run.shots, run.rounds, stays_on)

    def _cut_short(self, run: ExposureRun, *, back: bool) -> str:
        words = self._spent(run).words(run.light_ms)
        again = run.before_ms or run.plan.reference_ms
        return f"ended early: {run.shots} exposures, {words}, were spent" + (
            f"; the exposure is {again:g} ms again" if back else ""
        )

    def _end_light(self, light: LightKeeper) -> None:
        light.end()
        light.save()
        for notice in light.notices:
            self._console.print(Text(notice, style="yellow"))

    def _plan(self, info: SourceInfo, left_j_cm2: float | None) -> SeriesPlan:
        first_ms = self._request.present_ms or info.exposure_ms
        if first_ms is None:
            raise UserError(f"camera {info.name}: tells no exposure; give --from MS")
        shortest_ms = self._request.shortest_ms or first_ms * SHORTEST_SHARE
        plan = SeriesPlan(first_ms, shortest_ms)
        return plan_within(plan, self._lamp, self._request.max_dose_j_cm2, left_j_cm2)

    def _ask_for_light(self, plan: SeriesPlan) -> None:
        words = Spent(self._lamp, 0.0, 0, 0, light_stays_on=False).words
        levels = plan.exposures_ms
        least, most = (plan.light_ms(n) for n in (LEAST_ROUNDS, plan.rounds))
        self._say(f"asked: {self._request.quality.words}")
        self._say(
            f"plan: {len(levels)} exposures from {levels[0]:g} to {levels[-1]:g} ms between "
            f"references of {plan.reference_ms:g} ms, {LEAST_ROUNDS} rounds or as many as it "
            f"takes, {plan.rounds} at most"
        )
        question = (
            f"This takes {words(least)} at least, and at most {words(most)}; keep the sample and "
            "the focus where they are. Go on?"
        )
        if self._request.yes:
            self._say(question.removesuffix(" Go on?"))
            return
        try:
            agreed = typer.confirm(question, default=True)
        except typer.Abort:
            raise UserError(
                "exposure: got no answer; answer at a terminal, or give --yes"
            ) from None
        if not agreed:
            raise UserError("exposure: stopped as you said; no light was spent")

    def _series(
        self,
        source: FrameSource,
        plan: SeriesPlan,
        runtime: InferenceRuntime,
        light: LightKeeper,
    ) -> ExposureRun:
        whole, camera = whole_of(runtime), self._camera
        return ExposureRun(
            source,
            plan,
            lambda frame: restore(frame, runtime.spec, runtime.infer, camera, whole=whole),
            runtime.spec,
            lambda _frame: camera,
            light=light,
        )

    def _taken(self, run: ExposureRun) -> tuple[Advice, tuple[Fidelity, ...]]:
        console = Console(stderr=True)
        with Progress(
            TextColumn("exposing"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as progress:
            task = progress.add_task("", total=run.plan.shots(LEAST_ROUNDS))

            def on_shot(done: int) -> None:
                rounds = max(LEAST_ROUNDS, run.rounds + 1)
                progress.update(task, completed=done, total=run.plan.shots(rounds))

            run.on_shot = on_shot
            try:
                return run.run(self._request.quality)
            except KeyboardInterrupt:
                spent = f"{run.shots} exposures, {run.light_ms / 1e3:.3g} s of light"
                self._say(f"stopped after {spent}; the exposure is what it was")
                raise

    def _tell(self, advice: Advice, scores: tuple[Fidelity, ...], spent: Spent) -> None:
        self._table(advice, scores)
        for line in advice_lines(advice, spent):
            self._say(line)
        numbers = advice_record(advice, scores, spent)
        for path in self._reports:
            write_report(path, {"rig": self._rig.name, "engine": self._spec.name, **numbers})
            self._say(f"report: {path}")
        for path in self._plots:
            self._draw(advice_result(advice, spent, scores, engine=self._spec.name), path)
        if advice.refusal is not None:
            raise UserError(f"exposure: no advice: {advice.refusal}")
        if self._target is not None and advice.exposure_ms is not None:
            self._write(advice.exposure_ms, self._target)

    def _table(self, advice: Advice, scores: tuple[Fidelity, ...]) -> None:
        table = Table(box=None, pad_edge=False)
        for name in ("exposure", "PSNR (dB)", "+-", "SSIM", "detail (px)", "frames"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for level, score in zip(advice.levels, scores, strict=True):
            note = "" if level.allowed else "too dim for the engine"
            table.add_row(
                f"{level.exposure_ms:.3g} ms",
                f"{level.psnr_db:.2f}",
                doubt_text(level.doubt_db),
                f"{score.ssim:.3f}",
                f"{score.frc_px:.2f}",
                f"{level.frames}",
                note,
            )
        self._console.print(table)
        self._say(
            f"raw frames at {advice.present_ms:g} ms: {advice.raw_psnr_db:.2f} dB; asked: "
            f"{advice.target_db:.2f} dB"
        )

    def _draw(self, found: ExposureResult, path: Path) -> None:
        from liverestore.view.available import why_no_offscreen

        reason = why_no_offscreen()
        if reason is not None:
            self._say(f"plot: not made, because {reason}", "yellow")
            return
        from liverestore.view.exposure_picture import save_exposure_plot

        save_exposure_plot(found, path, title=self._rig.name)
        self._say(f"plot: {path}")

    def _write(self, exposure_ms: float, target: Target) -> None:
        of = f", channel {self._rig.channels[0].name}" if self._rig.channels else ""
        if not self._request.yes:
            try:
                agreed = typer.confirm(
                    f"Write {exposure_ms:g} ms into {target.rig}{of}?", default=False
                )
            except typer.Abort:
                agreed = False
            if not agreed:
                self._say("nothing was written")
                return
        channel = self._rig.channels[0].name if self._rig.channels else None
        keep_exposure(self._whole_rig, exposure_ms, channel, engine=self._spec.name, target=target)
        self._say(f"written: {target.rig}")

    def _say(self, what: str, style: str = "") -> None:
        self._console.print(Text(what, style=style))


def _of_channel(rig: RigConfig, name: str | None) -> RigConfig:
    """`rig` with the channel of that name alone."""
    if name is None and len(rig.channels) <= 1:
        return rig
    found = named_channel(rig.channels, name)
    if found is None:
        names = ", ".join(channel.name for channel in rig.channels) or "none"
        raise UserError(f"--channel: got {name}, the rig {rig.name} has {names}; name one of them")
    return msgspec.structs.replace(rig, channels=(found,))
