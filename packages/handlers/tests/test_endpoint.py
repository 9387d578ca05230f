"""A URL is read once, and what could be a secret in it is never shown."""

import pytest

from detent import InvalidValue
from detent_handlers.endpoint import read_endpoint


def test_a_url_is_taken_apart():
    endpoint = read_endpoint("https://Hooks.example.com/in/t0ken?a=b%20c#part")
    assert (endpoint.host, endpoint.port, endpoint.authority) == ("hooks.example.com", 443, "hooks.example.com")
    assert endpoint.target == b"/in/t0ken?a=b%20c"


def test_a_url_without_path_asks_for_the_root():
    assert read_endpoint("https://hooks.example.com").target == b"/"


def test_a_port_and_an_ipv6_address_stay_in_the_host_header():
    endpoint = read_endpoint("https://[2606:4700::1]:8443/")
    assert (endpoint.host, endpoint.port, endpoint.authority) == ("2606:4700::1", 8443, "[2606:4700::1]:8443")
    assert str(endpoint.at("2606:4700::2")) == "https://[2606:4700::2]:8443/"


def test_a_name_in_another_script_is_called_in_ascii():
    endpoint = read_endpoint("https://münchen.example/")
    assert (endpoint.host, endpoint.authority) == ("xn--mnchen-3ya.example",) * 2


def test_an_endpoint_shows_neither_path_nor_query():
    endpoint = read_endpoint("https://hooks.example.com/in/t0ken?key=t0ken")
    assert "t0ken" not in repr(endpoint) + endpoint.origin + str(endpoint.at("1.1.1.1"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.com/t0ken", "is not https"),
        ("ftp://hooks.example.com/t0ken", "does not start with https://"),
        ("file:///etc/t0ken", "does not start with https://"),
        ("hooks.example.com/t0ken", "does not start with https://"),
        ("", "does not start with https://"),
        ("https://user:t0ken@hooks.example.com/", "holds a user name or a password"),
        ("https://t0ken@hooks.example.com/", "holds a user name or a password"),
        ("https:///t0ken", "names no host"),
        ("https://hooks%2eexample.com/t0ken", "names no host"),
        ("https://hooks example.com/t0ken", "names no host"),
        ("https://hooks.example.com:99999/t0ken", "names no host and port"),
        ("https://hooks.example.com/t0ken\r\nx: y", "is not a URL"),
        ("https://[::1/t0ken", "is not a URL"),
    ],
)
def test_a_url_that_must_not_be_called_is_refused_without_being_shown(url, reason):
    with pytest.raises(InvalidValue, match=reason) as refused:
        read_endpoint(url)
    assert "t0ken" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_plain_http_has_to_be_asked_for():
    assert read_endpoint("http://hooks.example.com", allow_http=True).port == 80
