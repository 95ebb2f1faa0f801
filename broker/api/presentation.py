"""How the entities of an answer are shown: what is left out, in which language, form and version (clause 6.3.7 and
those of the single parameters)."""

from dataclasses import dataclass, field, replace
from typing import Any

from broker.api.answers import preferred
from broker.api.exchange import GEO_JSON, Request
from broker.api.parameters import representation
from ngsi import language
from ngsi.conformance import Version, conformed
from ngsi.context import Context
from ngsi.entity import Entity, dataset
from ngsi.errors import BadRequestData
from ngsi.names import require_name, require_uri, show
from ngsi.projection import ENTITY_MEMBERS, WHOLE, Projection, parse, reduced, require_apart
from ngsi.representation import Form, render
from ngsi.vocabulary import NO_DATASET

JOINS = ("flat", "inline", "@none")
JOIN_LEVEL_MAX = 10
_PLAIN_MEMBERS = frozenset({"id", "type", "scope"})


@dataclass(slots=True)
class Presentation:
    """What a request says about how entities are shown.

    `languages`: ranges, the most wanted first. `datasets`: the datasetIds (and `@none`) that are shown. `join_level`:
    how many links away linked entities are shown, 0 without `join`. `contained_by`: ids that no link is followed to.
    `is_altered` tells, once entities have been shown, whether `version` made any of them differ.
    """

    context: Context
    form: Form = "normalized"
    sysattrs: bool = False
    projection: Projection = WHOLE
    languages: list[str] | None = None
    datasets: frozenset[str] | None = None
    version: Version | None = None
    join: str = "@none"
    join_level: int = 0
    contained_by: frozenset[str] = frozenset()
    is_altered: bool = field(default=False)

    def reduced(self, entity: Entity, projection: Projection) -> Entity:
        """The entity with what is wanted of it, in the language wanted."""
        entity = reduced(entity, projection)
        if self.datasets is not None:
            entity = _with_datasets(entity, self.datasets)
        return entity if self.languages is None else language.in_language(entity, self.languages)

    def rendered(self, entity: Entity, projection: Projection) -> dict[str, Any]:
        """A reduced entity as a JSON object."""
        shown = self._rendered(entity, projection)
        if self.version is None:
            return shown
        earlier = self._rendered(conformed(entity, self.version, self.context), projection)
        self.is_altered = self.is_altered or earlier != shown
        return earlier

    def shown(self, entity: Entity) -> dict[str, Any]:
        """An entity as a JSON object, without what it is linked to; empty if nothing of it is wanted."""
        return self.rendered(self.reduced(entity, self.projection), self.projection)

    def _rendered(self, entity: Entity, projection: Projection) -> dict[str, Any]:
        shown = render(entity, self.context, self.form, sysattrs=self.sysattrs)
        if not projection.shows_all:
            for member in ENTITY_MEMBERS:
                if member in shown and not projection.shows(member):
                    del shown[member]
        return shown


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


def _with_datasets(entity: Entity, wanted: frozenset[str]) -> Entity:
    """The entity with the instances of those datasetIds; an attribute that has none is gone (clause 4.5.5)."""
    kept = {
        key: left
        for key, instances in entity.attributes.items()
        if (left := [instance for instance in instances if dataset(instance) in wanted])
    }
    return replace(entity, attributes=kept)
