"""Whatever the package reads goes through `jaxnet.files`, where what is no file is refused."""

import ast
from pathlib import Path

import pytest

import jaxnet

PACKAGE = Path(jaxnet.__file__).parent
# They open, or may open, what they are given by name.
OPENERS = {
    "open",
    "fdopen",
    "read_text",
    "read_bytes",
    "memmap",
    "fromfile",
    "memory_map",
    "OSFile",
}
OPENERS |= {"load", "loadtxt", "genfromtxt", "ZipFile", "GzipFile", "ParquetFile", "read_csv"}
OPENERS |= {"open_csv", "read_table", "safe_open", "load_file", "mmap", "OSFile"}
ALLOWED = {
    # They write, or lock, a file of ours.
    ("lock.py", "os.open"),
    ("outputs/append.py", "os.open"),
    ("outputs/predictions.py", "os.open"),
    ("outputs/predictions.py", "os.fdopen"),
    ("outputs/run_directory.py", "os.open"),
    # /dev/null.
    ("__main__.py", "os.open"),
    ("cli/output.py", "os.open"),
    # They are given an open file, or lines.
    ("data/arrays.py", "np.load"),
    ("data/builtin.py", "np.loadtxt"),
    ("data/csv_blocks.py", "gzip.GzipFile"),
    ("data/csv_reader.py", "pa.csv.read_csv"),
    ("data/label_names.py", "gzip.GzipFile"),
    ("data/parquet_reader.py", "pq.ParquetFile"),
    ("data/sparse_npz.py", "zipfile.ZipFile"),
    ("data/xc_blocks.py", "gzip.GzipFile"),
}
# Functions of ours that have such a name.
OURS = {"load", "model_file.load", "replay.load", "inference.load", "builtin.load"}


def openers(source: str) -> list[str]:
    """The calls in a module that may open a file."""
    found = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [ast.unparse(each) for each in found]
    return [name for name in names if name.split(".")[-1] in OPENERS and name not in OURS]


def test_no_module_opens_a_file_by_itself() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "files.py"
        for name in openers(path.read_text())
    }
    assert found - ALLOWED == set()
    assert ALLOWED - found == set()  # nor is more allowed than is used


@pytest.mark.parametrize(
    "call",
    ["open(p)", "p.open('rb')", "p.read_text()", "json.loads(p.read_bytes())", "np.load(p)"],
)
def test_one_that_would_is_found(call: str) -> None:
    assert openers(f"def f(p):\n    return {call}\n")
