"""A bound on the memory of a process that decodes hostile pictures."""

import resource
import sys
from pathlib import Path

_PAGE = resource.getpagesize()


def limit_memory(more: int) -> None:
    """From now on this process may map at most `more` bytes beyond what it has; what asks for more fails.

    A decoder that is refused memory says so, or dies, and takes this process with it but not the machine.
    Does nothing where the system keeps no such limit (macOS).
    """
    if sys.platform != "linux":
        return
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = mapped + more
    resource.setrlimit(resource.RLIMIT_AS, (wanted if most < 0 else min(wanted, most), most))
