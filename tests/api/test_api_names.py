"""The names of `import liverestore`: all there, and none of them loaded before it is asked for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import liverestore

INIT = Path(liverestore.__file__)


def test_every_name_is_there():
    names = set(liverestore.__all__)
    assert 12 <= len(names) <= 18
    assert names <= set(dir(liverestore))
    for name in names:
        assert getattr(liverestore, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = liverestore.nothing


def test_type_checkers_see_the_names_that_are_loaded():
    """What stands under `if TYPE_CHECKING` is what `__getattr__` gives."""
    tree = ast.parse(INIT.read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: (node.module.removeprefix("liverestore."), alias.name)
        for node in block.body
        for alias in node.names
    }
    assert seen == liverestore._PLACES
    assert {*seen, "__version__"} == set(liverestore.__all__)


def test_type_checkers_of_users_read_our_types():
    assert (INIT.parent / "py.typed").is_file()


def test_no_name_is_hidden_by_a_module():
    """`import liverestore.x` would put the module in the place of the name."""
    modules = {path.stem for path in INIT.parent.iterdir()}
    assert not modules & set(liverestore.__all__)


def test_import_loads_nothing_heavy():
    code = (
        "import sys, liverestore; liverestore.__version__; dir(liverestore); "
        "heavy = {'numpy', 'torch', 'openvino', 'PySide6', 'napari', 'pymmcore', 'zmq', 'scipy'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_restoring_an_array_loads_neither_a_camera_nor_a_window():
    code = (
        "import sys, numpy, liverestore; "
        "liverestore.restore_array(numpy.ones((32, 32), 'uint16'), 'mean5'); "
        "heavy = {'PySide6', 'napari', 'pymmcore', 'pycromanager', 'zmq', 'torch'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
