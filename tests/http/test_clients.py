from ipaddress import ip_network

import pytest

from mien.http.clients import client_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # anybody can send the header
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the first one is made up
        ("10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7,10.0.0.2 ,fd00::1", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.7, nonsense", "10.0.0.1"),
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "", "2001:db8::/64"),
        ("2001:db8::ffff", "", "2001:db8::/64"),
        ("", "203.0.113.7", "unknown"),
        (None, "", "unknown"),
    ],
)
def test_a_client_is_whom_the_last_trusted_proxy_saw(
    peer: str | None, forwarded_for: str, address: str
) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == address


def test_nobody_is_trusted_by_default() -> None:
    assert client_address("10.0.0.1", "203.0.113.7", ()) == "10.0.0.1"
