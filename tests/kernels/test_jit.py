"""The kernel cache: machine code is found again by another process, until a source file changes."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from autograd_lite.kernels import elementwise, jit

pytestmark = pytest.mark.skipif(not jit.JIT, reason="nothing is compiled with the compiler off")

PROGRAM = """
import sys
sys.path.insert(0, {package!r})
import numpy as np
from autograd_lite.kernels.elementwise import Elementwise
square = Elementwise("square_of", ("x",), "x * x + 1")
print(square(np.full(3, 2.0, np.float32))[0], sum(square.loop.stats.cache_hits.values()))
"""


def _run(package: pathlib.Path, cache: pathlib.Path) -> tuple[str, str]:
    environment = {**os.environ, "AUTOGRAD_LITE_CACHE": str(cache)}
    environment.pop("AUTOGRAD_LITE_QUIET", None)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(package=str(package))], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip(), run.stderr


def test_code_is_kept_and_goes_stale_with_its_sources(tmp_path: pathlib.Path) -> None:
    package = tmp_path / "source"
    source = pathlib.Path(jit.HERE).parent
    shutil.copytree(source, package / "autograd_lite", ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "cache"
    out, message = _run(package, cache)
    assert out == "5.0 0"
    assert message.count("compiling kernels") == 1
    out, message = _run(package, cache)
    assert out == "5.0 1"
    assert "compiling" not in message
    helper = package / "autograd_lite" / "kernels" / "special.py"  # compiled into the kernel, from another file
    helper.write_text(helper.read_text("utf-8") + "\n", encoding="utf-8")
    out, _ = _run(package, cache)
    assert out == "5.0 0"


LOAD = """
import sys
import numba, numpy as np
from autograd_lite.kernels.elementwise import Elementwise
from autograd_lite.kernels.threading import num_threads, set_num_threads
square = Elementwise("square_of", ("x",), "x * x + 1")
one = np.full(3, 2.0, np.float32)
print(square(one)[0], "numba.typed.typeddict" in sys.modules)
if sys.argv[1] == "compile":
    sys.exit()

@numba.njit
def user(x):
    return x * x + num_threads()

set_num_threads(1)
print(square(one.astype(np.float64))[0], user(np.float32(2.0)), "numba.typed.typeddict" in sys.modules)
"""


def test_code_on_disk_is_loaded_without_the_compiler_which_works_afterwards(tmp_path: pathlib.Path) -> None:
    environment = {**os.environ, "AUTOGRAD_LITE_CACHE": str(tmp_path), "AUTOGRAD_LITE_QUIET": "1"}
    lines = []
    for aim in ("compile", "load"):
        command = [sys.executable, "-c", LOAD, aim]
        run = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        lines += run.stdout.splitlines()
    assert lines == ["5.0 True", "5.0 False", "5.0 5.0 True"]


PRODUCT = """
import sys
import numba, numpy as np
for _ in range(int(sys.argv[1])):
    numba.njit(lambda: 0)
from autograd_lite.kernels.gemm import _gemm, gemm

@numba.njit(cache=True)
def user(a, b, c, bias):
    return _gemm(a, b, c, bias, False, 0)

a = np.arange(12, dtype=np.float32).reshape(3, 4)
one, two = gemm(a, a.T), np.empty((3, 3), np.float32)
if sys.argv[2:]:
    user(a, a.T, two, np.empty(0, np.float32))
    assert (one == two).all()
print((one == a @ a.T).all(), sum(_gemm.stats.cache_hits.values()))
"""


def test_code_that_calls_code_of_another_file_on_disk(tmp_path: pathlib.Path) -> None:
    """The callee is loaded first; where it is not the one that was called, the caller is compiled again."""
    (tmp_path / "program.py").write_text(PRODUCT, encoding="utf-8")
    environment = {
        **os.environ,
        "AUTOGRAD_LITE_CACHE": str(tmp_path / "ours"),
        "NUMBA_CACHE_DIR": str(tmp_path / "users"),
        "AUTOGRAD_LITE_QUIET": "1",
        "PYTHONPATH": str(jit.HERE.parents[1]),
    }

    def run(*arguments: str) -> str:
        command = [sys.executable, str(tmp_path / "program.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout.strip()

    assert run("0", "user") == "True 0"
    assert run("0", "user") == "True 1"
    for file in (tmp_path / "ours").glob("*_multiply*"):
        file.unlink()
    assert run("5") == "True 0"  # five more functions before it: the callee's new symbol has another number
    assert run("0") == "True 1"


def test_two_processes_that_compile_at_once_do_not_take_each_others_code(tmp_path: pathlib.Path) -> None:
    """Both find no entry, both take the number 1: the index of the one, the data of the other."""
    one, two = (jit._CacheFile(str(tmp_path), "kernel", "stamp") for _ in range(2))
    one.save("float32", "code for float32")
    index = (tmp_path / "kernel.nbi").read_bytes()
    (tmp_path / "kernel.nbi").unlink()
    two.save("float64", "code for float64")
    (tmp_path / "kernel.nbi").write_bytes(index)
    assert one.load("float32") is None
    one.save("float32", "code for float32")
    assert one.load("float32") == "code for float32"
    other = jit._CacheFile(str(tmp_path), "kernel", "another stamp")
    assert other.load("float32") is None


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.touch()
    environment = {**os.environ, "AUTOGRAD_LITE_CACHE": str(file / "below")}
    code = "from autograd_lite.kernels.jit import cache_directory; cache_directory()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.returncode != 0
    assert "AUTOGRAD_LITE_CACHE" in run.stderr


def test_code_generated_elsewhere_depends_on_all_kernel_files(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jit, "HERE", tmp_path / "kernels")
    jit.HERE.mkdir()
    outside, inside = tmp_path / "user.py", jit.HERE / "special.py"
    digests = set()
    for text in ("one", "another"):
        for file in (outside, inside, jit.HERE / "jit.py"):
            file.write_text("" if file is outside else text, encoding="utf-8")
        digests.add(jit._source_digest.__wrapped__(outside))
    assert len(digests) == 2


def test_numbers_take_the_type_of_the_operands() -> None:
    assert elementwise.typed("x * 2 + exp(-0.5)") == "x * T(2) + exp(-T(0.5))"


DRAW = """
import sys
import autograd_lite as ag
for name in sys.argv[1:]:
    ag.manual_seed(0)
    print(*getattr(ag, name)(4).tolist())
"""


def test_generated_kernels_of_one_name_compiled_by_different_processes(tmp_path: pathlib.Path) -> None:
    """Numba tells functions of one name apart by a number that every process counts anew, and the linker takes the
    first of two functions with the same name and number: normal numbers were drawn by the code of uniform ones.
    """
    environment = {**os.environ, "AUTOGRAD_LITE_CACHE": str(tmp_path), "AUTOGRAD_LITE_QUIET": "1"}

    def draw(*names: str) -> list[str]:
        command = [sys.executable, "-c", DRAW, *names]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout.splitlines()

    alone = draw("rand") + draw("randn")
    assert draw("rand", "randn") == alone
