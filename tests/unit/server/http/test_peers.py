"""Whose address a request has, and who may speak clear text."""

from ipaddress import ip_address, ip_network

import pytest

from runpass.server.http.peers import client_address, is_trusted

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def of(peer: str, *forwarded: str) -> str:
    return str(client_address(ip_address(peer), forwarded, PROXIES))


def test_without_a_proxy_the_peer_is_the_client():
    assert of("192.0.2.7") == "192.0.2.7"


def test_what_a_stranger_claims_is_not_believed():
    assert of("192.0.2.7", "198.51.100.1") == "192.0.2.7"


def test_what_a_proxy_says_is_believed():
    assert of("10.0.0.1", "198.51.100.1") == "198.51.100.1"


def test_what_the_client_wrote_before_the_proxy_is_ignored():
    assert of("10.0.0.1", "127.0.0.1, 198.51.100.1") == "198.51.100.1"
    assert of("10.0.0.1", "127.0.0.1", "198.51.100.1, 10.2.3.4") == "198.51.100.1"


def test_a_chain_of_proxies_alone_ends_at_the_first_of_them():
    assert of("10.0.0.1", "10.0.0.2") == "10.0.0.2"


@pytest.mark.parametrize("nonsense", ["", "unknown", "198.51.100.1:443", "a b"])
def test_nonsense_ends_the_chain_at_the_proxy(nonsense: str):
    assert of("10.0.0.1", nonsense) == "10.0.0.1"


def test_an_ipv4_address_in_ipv6_is_the_same_proxy():
    assert is_trusted(ip_address("::ffff:10.0.0.1"), PROXIES)
    assert of("::ffff:10.0.0.1", "198.51.100.1") == "198.51.100.1"
