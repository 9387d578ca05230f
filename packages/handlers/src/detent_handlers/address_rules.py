"""Which hosts and addresses may be called, beyond the rule that they are on the public internet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

from detent.errors import InvalidValue
from detent_handlers.addresses import inner_address, is_public
from detent_handlers.errors import AddressRefused

_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]|\.(?=[a-z0-9_]))*")


@dataclass(frozen=True, slots=True)
class Places:
    """A list of hosts and networks."""

    hosts: frozenset[str] = frozenset()
    """Names in lower case and in ASCII; `*.example.com` stands for all below `example.com`."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def read(cls, written: Sequence[str], path: str) -> Self:
        """The list that is written as names, addresses and networks in CIDR notation. Raises `InvalidValue`."""
        hosts: set[str] = set()
        networks: list[IPv4Network | IPv6Network] = []
        for index, entry in enumerate(written):
            read = _network(entry)
            if read is not None:
                networks.append(read)
            else:
                hosts.add(_host(entry, f"{path}[{index}]"))
        return cls(frozenset(hosts), tuple(networks))

    def have_host(self, host: str) -> bool:
        """Whether the list names `host`, or all below a name that it is below."""
        labels = host.lower().rstrip(".").split(".")
        above = {"*." + ".".join(labels[index:]) for index in range(1, len(labels))}
        return ".".join(labels) in self.hosts or not above.isdisjoint(self.hosts)

    def have_address(self, address: str) -> bool:
        """Whether a network of the list has `address`, or the IPv4 address inside it."""
        try:
            read = ip_address(address)
        except ValueError:
            return False
        spellings: list[IPv4Address | IPv6Address | None] = [read]
        if isinstance(read, IPv6Address):
            spellings.append(inner_address(read))
        return any(one is not None and one in network for network in self.networks for one in spellings)


class AddressRules:
    """Which hosts and addresses may be called: those on the public internet, those in `allow`, none of those in `deny`.

    An entry is a name (`crm.internal`), all names below one (`*.example.com`), an address or a network (`10.1.0.0/16`).
    `deny` wins over `allow`. `allow_private=True` lets a call go to any address that is not denied. Raises `InvalidValue`.
    """

    def __init__(self, *, allow_private: bool = False, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        self._allow_private = allow_private
        self._written = (tuple(allow), tuple(deny))
        self._allowed = Places.read(allow, "allow")
        self._denied = Places.read(deny, "deny")

    def __repr__(self) -> str:
        allow, deny = map(list, self._written)
        return f"AddressRules(allow_private={self._allow_private}, allow={allow}, deny={deny})"

    def extended(
        self, *, allow_private: bool = False, allow: Sequence[str] = (), deny: Sequence[str] = ()
    ) -> "AddressRules":
        """These rules, and more of each kind. Raises `InvalidValue`."""
        if not (allow_private or allow or deny):
            return self
        allowed, denied = self._written
        return AddressRules(
            allow_private=self._allow_private or allow_private, allow=(*allowed, *allow), deny=(*denied, *deny)
        )

    def check_host(self, host: str) -> None:
        """Raise `AddressRefused` where the name alone is denied, before anybody is asked for its addresses."""
        if self._denied.have_host(host):
            raise AddressRefused(host, denied=True)

    def checked(self, host: str, addresses: Sequence[str]) -> Sequence[str]:
        """`addresses`, if every one of them may be called. Raises `AddressRefused`.

        One that may not refuses them all: their owner is the same.
        """
        self.check_host(host)
        for address in addresses:
            if self._denied.have_address(address):
                raise AddressRefused(host, address, denied=True)
            if not (self._allow_private or self._is_open(host, address)):
                raise AddressRefused(host, address)
        return addresses

    def _is_open(self, host: str, address: str) -> bool:
        return is_public(address) or self._allowed.have_host(host) or self._allowed.have_address(address)


PUBLIC_ONLY = AddressRules()
"""The rules where nothing is said."""


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None


def _host(entry: str, path: str) -> str:
    name = entry.lower().rstrip(".")
    if not _HOST.fullmatch(name):
        raise InvalidValue(
            path, "is no host, address or network", hint="write crm.internal, *.example.com or 10.1.0.0/16"
        )
    return name
