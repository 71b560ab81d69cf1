"""The view as a process of a run: on the screen, or offscreen into a PNG."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from liverestore.errors import UserError
from liverestore.rig_optics import optics_of
from liverestore.rig_surfaces import RigSurfaces
from liverestore.service.child import orphaned, run_child
from liverestore.service.plan import RunPlan
from liverestore.transport.control import ControlLink

__all__ = ["offscreen_view_process", "view_process"]


def view_process(plan: RunPlan) -> None:
    """Entry point of the view process: the live window until it is closed."""

    def body(link: ControlLink, stop: threading.Event) -> None:
        from liverestore.model_spec import live_engines
        from liverestore.view.app import show_window
        from liverestore.view.channels import looks_of
        from liverestore.view.live_feed import LiveFeed

        feed = LiveFeed(plan.endpoints.raw.for_client(), plan.endpoints.restored.for_client(), link)
        try:
            show_window(
                feed,
                rig=plan.rig.name,
                title=_title(plan),
                engines=live_engines(),
                camera=plan.rig.camera,
                channels=looks_of(plan.rig.channels),
                no_optics=_no_optics(plan),
                surfaces=_surfaces(plan),
                ended=lambda: stop.is_set() or feed.ended.is_set() or orphaned(),
                report_rate=feed.report_rate,
            )
        finally:
            feed.close()

    run_child("view", plan.endpoints.control, body)


def _no_optics(plan: RunPlan) -> str:
    try:
        optics_of(plan.rig)
    except UserError as error:
        return str(error)
    return ""


def _surfaces(plan: RunPlan) -> RigSurfaces | str:
    """Those kept with the rig; a file that is broken keeps no window from opening."""
    try:
        return RigSurfaces.load(plan.rig)
    except UserError as error:
        return str(error)


def _title(plan: RunPlan) -> str:
    return f"liverestore - {plan.rig.name}"


def offscreen_view_process(plan: RunPlan, *, png: Path) -> None:
    """Entry point of a view without a screen: keeps the newest pair, paints it at the end."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

    def body(link: ControlLink, stop: threading.Event) -> None:
        from liverestore.model_spec import live_engines
        from liverestore.view.live_feed import LiveFeed
        from liverestore.view.offscreen import render_png

        feed = LiveFeed(plan.endpoints.raw.for_client(), plan.endpoints.restored.for_client(), link)
        newest, status = None, None
        try:
            while not (stop.is_set() or feed.ended.is_set() or orphaned()):
                pair = feed.newest()
                if pair is not None and (pair.restored is not None or newest is None):
                    newest = pair
                report = feed.status()
                if report is not None and report.state == "running":
                    status = report
                time.sleep(0.02)
        finally:
            feed.close()
        if newest is not None:
            render_png(
                newest,
                status,
                png,
                engines=live_engines(),
                camera=plan.rig.camera,
                title=_title(plan),
            )

    run_child("view", plan.endpoints.control, body)
