"""Which scopes a scope query selects (clause 4.19)."""

import pytest

from ngsi import scope_query
from ngsi.entity import Entity
from ngsi.errors import BadRequestData

pytestmark = pytest.mark.clause("4.19")

AT = "2026-03-01T08:00:00.000Z"


@pytest.mark.parametrize(
    ("text", "scopes", "expected"),
    [
        ("/Madrid/Gardens", ["/Madrid/Gardens"], True),
        ("/Madrid/Gardens", ["Madrid/Gardens"], True),
        ("/Madrid/Gardens", ["/Madrid/Gardens/Retiro"], False),
        ("/Madrid/Gardens", ["/Madrid"], False),
        ("/Madrid/#", ["/Madrid"], True),
        ("/Madrid/#", ["/Madrid/Gardens/Retiro"], True),
        ("/Madrid/#", ["/Madridejos"], False),
        ("/Madrid/+/Retiro", ["/Madrid/Gardens/Retiro"], True),
        ("/Madrid/+/Retiro", ["/Madrid/Retiro"], False),
        ("/Madrid/+", ["/Madrid"], False),
        ("/+/Gardens/#", ["Paris/Gardens/Tuileries/West"], True),
        ("/#", ["A"], True),
        ("/#", [], False),
        ("/A;/B", ["/A", "/B"], True),
        ("(/A;/B/#)", ["/A", "/C"], False),
        ("(/A;/B)|/C", ["/C"], True),
        ("/A,/C", ["/C"], True),
        ("/Çelik_1/ville", ["Çelik_1/ville"], True),
    ],
)
def test_scopes_are_selected(text: str, scopes: list[str], expected: bool) -> None:
    query = scope_query.parse(text)
    assert scope_query.compile(query)(Entity("urn:x:1", ["T"], AT, AT, {}, scopes)) is expected


@pytest.mark.parametrize(
    "text", ["", "Madrid", "/", "//", "/A/", "/#/A", "/A#", "/1A", "/A-B", "/A|", "(/A", "((/A))", "/A;;/B", "/A/++", 5]
)
def test_what_is_no_scope_query_is_refused(text: object) -> None:
    with pytest.raises(BadRequestData, match="scopeQ"):
        scope_query.parse(text)


def test_long_queries_are_refused_at_once() -> None:
    for text in ("/A|" * 101 + "/A", "/A" * 51, "(/A;" * 5000, "/+" * 100_000 + "!"):
        with pytest.raises(BadRequestData):
            scope_query.parse(text)
