"""Fixed words of ETSI GS CIM 009 (NGSI-LD API): versions, namespaces, attribute kinds and reserved terms."""

SPECIFICATION = "ETSI GS CIM 009 V1.8.1"

NGSI_LD = "https://uri.etsi.org/ngsi-ld/"
DEFAULT_CONTEXT = "https://uri.etsi.org/ngsi-ld/default-context/"
ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
CORE_CONTEXT_URL = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
CONTEXT_REL = "http://www.w3.org/ns/json-ld#context"

NULL = "urn:ngsi-ld:null"
"""NGSI-LD Null (clause 4.5.0): asks for the deletion of what it stands for."""

NO_DATASET = "@none"
"""The name of the default instance of an attribute, the one without datasetId (clause 4.5.5)."""

VALUE_MEMBER = {
    "Property": "value",
    "GeoProperty": "value",
    "Relationship": "object",
    "LanguageProperty": "languageMap",
    "VocabProperty": "vocab",
    "JsonProperty": "json",
    "ListProperty": "valueList",
    "ListRelationship": "objectList",
}
"""Attribute kind → the member that holds its value (clauses 4.5.2 to 4.5.24)."""

VALUE_MEMBERS = frozenset(VALUE_MEMBER.values())

PREVIOUS_MEMBER = {kind: "previous" + member[0].upper() + member[1:] for kind, member in VALUE_MEMBER.items()}
"""Attribute kind → the member that shows the former value in a notification with showChanges (clause 5.8.6)."""

PROOF_MEMBERS = frozenset({"entityIdSealed", "entityTypeSealed"})
"""Members that only the attribute `ngsildproof` has: what the proof in its value was made for (clause 4.5.2)."""

GEOMETRY_TYPES = frozenset({"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"})

OUTPUT_ONLY_MEMBERS = frozenset({"createdAt", "modifiedAt", "deletedAt", "instanceId", "lang", "entity", "entityList"})
"""Members that the broker adds to an attribute; ignored when a client sends them (clause 4.8)."""

SYSTEM_MEMBERS = frozenset({"createdAt", "modifiedAt", "deletedAt", "observedAt", "expiresAt"})
"""Temporal properties that a query can name at the end of a path (clause 4.8)."""

KEYWORDS = frozenset({"id", "@id", "type", "@type", "@context"})
"""Members that JSON-LD has a meaning for."""

RESERVED_NAMES = frozenset(
    {
        *KEYWORDS,
        "datasetId",
        "instanceId",
        "observedAt",
        "createdAt",
        "modifiedAt",
        "deletedAt",
        "expiresAt",
        "unitCode",
        "valueType",
        "lang",
        "entity",
        "entityList",
        "objectType",
        *PROOF_MEMBERS,
        *PREVIOUS_MEMBER.values(),
    }
)
"""Core terms of non-reified members: never the name of an attribute (clauses 4.5.1 and 5.5.7)."""

INNER_RESERVED_NAMES = RESERVED_NAMES | VALUE_MEMBERS
"""What is a member wherever it stands in an attribute, and so never the name of a sub-attribute (decision 10)."""
