"""A whole service of its own, as an operator starts it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

MIEN = Path(sys.executable).with_name("mien")
PATIENCE = 60.0  # seconds


@contextmanager
def running_service(folder: Path, **settings: str) -> Iterator[str]:
    """The address of `mien serve` with its data in `folder`, and its log there in the file `log`.

    settings: as in the environment, without `MIEN_`. One worker with one thread, unless they say otherwise.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mine = {"DATA_DIR": str(folder), "PORT": str(port), "WORKERS": "1", "THREADS": "1"} | settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
    environment |= {f"MIEN_{name}": value for name, value in mine.items()}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([MIEN, "serve"], env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    with httpx.Client(verify=False) as client:  # loading certificates takes longer than an answer
        while time.monotonic() < end and process.poll() is None:
            try:
                if client.get(f"{address}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise AssertionError("the service never was ready")
