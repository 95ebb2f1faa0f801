"""Temporal queries (clause 4.11), the data type TemporalQuery (clause 5.2.21): its grammar.

timerel      = "before" / "after" / "between"
timeAt       = DateTime
endTimeAt    = DateTime                                ; with between, and only there
timeproperty = "observedAt" / "createdAt" / "modifiedAt" / "deletedAt"
"""

from typing import Any

from ngsi.checks import require_choice, require_object
from ngsi.datetimes import require_datetime
from ngsi.errors import BadRequestData
from ngsi.names import show

RELATIONS = ("before", "after", "between")
PROPERTIES = ("observedAt", "createdAt", "modifiedAt", "deletedAt")
_MEMBERS = ("timerel", "timeAt", "endTimeAt", "timeproperty")


def require_temporal_query(value: object, what: str) -> dict[str, Any]:
    """The members of a TemporalQuery, checked; BadRequestData that names `what` it is."""
    body = require_object(value, what)
    for member in body:
        if member not in _MEMBERS:
            raise BadRequestData(f"{what} has no member {show(member)}; it has {', '.join(_MEMBERS)}")
    relation = require_choice(body.get("timerel"), RELATIONS, f"{what}: timerel")
    query = {"timerel": relation, "timeAt": require_datetime(body.get("timeAt"), f"{what}: timeAt")}
    if (relation == "between") != ("endTimeAt" in body):
        raise BadRequestData(f"{what}: endTimeAt goes with the timerel between, and between with endTimeAt")
    if "endTimeAt" in body:
        query["endTimeAt"] = require_datetime(body["endTimeAt"], f"{what}: endTimeAt")
    if "timeproperty" in body:
        query["timeproperty"] = require_choice(body["timeproperty"], PROPERTIES, f"{what}: timeproperty")
    return query
