"""The library is about pixels: nothing of the service comes along, and the engine only when asked for."""

import subprocess
import sys

import pytest

import mien

SERVICE_ONLY = (
    "alembic", "anyio", "fastapi", "httpx", "obstore", "procrastinate", "psycopg", "pydantic",
    "pydantic_settings", "sqlalchemy", "starlette", "structlog", "uvicorn",
)  # fmt: skip


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("statement", ["from mien import *", "import mien.images.codec"])
def test_importing_the_library_loads_nothing_of_the_service(statement: str) -> None:
    loaded = set(run(f"import sys\n{statement}\nprint(*sys.modules)").split())
    assert {"mien", "numpy"} <= loaded
    assert not loaded & set(SERVICE_ONLY)


def test_importing_the_name_alone_loads_no_engine() -> None:
    loaded = set(run("import sys, mien; print(*sys.modules)").split())
    assert not loaded & {"numpy", "cv2", "onnxruntime"}


def test_importing_the_engine_reads_no_model() -> None:
    code = """
import sys

def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith((".onnx", ".npz")):
        print(arguments[0])

sys.addaudithook(watch)
from mien import FaceSwapper
"""
    assert run(code) == ""


def test_the_library_works_where_the_service_is_not_installed() -> None:
    code = f"""
import sys
sys.modules.update(dict.fromkeys({SERVICE_ONLY!r}))  # importing any of them fails

import numpy
from mien import FaceSwapper, NoFaceFound

swapper = FaceSwapper(threads=1)
print(swapper.detect(numpy.zeros((64, 64, 3), numpy.uint8)))
try:
    swapper.swap(*numpy.zeros((2, 64, 64, 3), numpy.uint8))
except NoFaceFound as error:
    print(error.param)
"""
    assert run(code).split() == ["()", "target"]


def test_everything_that_is_promised_is_there() -> None:
    assert all(getattr(mien, name).__name__ == name for name in mien.__all__)
    assert all(issubclass(getattr(mien, name), mien.MienError) for name in ("FaceUnusable", "NoFaceFound"))


def test_what_is_not_promised_is_missed_as_usual() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'FaceSwaper'"):
        mien.FaceSwaper  # noqa: B018
