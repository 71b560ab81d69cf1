"""Which keys start which action, the user's own included; no Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from liverestore.errors import UserError
from liverestore.view.user_file import encode_fields, read_fields, write_user_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["KeyTaken", "Keymap", "load_keys", "save_keys"]

_VERSION = 1

Keys = tuple[str, ...]
"""Keys that all start one action, each like "Ctrl+K"."""


class KeyTaken(UserError):
    """A key that another action has."""

    def __init__(self, key: str, action: str) -> None:
        super().__init__(f"{key} belongs to {action}")
        self.key = key
        self.action = action


class Keymap:
    """The usual keys of every action, and the user's own instead of some of them.

    No key ever starts two actions: the user's own are asked for one by one, and an action
    whose usual key the user gave to another one is without it.
    """

    def __init__(self, usual: Mapping[str, Keys]) -> None:
        self._usual = dict(usual)
        self._own: dict[str, Keys] = {}

    @property
    def own(self) -> dict[str, Keys]:
        """Action to the user's own keys, where they are not the usual ones."""
        return dict(self._own)

    @property
    def actions(self) -> tuple[str, ...]:
        """All actions, in the order of the table."""
        return tuple(self._usual)

    def keys(self, action: str) -> Keys:
        """The keys that start `action`."""
        if action in self._own:
            return self._own[action]
        given = {key for keys in self._own.values() for key in keys}
        return tuple(key for key in self._usual[action] if key not in given)

    def usual(self, action: str) -> Keys:
        """The keys that `action` has until the user gives it others."""
        return self._usual[action]

    def changed(self, action: str) -> bool:
        """Whether `action` has keys of the user's own."""
        return action in self._own

    def taken_by(self, key: str, action: str) -> str | None:
        """The other action that has `key`, if any."""
        for other in self._usual:
            if other != action and key in self.keys(other):
                return other
        return None

    def give(self, action: str, keys: Keys) -> None:
        """Let `keys`, instead of the present ones, start `action`.

        Raises `KeyTaken` where another action has one of them.
        """
        for key in keys:
            other = self.taken_by(key, action)
            if other is not None:
                raise KeyTaken(key, other)
        if keys == self._usual[action]:
            self._own.pop(action, None)
        else:
            self._own[action] = tuple(dict.fromkeys(keys))

    def reset(self, action: str) -> None:
        """Give `action` its usual keys. Raises `KeyTaken` where another action has one."""
        self.give(action, self._usual[action])

    def reset_all(self) -> None:
        """Give every action its usual keys."""
        self._own.clear()

    def adopt(self, own: Mapping[str, Keys]) -> None:
        """Take the user's `own` keys, as they were stored.

        Raises `UserError` for an unknown action or a key that is there twice.
        """
        seen: dict[str, str] = {}
        for action, keys in own.items():
            if action not in self._usual:
                raise UserError(f"there is no action {action!r}")
            for key in keys:
                if key in seen:
                    raise UserError(f"{key} is given to {seen[key]!r} and to {action!r}")
                seen[key] = action
        self._own = {action: keys for action, keys in own.items() if keys != self._usual[action]}


class _KeysFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keys: dict[str, list[str]] = {}


def load_keys(keymap: Keymap, path: Path, portable: Callable[[str], str | None]) -> str:
    """Give `keymap` the user's own keys of the file `path`; one line where that failed.

    `portable` writes a key the way it is compared, and gives None for what is no key. A file
    that cannot be used changes nothing, and is never changed by reading it.
    """
    try:
        keymap.adopt(_decode(path.read_bytes(), keymap, portable))
    except FileNotFoundError:
        return ""
    except OSError as error:
        reason = f"it cannot be read ({error.strerror})"
    except UserError as error:
        reason = str(error)
    else:
        return ""
    return (
        f"the keys are the usual ones, {path} is not used: {reason}; "
        "mend or delete it (a copy is kept before it is written)"
    )


def save_keys(keymap: Keymap, path: Path, portable: Callable[[str], str | None]) -> None:
    """Store the user's own keys; raises `Failure` where the folder cannot be written."""
    content = encode_fields({"keys": keymap.own}, version=_VERSION)

    def known_whole(present: bytes) -> None:
        if read_fields(present, version=_VERSION)[1]:
            raise UserError("a newer version's keys would be lost")
        Keymap(dict.fromkeys(keymap.actions, ())).adopt(_decode(present, keymap, portable))

    write_user_file(path, content, known_whole)


def _decode(
    content: bytes, keymap: Keymap, portable: Callable[[str], str | None]
) -> dict[str, Keys]:
    fields, newer = read_fields(content, version=_VERSION)
    if newer:
        fields = {"keys": fields.get("keys", {})}
    try:
        stored = msgspec.convert(fields, _KeysFile).keys
    except msgspec.ValidationError as error:
        raise UserError(str(error)) from error
    own: dict[str, Keys] = {}
    for action, keys in stored.items():
        if newer and action not in keymap.actions:
            continue
        names = [portable(key) for key in keys]
        if None in names:
            raise UserError(f"{keys[names.index(None)]!r} of {action!r} is no key")
        own[action] = tuple(dict.fromkeys(name for name in names if name is not None))
    return own
