import subprocess
import sys

import pytest

LIMITED = """
from mien.tasks.memory_limit import limit_memory
limit_memory(100_000_000)
kept = bytearray(50_000_000)
try:
    bytearray(100_000_000)
except MemoryError:
    print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="macOS keeps no such limit")
def test_what_goes_beyond_is_refused() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
