"""The terms of the NGSI-LD core @context (clause 4.4, annex B), v1.8 with the additions of v1.9.

Every published version is served by this one table: a term never changed its meaning between versions.
"""

from ngsi.vocabulary import NGSI_LD

GEOJSON = "https://purl.org/geojson/vocab#"

PREFIXES = {"ngsi-ld": NGSI_LD, "geojson": GEOJSON}

CORE_URLS = frozenset(
    f"{scheme}://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context{version}.jsonld"
    for scheme in ("http", "https")
    for version in ("", "-v1.3", "-v1.4", "-v1.5", "-v1.6", "-v1.7", "-v1.8", "-v1.9")
)
"""The published addresses: exact names, so that a misspelt one fails instead of passing for the core."""

# Terms that stand for `ngsi-ld:<term>`.
_PLAIN = """
Attribute AttributeList ContextSourceIdentity ContextSourceNotification ContextSourceRegistration Date DateTime
EntityMap EntityType EntityTypeInfo EntityTypeList ExecutionResultDetails GeoProperty JsonProperty LanguageProperty
ListProperty ListRelationship Notification Property Relationship Snapshot SnapshotNotification Subscription
TemporalProperty Time VocabProperty accept aggrMethods aggrParams aggrPeriodDuration attributeCount attributeDetails
attributeList attributeName attributeNames attributeTypes attributes attrs avg cacheDuration collation
contextSourceAlias contextSourceExtras contextSourceInfo contextSourceTimeAt contextSourceUptime cooldown createdAt
csf data datasetId deletedAt detail distinctCount endAt endTimeAt endpoint entities entity entityCount entityId
entityList error errors expandValues expiresAt format geoQ geoproperty georel idPattern information instanceId
isActive join jsonKeys jsonldContext jsons lang lastFailure lastN lastNotification lastSuccess lastUsedAt linkedMaps
localOnly location management managementInterval max min mode modifiedAt ngsildConformance ngsildproof notUpdated
notification notificationTrigger notifiedAt notifierInfo observationInterval observationSpace observedAt omit
operationSpace operations orderBy ordering pick problemDetails propertyNames q reason receiverInfo refreshRate
registrationId registrationName relationshipNames resultStatus scope scopeQ showChanges snapshotId snapshotLifetime
snapshotPriority snapshotQueries snapshotQueriesDetails snapshotStatus snapshotTemporalQueries
snapshotTemporalQueriesDetails startAt status stddev subscriptionId subscriptionName success sum sumsq sysAttrs
temporalQ tenant throttling timeAt timeInterval timeout timeproperty timerel timesFailed timesSent totalCount
triggerReason typeList typeName typeNames unchanged unitCode updated uri watchedAttributes
"""

# Terms that stand for `geojson:<term>`.
_GEOJSON = """
Feature FeatureCollection GeometryCollection LineString MultiLineString MultiPoint MultiPolygon Point Polygon bbox
coordinates features geometry geometryProperty properties
"""

# Terms whose IRI has another local name.
_RENAMED = {
    "containedBy": "isContainedBy",
    "dataset": "hasDataset",
    "entityMap": "hasEntityMap",
    "entityMapLifetime": "hasEntityMapLifetime",
    "joinLevel": "hasJoinLevel",
    "json": "hasJSON",
    "key": "hasKey",
    "languageMap": "hasLanguageMap",
    "languageMaps": "hasLanguageMaps",
    "object": "hasObject",
    "objectList": "hasObjectList",
    "objectLists": "hasObjectLists",
    "objectType": "hasObjectType",
    "objects": "hasObjects",
    "objectsLists": "hasObjectsLists",
    "previousJson": "hasPreviousJson",
    "previousLanguageMap": "hasPreviousLanguageMap",
    "previousObject": "hasPreviousObject",
    "previousObjectList": "hasPreviousObjectList",
    "previousValue": "hasPreviousValue",
    "previousValueList": "hasPreviousValueList",
    "previousVocab": "hasPreviousVocab",
    "splitEntities": "hasSplitEntities",
    "value": "hasValue",
    "valueList": "hasValueList",
    "valueLists": "hasValueLists",
    "valueType": "hasValueType",
    "values": "hasValues",
    "vocab": "hasVocab",
    "vocabs": "hasVocabs",
}

TERMS: dict[str, str] = {
    "id": "@id",
    "type": "@type",
    "title": "http://purl.org/dc/terms/title",
    "description": "http://purl.org/dc/terms/description",
    "langString": "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString",
    **{term: NGSI_LD + term for term in _PLAIN.split()},
    **{term: GEOJSON + term for term in _GEOJSON.split()},
    **{term: NGSI_LD + local for term, local in _RENAMED.items()},
}
"""Term → IRI (or keyword) of the core @context."""
