"""Child processes get what finds programs and libraries, no secret, and no more memory than told."""

import os
import resource
import sys
from pathlib import Path

INHERITED = frozenset(
    {
        *(
            "PATH",
            "LD_LIBRARY_PATH",
            "DYLD_LIBRARY_PATH",
            "VIRTUAL_ENV",
            "HOME",
            "USER",
            "TMPDIR",
            "TZ",
            "LANG",
            "LC_ALL",
        ),
        *("LC_CTYPE", "SYSTEMROOT", "COVERAGE_PROCESS_START"),
    }
)
"""Variables that say where things are and how people write; any other one may be a secret."""


def clean_environment(**more: str) -> dict[str, str]:
    """An environment for a child: what is inherited by name, our own packages, and `more`."""
    own = {name: os.environ[name] for name in INHERITED if name in os.environ}
    packages = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**own, "PYTHONPATH": os.pathsep.join(packages), **more}


def bound_memory(pid: int, most_bytes: int) -> None:
    """Let a child that was just started allocate no more than this. Where the system cannot tell (it is no Linux), its
    time alone bounds it.
    """
    if sys.platform == "linux":
        try:
            resource.prlimit(pid, resource.RLIMIT_DATA, (most_bytes, most_bytes))
        except (ProcessLookupError, PermissionError):
            return  # it has ended already
