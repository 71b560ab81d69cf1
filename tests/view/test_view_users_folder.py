"""No test writes into the folders of the person who runs it."""

import os
import subprocess
import sys
import uuid

import platformdirs

from liverestore.model_spec import live_engines
from liverestore.paths import user_cache, user_data, user_documents
from liverestore.view.memory import Memory
from liverestore.view.settings import SettingsFile, settings_path
from liverestore.view.snapshot import snapshot_folder


def test_a_window_remembers_itself_in_the_folder_of_the_tests(open_window, folder_of_nobody):
    rig = f"rig of a test {uuid.uuid4().hex}"
    file = SettingsFile(settings_path(rig))
    window, _ = open_window(memory=Memory(file))
    window.look.next_theme()
    window.close()
    assert file.path.is_file()
    assert file.path.is_relative_to(folder_of_nobody)
    persons = platformdirs.user_data_path("liverestore", False)
    assert not (persons / "view" / "rigs" / file.path.name).exists()


def test_every_folder_is_that_of_the_tests(folder_of_nobody):
    for folder in (user_data(), user_cache(), user_documents(), snapshot_folder(None)):
        assert folder.is_relative_to(folder_of_nobody)


def test_so_it_is_in_the_processes_that_tests_start(folder_of_nobody):
    code = "from liverestore.paths import user_data; print(user_data())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == str(folder_of_nobody)


def test_shipped_engines_are_found_all_the_same():
    assert "mean5" in live_engines()
    assert len(live_engines()) > 2
