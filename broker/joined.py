"""Linked entities in answers and notifications (clause 4.5.23): fetched level by level, shown inside the entities or
after them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

import orjson

from ngsi.entity import Entity
from ngsi.errors import TooManyResults
from ngsi.linked import embedded, targets
from ngsi.presentation import Presentation
from ngsi.projection import Projection

LINKED_MAX = 5000
"""Linked entities in one answer; an entity that is shown in several places counts each time."""

BYTES_MAX = 32_000_000
"""What the entities of one answer may come to, and those linked to them: all of them are held until it is made."""
_READ_COUNT = 100
"""Linked entities read at a time, so that what is too much is noticed before all of it is there."""

Shown = dict[str, Any]

GetAll = Callable[[Sequence[str]], Awaitable[list[Entity]]]
"""Gives those of the entities that exist."""


class _Budget:
    """Counts the bytes of entities."""

    def __init__(self) -> None:
        self._left_bytes = BYTES_MAX

    def take(self, entity: Entity) -> None:
        """Counts one more. Raises TooManyResults."""
        self._left_bytes -= len(orjson.dumps(entity.attributes))
        if self._left_bytes < 0:
            raise TooManyResults(
                f"The entities, or those linked to them, come to more than {BYTES_MAX} bytes; ask for fewer or leave "
                "join out"
            )


async def collected(found: AsyncGenerator[Entity]) -> list[Entity]:
    """All of the entities. Raises TooManyResults."""
    budget, entities = _Budget(), []
    async with aclosing(found):
        async for entity in found:
            budget.take(entity)
            entities.append(entity)
    return entities


async def show_joined(
    get_all: GetAll, view: Presentation, entities: Sequence[Entity]
) -> tuple[list[Shown], dict[str, Shown]]:
    """The entities as JSON objects with those that they are linked to: inside of them, or (`join=flat`) apart, by id.

    An object is empty where nothing of the entity is wanted. Raises TooManyResults.
    """
    fetched = await _fetch(get_all, view, entities)
    if view.join == "inline":
        graph = _Graph(view, {**{known: entity for known, (entity, _) in fetched.items()}, **_by_id(entities)})
        return [graph.show(entity, view.projection, view.join_level, frozenset({entity.id})) for entity in entities], {}
    linked = {known: view.rendered(view.reduced(entity, wanted), wanted) for known, (entity, wanted) in fetched.items()}
    return [view.shown(entity) for entity in entities], linked


def _by_id(entities: Sequence[Entity]) -> dict[str, Entity]:
    return {entity.id: entity for entity in entities}


async def _fetch(get_all: GetAll, view: Presentation, roots: Sequence[Entity]) -> dict[str, tuple[Entity, Projection]]:
    """The entities linked to the roots, other than themselves, the nearest first; each with what is wanted of it.

    One read for a level. An entity that several links lead to is followed further for each different wish.
    """
    known: dict[str, Entity | None] = {**_by_id(roots)}
    fetched: dict[str, tuple[Entity, Projection]] = {}
    frontier = [(view.reduced(entity, view.projection), view.projection) for entity in roots]
    followed = {(entity.id, wanted.wish) for entity, wanted in frontier}
    budget = _Budget()
    for _ in range(view.join_level):
        if not frontier:
            break
        links = {
            (linked_id, wanted.wish): wanted
            for entity, projection in frontier
            for linked_id, wanted in targets(entity, projection)
            if linked_id not in view.contained_by
        }
        missing = list(dict.fromkeys(linked_id for linked_id, _ in links if linked_id not in known))
        if len(fetched) + len(missing) > LINKED_MAX:
            raise TooManyResults(
                f"The entities are linked to more than {LINKED_MAX} others; ask for fewer, a smaller joinLevel, "
                "or pick the Relationships to follow"
            )
        known.update(dict.fromkeys(missing))
        for start in range(0, len(missing), _READ_COUNT):
            for linked in await get_all(missing[start : start + _READ_COUNT]):
                budget.take(linked)
                known[linked.id] = linked
        frontier = []
        new = frozenset(missing)
        for link, wanted in links.items():
            entity = known[link[0]]
            if entity is None or link in followed:
                continue
            followed.add(link)
            frontier.append((view.reduced(entity, wanted), wanted))
            if entity.id in new:
                fetched.setdefault(entity.id, (entity, wanted))
    return fetched


class _Graph:
    """Shows entities with those that they are linked to inside; never one inside itself."""

    def __init__(self, view: Presentation, known: dict[str, Entity]) -> None:
        self._view = view
        self._known = known
        self._count = 0
        self._budget = _Budget()

    def show(self, entity: Entity, projection: Projection, levels: int, path: frozenset[str]) -> Shown:
        """The entity with linked ones `levels` links deep. `path`: the ids that it is inside of, and its own."""
        view = self._view
        entity = view.reduced(entity, projection)
        if levels:

            def show_linked(linked_id: str, wanted: Projection) -> Shown | None:
                linked = self._known.get(linked_id)
                if linked is None or linked_id in path or linked_id in view.contained_by:
                    return None
                self._count += 1
                if self._count > LINKED_MAX:
                    raise TooManyResults(
                        f"The entities are linked to others in more than {LINKED_MAX} places; ask for fewer or a "
                        "smaller joinLevel, or use join=flat, which shows each once"
                    )
                self._budget.take(linked)
                return self.show(linked, wanted, levels - 1, path | {linked_id}) or None

            entity = embedded(entity, projection, show_linked, simplified=view.form == "simplified")
        return view.rendered(entity, projection)
