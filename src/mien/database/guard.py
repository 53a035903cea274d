"""Runs one PostgreSQL server for as long as anybody uses it; in the background. Started by `embedded.py`:

    python guard.py IN_USE_LOCK ALIVE_LOCK_FD USER_ID|- PROGRAM ARGUMENT…

Whoever uses the server holds a shared lock on the file IN_USE_LOCK. The kernel drops it when they end,
however they end; the guard then gets its exclusive lock and stops the server. ALIVE_LOCK_FD is the descriptor
of another locked file: the server's processes inherit it, so that the lock is free only when all are gone.
"""

import fcntl
import os
import pwd
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any


def main(in_use_lock: str, alive_lock_fd: str, user_id: str, *command: str) -> int:
    if os.fork():
        return 0
    os.setsid()  # Ctrl-C is for those who use the server
    alive = int(alive_lock_fd)
    identity: dict[str, Any] = {}
    if user_id != "-":
        identity = {"user": int(user_id), "group": pwd.getpwuid(int(user_id)).pw_gid, "extra_groups": []}
    server = subprocess.Popen(command, pass_fds=(alive,), **identity)  # noqa: S603
    os.close(alive)

    def stop_when_unused() -> None:
        with Path(in_use_lock).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            server.wait()

    threading.Thread(target=stop_when_unused, daemon=True).start()
    return server.wait()


if __name__ == "__main__":
    # Skips the interpreter's own tidying, which would trip over the waiting thread.
    os._exit(main(*sys.argv[1:]))
