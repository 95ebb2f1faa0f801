"""The places of NGSI-LD that this broker does not fill yet: each answers 501 OperationNotSupported."""

from broker.api.routing import Operation, Resource, not_offered

_PLACES = [
    ("csourceRegistrations", "GET POST", "5.9"),
    ("csourceRegistrations/{registrationId}", "GET PATCH DELETE", "5.9"),
    ("csourceSubscriptions", "GET POST", "5.11"),
    ("csourceSubscriptions/{subscriptionId}", "GET PATCH DELETE", "5.11"),
    ("temporal/entities", "GET POST", "5.7.4"),
    ("temporal/entities/{entityId}", "GET DELETE", "5.7.3"),
    ("temporal/entities/{entityId}/attrs", "POST", "5.6.12"),
    ("temporal/entities/{entityId}/attrs/{attributeName}", "DELETE", "5.6.13"),
    ("temporal/entities/{entityId}/attrs/{attributeName}/{instanceId}", "PATCH DELETE", "5.6.14"),
    ("temporal/entityOperations/query", "POST", "5.7.4"),
    ("entityMaps", "GET POST", "5.14"),
    ("entityMaps/{entityMapId}", "GET PATCH DELETE", "5.14"),
    ("snapshots", "POST DELETE", "5.16"),
    ("snapshots/{snapshotId}", "GET PATCH DELETE", "5.16"),
    ("snapshots/{snapshotId}/clone", "POST", "5.16"),
]


def _name(path: str, method: str) -> str:
    steps = [step.strip("{}") for step in path.split("/")]
    return method.lower() + "".join(step[0].upper() + step[1:] for step in steps)


RESOURCES = [
    Resource(
        f"/ngsi-ld/v1/{path}",
        {method: Operation(_name(path, method), clause, not_offered) for method in methods.split()},
    )
    for path, methods, clause in _PLACES
]
