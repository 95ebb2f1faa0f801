"""Which addresses may be connected to on behalf of clients."""

import pytest

from broker.address_rule import address_rule, literal
from broker.settings import Settings


@pytest.mark.parametrize(
    ("rule", "permitted", "refused"),
    [
        (
            "public",
            ["8.8.8.8", "2606:4700::1"],
            ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "0.0.0.0", "fe80::1"],
        ),
        ("any", ["127.0.0.1", "8.8.8.8", "::1"], ["2130706433", "nonsense", ""]),
        ("", [], ["8.8.8.8", "127.0.0.1"]),
        ("public, 10.1.0.0/16", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"], ["10.2.0.1", "127.0.0.1"]),
        ("127.0.0.1,fd00::/8", ["127.0.0.1", "fd00::1"], ["127.0.0.2", "8.8.8.8", "fe80::1"]),
        ("public,pilot", ["8.8.8.8"], ["172.18.0.2"]),
    ],
)
def test_addresses(rule: str, permitted: list[str], refused: list[str]) -> None:
    read = address_rule(rule)
    assert [address for address in permitted + refused if read.permits(address)] == permitted


@pytest.mark.parametrize(
    ("host", "is_refused"),
    [
        ("127.0.0.1", True),
        ("LOCALHOST", True),
        ("api.localhost.", True),
        ("127.1", True),
        ("0x7f000001", True),
        ("2130706433", True),
        ("0177.0.0.1", True),
        ("::1", True),
        ("::ffff:169.254.169.254", True),
        ("10.1.2.3", False),
        ("93.184.216.34", False),
        ("pilot", False),
        ("PILOT.", False),
        ("city.example", False),
        ("1und1.example", False),
        ("0xcafe", True),
    ],
)
def test_hosts_that_are_refused_before_any_look_up(host: str, is_refused: bool) -> None:
    assert (address_rule("public,10.1.0.0/16,pilot").refused(host) is not None) is is_refused
    assert address_rule("any").refused(host) is None


@pytest.mark.parametrize(
    "text", ["10.0.0.0/40", "http://pilot", "a b", "10.0.0.300", "é.example", "[::1]", "*", "public;any"]
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(ValueError, match="is neither public, any, a network"):
        address_rule(text)
    with pytest.raises(ValueError, match="is neither public, any, a network"):
        Settings(notify_addresses=text)


def test_names_are_not_taken_for_addresses() -> None:
    assert [literal(host) for host in ("fade.example", "1x.example", "a", "", "3com")] == [None] * 5
