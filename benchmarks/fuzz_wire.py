"""Fuzz the decoders of messages with atheris (libFuzzer), guided by what they run through.

    pip install atheris
    python benchmarks/fuzz_wire.py [--minutes 5] [--keep FOLDER] [--table docs/reliability.md]

It starts from good messages of every kind (`wire_seeds.py`), puts senseless values into their JSON
or lets libFuzzer change their bytes, and hands them to the decoder of the frame link, of words and
results of an engine on another machine, or of the control channel. Each must make a message that
can be sent again and is then the same, or refuse in one short line, within 5 s, and the process
must stay below `LIMIT_MB`. Else it ends with exit code 1, and the input is in FOLDER.

By hand: atheris comes as a wheel for Linux, and finds little in the time that a test may take.
`tests/transport/test_wire_fuzz.py` does the same with hypothesis in each run of the tests.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import random
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT_MB = 512
"""Resident memory of the process, of which Python and its libraries take most."""
LONGEST_S = 5
LONGEST_INPUT = 64 << 10
BEGIN, END = "<!-- fuzz: begin -->", "<!-- fuzz: end -->"

Parts = list[bytes]


def packed(target: int, parts: Parts) -> bytes:
    """One input: which decoder, and the parts, each behind its length."""
    return bytes([target]) + b"".join(struct.pack("<H", len(p)) + p for p in parts)


def unpacked(data: bytes) -> tuple[int, Parts]:
    """The other way round; whatever the bytes are, they are some input."""
    parts, at = [], 1
    while at + 2 <= len(data):
        (length,) = struct.unpack_from("<H", data, at)
        parts.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return (data[0] if data else 0), parts


def changed(data: bytes, seed: int, mutate: Callable[[bytes, int], bytes]) -> bytes:
    """Another input, with one thing changed; `mutate` changes bytes."""
    from wire_seeds import INSANE, places, put

    dice = random.Random(seed)
    target, parts = unpacked(data)
    how = dice.random()
    if not parts or how < 0.05:
        parts.insert(dice.randint(0, len(parts)), mutate(b"", 64))
    elif how < 0.1:
        del parts[dice.randrange(len(parts))]
    elif how < 0.6 and len(parts) > 1:
        try:
            tree = json.loads(parts[1])
            place = dice.choice(list(places(tree)))
            parts[1] = json.dumps(put(tree, place, dice.choice(INSANE))).encode()
        except (ValueError, RecursionError):
            parts[1] = mutate(parts[1], 8192)
    else:
        at = dice.randrange(len(parts))
        parts[at] = mutate(parts[at], 8192)
    return packed(target, [part[:65_535] for part in parts])


def decoders() -> list[tuple[list[Parts], Callable[[Parts], None]]]:
    """Of each its good messages, and what raises where it does anything but refuse them."""
    import msgspec
    import wire_seeds as good

    from liverestore.remote_wire import decode_result, decode_word, encode_word
    from liverestore.status import Word
    from liverestore.wire import UNREADABLE, Message, decode, encode

    words: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Word)

    def frames(parts: Parts) -> None:
        message = decode(parts)
        again = decode([bytes(part) for part in encode(message)])
        if not isinstance(message, Message):
            assert again == message
        else:
            assert isinstance(again, Message)
            assert again.serial == message.serial

    def links(parts: Parts) -> None:
        word = decode_word(parts)
        assert decode_word(encode_word(word)) == word

    def results(parts: Parts) -> None:
        made = decode_result(parts, lambda _number: good.RESULT.source, 10)
        assert made is not None
        assert made.source is good.RESULT.source

    def control(parts: Parts) -> None:
        for part in parts[1:2]:
            try:
                word = words.decode(part)
            except UNREADABLE:
                continue
            assert words.decode(msgspec.json.encode(word)) == word

    return [
        (good.SEEDS, frames), (good.LINK, links), (good.RESULTS, results), (good.CONTROL, control)
    ]  # fmt: skip


def fuzz(folder: Path, seconds: float) -> None:
    """Do it, in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["liverestore"]):
        import liverestore.remote_wire  # noqa: F401  (it imports the other decoders)
    from liverestore.wire import WireError

    every = decoders()

    def one(data: bytes) -> None:
        target, parts = unpacked(data)
        try:
            every[target % len(every)][1](parts)
        except WireError as refusal:
            said = str(refusal)
            assert "\n" not in said
            assert len(said) < 500

    def mutated(data: bytes, _most: int, seed: int) -> bytes:
        return changed(data, seed, atheris.Mutate)

    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for target, (seeds, _) in enumerate(every):
        for number, parts in enumerate(seeds):
            (corpus / f"good-{target}-{number}").write_bytes(packed(target, parts))
    arguments = [
        sys.argv[0], str(corpus), f"-max_total_time={seconds:.0f}", f"-timeout={LONGEST_S}",
        f"-rss_limit_mb={LIMIT_MB}", f"-max_len={LONGEST_INPUT}", f"-artifact_prefix={folder}/",
        "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    atheris.Setup(arguments, one, custom_mutator=mutated)
    atheris.Fuzz()


def told(errors: str, minutes: float) -> str:
    """The table, from the statistics that libFuzzer prints at its end."""
    if sys.platform == "win32":
        raise OSError("atheris is not for Windows")
    found = dict(re.findall(r"stat::(\w+):\s+(\d+)", errors))
    covered = re.findall(r"cov: (\d+) ft: (\d+)", errors)[-1]
    slowest_s = int(found["slowest_unit_time_sec"])  # whole seconds, cut off
    slowest = f"{slowest_s} s" if slowest_s else "below 1 s"
    rows = [
        "| minutes | messages | branches reached | new ways found | slowest | memory, most |",
        "|---|---|---|---|---|---|",
        f"| {minutes:g} | {int(found['number_of_executed_units']):,} | {covered[0]} "
        f"| {int(found['new_units_added']):,} | {slowest} "
        f"| {found['peak_rss_mb']} MB |",
        "",
        f"Measured on {os.cpu_count()} cores ({platform.machine()}), load average "
        f"{os.getloadavg()[0]:.1f} at the end, Python {platform.python_version()}, atheris. No "
        "message made a decoder raise anything but its refusal.",
    ]
    return "\n".join(rows)


def main() -> int:
    """Fuzz in a process of its own, and say what it was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--keep", type=Path, help="folder for inputs; a second call goes on there")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("atheris is not installed here: pip install atheris (Linux)\n")
        return 2
    if options.here:
        fuzz(options.keep, 60 * options.minutes)
    with tempfile.TemporaryDirectory() as place:
        folder = options.keep or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, __file__, "--here", "--keep", folder, "--minutes",
             str(options.minutes)],
            stderr=subprocess.PIPE, text=True, errors="replace", check=False,
        )  # fmt: skip
    if done.returncode:
        sys.stderr.write(done.stderr[-6000:])
        return 1
    made = told(done.stderr, options.minutes)
    if options.table is not None:
        before, rest = options.table.read_text(encoding="utf-8").split(BEGIN)
        page = f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}"
        options.table.write_text(page, encoding="utf-8")
    sys.stdout.write(made + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
