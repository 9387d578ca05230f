"""Which network addresses may be called: those on the public internet, however they are spelled.

A URL that others have a say in must not reach what only this machine or its network can reach. What counts is the address that is
connected to, so a name is resolved once, every address of it is checked, and the connection goes to a checked one.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Answers the addresses of a host and port, the one to try first first. Raises `OSError` when there is none."""

# Not on the public internet, though `is_global` of some Python says so: protocol assignments, relays of 6to4, and Azure's host.
_NOT_PUBLIC_4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
# All that is handed out stands in here; the rest is local, reserved, or translated by somebody on the way.
_PUBLIC_6 = IPv6Network("2000::/3")
# Teredo, whose other end is in the hand of whoever writes the address, and documentation.
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/32", "3fff::/20")))
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """The addresses of `host` as the operating system knows them, each once, in its order. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether `address` is one on the public internet; an IPv4 address inside an IPv6 address is looked at in its place."""
    try:
        read = ip_address(address)
    except ValueError:
        return False
    if isinstance(read, IPv4Address):
        return _is_public_4(read)
    inner = inner_address(read)
    return _is_public_6(read) if inner is None else _is_public_4(inner)


def inner_address(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that whoever connects to `address` ends up at, where it is written inside."""
    number = int(address)
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(number & 0xFFFF_FFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(number >> 80 & 0xFFFF_FFFF)
    return None


def _is_public_4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOT_PUBLIC_4)


def _is_public_6(address: IPv6Address) -> bool:
    if address.scope_id is not None or address not in _PUBLIC_6:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC_6)
