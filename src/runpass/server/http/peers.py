"""Who is on the other end: the client's address behind trusted proxies, and no clear text from anybody else.

`X-Forwarded-For` is believed only when the connection itself comes from a trusted proxy, and then from its end
backwards: the last address that is not a trusted proxy is the client. Whatever a client wrote before that is ignored.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from runpass.server.http.errors import envelope

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class PeerGuard:
    """Sets `scope["client"]` to the client's own address, and refuses clear text from a network."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network], *, encrypted: bool) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._encrypted = encrypted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        peer = _address((scope.get("client") or ("",))[0])
        if not self._may_speak(peer):
            request = Request(scope)
            answer = envelope(request, 403, "this server takes clear text from its proxies only", "clear_text")
            await answer(scope, receive, send)
            return
        forwarded = Headers(scope=scope).getlist("x-forwarded-for") if self._trusted else ()
        client = client_address(peer, forwarded, self._trusted)
        scope["client"] = (str(client or ""), 0)  # in place: those around us read the route from the same scope
        await self._app(scope, receive, send)

    def _may_speak(self, peer: Address | None) -> bool:
        """Whether this peer may speak to us over what we listen on. An unknown one (in-process) may."""
        return self._encrypted or peer is None or peer.is_loopback or is_trusted(peer, self._trusted)


def client_address(peer: Address | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """Give the client's address: the peer's own unless a trusted proxy vouches for another one."""
    hops = [part.strip() for line in forwarded for part in line.split(",")]
    client = peer
    while client is not None and hops and is_trusted(client, trusted):
        claimed = _address(hops.pop())
        if claimed is None:
            return client
        client = claimed
    return client


def is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    """Whether an address belongs to a trusted proxy; IPv4 in IPv6 (RFC 4291, section 2.5.5.2) counts as IPv4."""
    plain = _plain(address)
    return any(plain in network for network in trusted)


@lru_cache(maxsize=4_096)
def _address(text: str) -> Address | None:
    try:
        return _plain(ip_address(text))
    except ValueError:
        return None


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
