"""Names under which a service may be asked for: none that a stranger can make mean this machine."""

import socket

import pytest

from actinium.hosts import is_known


@pytest.mark.parametrize(
    "host",
    [
        *(None, "127.0.0.1", "127.0.0.1:8321", "[::1]:8321", "[::1]", "10.1.2.3:80", "localhost", "localhost:8321"),
        *("LOCALHOST", "api:8321", "studies.localhost:1", socket.gethostname(), f"{socket.getfqdn()}:8321"),
        *("studies.example.org", "studies.example.org:443", "Studies.Example.Org.", "a.b.lab.example"),
    ],
)
def test_addresses_and_names_of_ours_are_known(host: str | None) -> None:
    assert is_known(host, "studies.example.org, .lab.example")


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "evil.example:8321", "127.0.0.1.evil.example", "studies.example.org.evil.example"),
        *("localhost.evil.example", "xlab.example", "lab.example.", "127.0.0.1:8321.evil.example", "example.org"),
    ],
)
def test_names_that_a_stranger_may_have_are_not(host: str) -> None:
    assert not is_known(host, "studies.example.org, .lab.example")
    assert not is_known(host, None)
