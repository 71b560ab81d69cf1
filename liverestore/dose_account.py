"""The account of a session's light as a file, so that a program started again goes on with it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from liverestore.dose import Field, Kind, Lamp
from liverestore.dose_meter import DoseBudget, DoseMeter
from liverestore.errors import Failure, UserError
from liverestore.file_moves import rename
from liverestore.paths import replace_file, user_data

__all__ = ["ACCOUNT_NAME", "NIGHT", "account_file", "account_text", "open_account", "save_account"]

ACCOUNT_NAME = "light.json"
"""In the folder of a run that is saved: the folder is the sample."""
NIGHT = timedelta(hours=12)
"""After so long without light an account that belongs to no folder is another sample's."""
_VERSION = 1


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    channel: str | None
    kind: Kind
    irradiance_mw_cm2: Annotated[float, Meta(gt=0)] | None
    exposures: Annotated[int, Meta(ge=0)]
    light_on_ns: Annotated[int, Meta(ge=0)]


class _Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: int
    xy_um: tuple[float, float] | None
    dose_j_cm2: float | None
    """For people; the lines are what counts."""
    light: list[_Line]


class _Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    version: int
    rig: str
    began_utc: str
    last_light_utc: str | None
    session_dose_j_cm2: float | None
    """For people, like the next one."""
    session_light_on_s: float
    fields: list[_Field]


def account_file(rig: str, folder: Path | None) -> Path:
    """Where the light of rig `rig` is accounted: in `folder`, else in the user's data."""
    if folder is not None:
        return folder / ACCOUNT_NAME
    name = re.sub(r"[^0-9A-Za-z]+", "-", rig).strip("-").lower() or "rig"
    return user_data() / "light" / f"{name}.json"


def account_text(meter: DoseMeter, rig: str) -> bytes:
    """The account as readable JSON."""
    session = meter.session
    account = _Account(
        about="light that fell on the sample, by field of view, as liverestore counted it",
        version=_VERSION,
        rig=rig,
        began_utc=meter.began_utc,
        last_light_utc=meter.last_light_utc,
        session_dose_j_cm2=session.dose_j_cm2 if session.measured else None,
        session_light_on_s=session.light_on_s,
        fields=[_stored(one) for one in meter.fields],
    )
    return msgspec.json.format(msgspec.json.encode(account), indent=2) + b"\n"


def _stored(one: Field) -> _Field:
    lines = [
        _Line(lamp.channel, kind, lamp.irradiance_mw_cm2, frames, ns)
        for lamp, kind, frames, ns in one.light.lines()
    ]
    dose = one.light.dose_j_cm2 if one.light.measured else None
    return _Field(one.number, one.xy_um, dose, lines)


def save_account(path: Path, content: bytes) -> None:
    """Write what `account_text` made, in one step. Raises `Failure` where the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise Failure(
            f"the account of light {path} cannot be written ({error.strerror}); light is counted "
            "on, and is forgotten when the program ends"
        ) from error


def open_account(
    path: Path,
    *,
    budget: DoseBudget | None = None,
    size_um: tuple[float, float] | None = None,
    expires: bool = False,
    anew: bool = False,
    now: datetime | None = None,
) -> DoseMeter:
    """The meter that goes on where the file stopped; a fresh one where there is no file.

    With `expires` an account whose last light is older than `NIGHT` is put aside; with `anew`
    any is (another sample). What is put aside gets the date in its name and is kept.
    Raises `UserError` for a file that cannot be read: light that was spent must not be
    forgotten silently.
    """
    fresh = DoseMeter(budget, size_um=size_um)
    try:
        account = msgspec.json.decode(path.read_bytes(), type=_Account)
    except FileNotFoundError:
        return fresh
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        raise UserError(
            f"the account of light {path} cannot be read ({error}); what the sample got is in it: "
            "mend it, or move it away to begin at zero"
        ) from error
    last = account.last_light_utc
    old = last is not None and (now or datetime.now(UTC)) - datetime.fromisoformat(last) > NIGHT
    if anew or (expires and old):
        _put_aside(path, account.began_utc)
        return fresh
    fields = []
    for stored in account.fields:
        one = Field(stored.number, stored.xy_um)
        for line in stored.light:
            lamp = Lamp(line.channel, line.irradiance_mw_cm2)
            one.light.add(lamp, line.light_on_ns, line.kind, line.exposures)
        fields.append(one)
    meter = DoseMeter(budget, size_um=size_um, fields=fields, began_utc=account.began_utc)
    meter.last_light_utc = last
    return meter


def _put_aside(path: Path, began_utc: str) -> None:
    stamp = re.sub(r"[^0-9T]", "", began_utc[:19])
    for number in range(1, 1000):
        more = "" if number == 1 else f"-{number}"
        to = path.with_name(f"{path.stem}-{stamp}{more}{path.suffix}")
        if not to.exists():
            rename(path, to)
            return
    raise UserError(f"{path}: a thousand old accounts lie beside it; move them away")
