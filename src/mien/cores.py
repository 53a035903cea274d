"""How many cores there are for us."""

import os
from pathlib import Path


def available_cores() -> int:
    """Cores this process may use: its CPU affinity, and its container's CPU limit (cgroup v2), at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) // int(period))
    except (OSError, ValueError):
        pass  # no cgroup v2 here, or its quota is "max"
    return max(1, cores)
