"""How the entities of an answer are shown, read from a request (clause 6.3.7 and those of the single parameters)."""

from broker.api.answers import preferred
from broker.api.exchange import Request
from broker.api.media import GEO_JSON
from broker.api.parameters import representation
from ngsi import language
from ngsi.errors import BadRequestData
from ngsi.linked import JOIN_LEVEL_MAX
from ngsi.names import require_name, require_uri, show
from ngsi.presentation import Presentation
from ngsi.projection import WHOLE, Projection, parse, require_apart
from ngsi.vocabulary import NO_DATASET

JOINS = ("flat", "inline", "@none")
_PLAIN_MEMBERS = frozenset({"id", "type", "scope"})


def presentation(request: Request) -> Presentation:
    """The parameters and the Prefer header of a request; BadRequestData or InvalidRequest if they are wrong."""
    parameters = request.parameters
    if "geometryProperty" in parameters:
        if request.accept != GEO_JSON:
            raise BadRequestData(f"geometryProperty goes with Accept: {GEO_JSON} only; leave it out")
        require_name(parameters["geometryProperty"], "geometryProperty")
    form, sysattrs = representation(request)
    made = Presentation(request.context, form, sysattrs, projection(request))
    if "lang" in parameters:
        made.languages = language.parse(parameters["lang"])
    if "datasetId" in parameters:
        made.datasets = frozenset(_dataset(name) for name in request.names("datasetId") or ())
    made.version = preferred(request)
    _read_join(request, made)
    return made


def projection(request: Request) -> Projection:
    """attrs, pick and omit (clauses 4.21 and 6.4.3.2)."""
    parameters, context = request.parameters, request.context
    attrs = request.names("attrs")
    pick = parse(parameters["pick"], context, "pick") if "pick" in parameters else None
    omit = parse(parameters["omit"], context, "omit") if "omit" in parameters else {}
    if attrs is not None:
        if pick is not None or omit:
            raise BadRequestData("attrs goes neither with pick nor with omit; use pick alone")
        if not _PLAIN_MEMBERS.isdisjoint(attrs):
            raise BadRequestData("attrs lists attributes only, not id, type or scope; use pick for these")
        return Projection(attrs=frozenset(map(context.expand, attrs)))
    if pick is None and not omit:
        return WHOLE
    require_apart(pick or {}, omit)
    return Projection(pick, omit)


def _read_join(request: Request, made: Presentation) -> None:
    """join, joinLevel and containedBy (clause 4.5.23), and that the projection stays within them."""
    made.join = request.parameters.get("join", "@none")
    if made.join not in JOINS:
        raise BadRequestData(f"join={show(made.join)} is unknown; it is one of {', '.join(JOINS)}")
    level = request.number("joinLevel", 1)
    if level < 1:
        raise BadRequestData("joinLevel counts the links that are followed; it is 1 at least")
    contained_by = request.names("containedBy")
    if contained_by is not None:
        made.contained_by = frozenset(require_uri(item, "containedBy:") for item in contained_by)
    if made.join != "@none":
        if level > JOIN_LEVEL_MAX:
            raise BadRequestData(f"joinLevel={level} is over {JOIN_LEVEL_MAX}")
        made.join_level = level
    depth = made.projection.depth
    if depth > made.join_level:
        raise BadRequestData(
            f"pick and omit speak of entities {depth} links away; "
            + (f"joinLevel is {level}" if made.join_level else "add join=inline or join=flat")
        )


def _dataset(name: str) -> str:
    return name if name == NO_DATASET else require_uri(name, "datasetId")
