"""Which hosts and addresses may be called."""

import pytest

from detent import InvalidValue
from detent_handlers import AddressRefused
from detent_handlers.address_rules import PUBLIC_ONLY, AddressRules


def allows(rules: AddressRules, host: str, *addresses: str) -> bool:
    try:
        rules.checked(host, addresses)
    except AddressRefused:
        return False
    return True


def test_without_rules_the_public_internet_may_be_called_and_nothing_else():
    assert allows(PUBLIC_ONLY, "shop.test", "1.1.1.1", "2606:4700:4700::1111")
    assert not allows(PUBLIC_ONLY, "shop.test", "1.1.1.1", "192.168.0.1")


@pytest.mark.parametrize(
    ("entry", "host", "address"),
    [
        ("10.0.0.5", "crm.test", "10.0.0.5"),
        ("10.0.0.0/8", "crm.test", "10.1.2.3"),
        ("10.0.0.1/8", "crm.test", "10.1.2.3"),
        ("10.0.0.0/8", "crm.test", "::ffff:10.1.2.3"),
        ("fd00::/8", "crm.test", "fd00::1"),
        ("crm.test", "crm.test", "10.1.2.3"),
        ("CRM.test.", "crm.TEST", "10.1.2.3"),
        ("*.internal.test", "a.b.internal.test", "10.1.2.3"),
    ],
)
def test_what_is_allowed_may_be_private(entry, host, address):
    assert allows(AddressRules(allow=[entry]), host, address)


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("10.0.0.0/8", "192.168.0.1.test"),
        ("crm.test", "evil-crm.test"),
        ("crm.test", "sub.crm.test"),
        ("crm.test", "crm.test.evil.test"),
        ("*.internal.test", "internal.test"),
        ("*.internal.test", "evilinternal.test"),
    ],
)
def test_what_is_allowed_opens_nothing_beside_it(entry, host):
    assert not allows(AddressRules(allow=[entry]), host, "192.168.0.1")


@pytest.mark.parametrize("entry", ["1.1.1.0/24", "ads.test", "*.test"])
def test_what_is_denied_is_refused_whatever_else_is_allowed(entry):
    rules = AddressRules(deny=[entry], allow=["ads.test", "1.1.1.1"], allow_private=True)
    with pytest.raises(AddressRefused, match="deny list") as refused:
        rules.checked("ads.test", ["1.1.1.1"])
    assert refused.value.denied


def test_a_denied_network_is_found_inside_an_ipv6_address():
    assert not allows(AddressRules(allow_private=True, deny=["169.254.0.0/16"]), "x.test", "64:ff9b::a9fe:a9fe")


def test_what_is_no_address_is_refused_unless_all_may_be_called():
    assert not allows(AddressRules(allow=["10.0.0.0/8"]), "x.test", "not an address")


def test_rules_that_are_extended_keep_what_they_deny():
    rules = AddressRules(deny=["10.0.0.1"]).extended(allow=["10.0.0.0/8"])
    assert allows(rules, "x.test", "10.0.0.2")
    assert not allows(rules, "x.test", "10.0.0.1")
    assert PUBLIC_ONLY.extended() is PUBLIC_ONLY


@pytest.mark.parametrize(
    "entry", ["", "https://crm.test", "crm.test/path", "a b", "*.", "*", "10.0.0.0/99", "crm..test"]
)
def test_an_entry_that_is_neither_host_nor_network_is_refused(entry):
    with pytest.raises(InvalidValue, match=r"deny\[1\]"):
        AddressRules(deny=["a.test", entry])
