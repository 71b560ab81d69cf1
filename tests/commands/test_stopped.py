"""Ctrl-C where a command has no words of its own."""

import pytest
import typer
from typer.testing import CliRunner

from liverestore.cli.commands import app as commands
from liverestore.cli.stopped import SaysThatItStopped


@pytest.fixture
def app():
    app = typer.Typer(cls=SaysThatItStopped)
    inner = typer.Typer()

    @app.command("doctor")
    def doctor():
        raise KeyboardInterrupt

    @app.command("calibrate")
    def calibrate():
        raise KeyboardInterrupt

    @app.command("fine")
    def fine():
        typer.echo("done")

    @app.command("own-words")
    def own_words():
        typer.echo("stopped after 3 of 9", err=True)
        raise typer.Exit(130)

    @inner.command("n2n")
    def n2n():
        raise KeyboardInterrupt

    @inner.command("n2v")
    def n2v():
        typer.echo("done")

    app.add_typer(inner, name="train")
    return app


@pytest.mark.parametrize(
    ("words", "line", "code"),
    [
        (["doctor"], "liverestore doctor: stopped by Ctrl-C; nothing was changed\n", 130),
        (
            ["calibrate"],
            "liverestore calibrate: stopped by Ctrl-C; files that were finished before are kept, "
            "others were not made\n",
            130,
        ),
        (
            ["train", "n2n"],
            "liverestore train: stopped by Ctrl-C; files that were finished before are kept, "
            "others were not made\n",
            130,
        ),
        (["own-words"], "stopped after 3 of 9\n", 130),
        (["fine"], "", 0),
    ],
)
def test_it_is_told_in_one_line(app, words, line, code):
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stderr) == (code, line)


def test_the_commands_of_the_program_say_so():
    assert isinstance(typer.main.get_command(commands), SaysThatItStopped)
