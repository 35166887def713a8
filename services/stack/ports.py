"""Free and taken ports."""

import socket
from collections.abc import Collection

from actinium.errors import StackError

LOOPBACK = "127.0.0.1"


def is_free(port: int, *, host: str = LOOPBACK) -> bool:
    """Whether somebody could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def any_free(*, avoid: Collection[int] = ()) -> int:
    """A port that nobody listens on now, and none of `avoid`."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in avoid:
            return port


def choose(wanted: int, *, whose: str, variable: str, avoid: Collection[int] = (), host: str = LOOPBACK) -> int:
    """The wanted port if it is free, any free one for 0; StackError in a sentence otherwise."""
    if wanted == 0:
        return any_free(avoid=avoid)
    if wanted in avoid or not is_free(wanted, host=host):
        raise StackError(f"port {wanted} ({whose}) is taken; set {variable} to another one, or to 0 for any free one")
    return wanted
