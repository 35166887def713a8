"""Whether the disk of ACTINIUM_HOME has room for more work."""

import shutil
from pathlib import Path

MEGABYTE = 2**20


def disk_shortage(folder: Path, *, least: int) -> str | None:
    """Why nothing more should be begun, in a sentence; None where the folder's disk has `least` bytes free, or where
    the folder is not on this machine.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return None
    if free >= least:
        return None
    return (
        f"the disk of ACTINIUM_HOME has {free // MEGABYTE} MB left, less than {least // MEGABYTE} "
        "(ACTINIUM_MIN_FREE_BYTES): nothing is lost, and nothing new begins until there is room"
    )
