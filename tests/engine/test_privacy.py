"""The engine keeps what it does to itself."""

import os
import subprocess
import sys
from pathlib import Path


def test_the_runtime_leaves_no_device_id_and_no_queue_of_events_behind(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    # The runtime is silent under CI by itself, which is not what is tested here.
    outside_ci = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "ORT_"))}

    subprocess.run(
        [sys.executable, "-c", "from mien.engine.models import Network; Network('centerface.onnx', 1)"],
        env={**outside_ci, **home},
        check=True,
    )

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
