"""How entities are shown, in answers and notifications: what is left out, in which language, form and version."""

from dataclasses import dataclass, field, replace
from typing import Any

from ngsi import language
from ngsi.conformance import Version, conformed
from ngsi.context import Context
from ngsi.entity import Entity, dataset
from ngsi.projection import ENTITY_MEMBERS, WHOLE, Projection, reduced
from ngsi.representation import Form, render


@dataclass(slots=True)
class Presentation:
    """What a client says about how entities are shown.

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


def _with_datasets(entity: Entity, wanted: frozenset[str]) -> Entity:
    """The entity with the instances of those datasetIds; an attribute that has none is gone (clause 4.5.5)."""
    kept = {
        key: left
        for key, instances in entity.attributes.items()
        if (left := [instance for instance in instances if dataset(instance) in wanted])
    }
    return replace(entity, attributes=kept)
