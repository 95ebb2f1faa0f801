"""Parameters that several operations share, read from a request (clauses 6.3.7, 6.3.10 and 5.7.2)."""

from dataclasses import dataclass

from broker.api.exchange import Request
from ngsi import selection
from ngsi.errors import BadRequestData, InvalidRequest, TooManyResults
from ngsi.names import is_name, is_uri, show
from ngsi.representation import Form

_LIMIT_DEFAULT = 20
_LIMIT_MAX = 1000

_FORMS: dict[str, Form] = {
    "normalized": "normalized",
    "concise": "concise",
    "simplified": "simplified",
    "keyValues": "simplified",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the results is wanted, and whether their number is."""

    limit: int
    offset: int
    count: bool


def page(request: Request) -> Page:
    """limit, offset and count (clause 6.3.10)."""
    limit = request.number("limit", _LIMIT_DEFAULT)
    count = request.flag("count")
    if limit == 0 and not count:
        raise BadRequestData("limit=0 asks for nothing; add count=true to get the number of results alone")
    if limit > _LIMIT_MAX:
        raise TooManyResults(f"limit={limit} is over {_LIMIT_MAX}; ask for pages with limit and offset")
    return Page(limit, request.number("offset", 0), count)


def representation(request: Request) -> tuple[Form, bool]:
    """The form asked for by `format` or `options`, and whether `options` has sysAttrs (clause 6.3.7)."""
    keywords = options(request, {*_FORMS, "sysAttrs"})
    form = request.parameters.get("format")
    if form is None:
        form = next((keyword for keyword in keywords if keyword in _FORMS), "normalized")
    elif form not in _FORMS:
        raise InvalidRequest(f"format={show(form)} is unknown; it is one of {', '.join(_FORMS)}")
    return _FORMS[form], "sysAttrs" in keywords


def options(request: Request, known: set[str]) -> list[str]:
    """The keywords of the parameter `options`; InvalidRequest for one that is not known."""
    value = request.parameters.get("options")
    if value is None:
        return []
    keywords = value.split(",")
    for keyword in keywords:
        if keyword not in known:
            raise InvalidRequest(f"options={show(keyword)} is unknown here; it takes {', '.join(sorted(known))}")
    return keywords


def entity_id(request: Request) -> str:
    """The entity id of the path."""
    if not is_uri(request.path[0]):
        raise BadRequestData(f"Entity id {show(request.path[0])} is not a URI; write one such as urn:ngsi-ld:Room:1")
    return request.path[0]


def attribute_key(request: Request) -> str:
    """The key of the attribute of the path; `ngsi-ld:scope` for the scope."""
    name = request.path[1]
    if not is_name(name):
        raise BadRequestData(f"Attribute {show(name)} is not a legal name")
    return request.context.expand(name)


def selected_types(request: Request, expression: str) -> selection.Alternatives:
    """The alternatives of an entity type selection (clause 4.17), with the names of the request's @context."""
    return selection.alternatives(selection.expand(expression, request.context))
