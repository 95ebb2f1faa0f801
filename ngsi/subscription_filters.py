"""The members of a subscription that filter and shape: checked by their grammars, held so that they can be compiled.

| member                 | held as                                                | compiled by                    |
| q                      | the text of the client                                 | `condition`                    |
| expandValues           | array of IRIs                                          | `condition`                    |
| jsonKeys               | array of IRIs                                          | nobody: brackets are raw keys  |
| csf                    | the text of the client                                 | `ngsi.query.parse`             |
| geoQ                   | as sent, its geoproperty as IRI: any @context reads it | `ngsi.geo_query.parse`         |
| scopeQ                 | the text of the client                                 | `ngsi.scope_query.parse`       |
| lang                   | the text of the client                                 | `ngsi.language.parse`          |
| datasetId              | array of URIs and "@none"                              |                                |
| ngsildConformance      | the text of the client                                 | `conformance.require_version`  |
| temporalQ              | as sent; it concerns registrations, never entities     |                                |

q and csf are read with the @context that `ngsi.subscription.context_of` names.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ngsi import conformance, geo_query, language, query, scope_query
from ngsi.checks import require_array, require_object, require_text
from ngsi.context import Context
from ngsi.names import iri, require_name, require_uri
from ngsi.query_tree import Node
from ngsi.temporal_query import require_temporal_query
from ngsi.vocabulary import NO_DATASET


def condition(members: Mapping[str, Any], context: Context) -> Node | None:
    """The `q` of a subscription's members as a tree, None without one. Raises BadRequestData."""
    if "q" not in members:
        return None
    expanded = frozenset(members.get("expandValues", ()))
    return query.parse(query.decoded(members["q"]), context, expand_values=expanded)


def show_names(held: Sequence[str], context: Context) -> str:
    """An expandValues or jsonKeys in the names of the reader."""
    return ",".join(context.compact(context.expand(name)) for name in held)


def read_text(value: object, context: Context) -> str:
    """q: it is checked by `condition`, together with expandValues."""
    return require_text(value, "q")


def read_csf(value: object, context: Context) -> str:
    """csf, which has the grammar of q."""
    text = require_text(value, "csf")
    query.parse(query.decoded(text), context)
    return text


def read_geo_query(value: object, context: Context) -> dict[str, Any]:
    """geoQ (clause 5.2.13)."""
    body = require_object(value, "geoQ")
    geo_query.parse({"georel": None, **body}, context)
    held = {member: body[member] for member in ("georel", "geometry", "coordinates")}
    if "geoproperty" in body:
        held["geoproperty"] = iri(context.expand(body["geoproperty"]))
    return held


def show_geo_query(held: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """geoQ in the names of the reader."""
    shown = dict(held)
    if "geoproperty" in held:
        shown["geoproperty"] = context.compact(context.expand(held["geoproperty"]))
    return shown


def read_scope_query(value: object, context: Context) -> str:
    """scopeQ."""
    text = require_text(value, "scopeQ")
    scope_query.parse(text)
    return text


def read_languages(value: object, context: Context) -> str:
    """lang."""
    text = require_text(value, "lang")
    language.parse(text)
    return text


def read_datasets(value: object, context: Context) -> list[str]:
    """datasetId."""
    return [
        NO_DATASET if item == NO_DATASET else require_uri(item, "datasetId: item")
        for item in require_array(value, "datasetId")
    ]


def read_names(value: object, what: str, context: Context) -> list[str]:
    """expandValues and jsonKeys: names separated by commas."""
    listed = require_text(value, what).split(",")
    return [iri(context.expand(require_name(name.strip(), f"{what}: item"))) for name in listed]


def read_temporal_query(value: object, context: Context) -> dict[str, Any]:
    """temporalQ."""
    return require_temporal_query(value, "temporalQ")


def read_conformance(value: object, context: Context) -> str:
    """ngsildConformance."""
    conformance.require_version(value, "ngsildConformance")
    return str(value)
