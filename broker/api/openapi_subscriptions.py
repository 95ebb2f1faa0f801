"""The JSON schemas of subscriptions (clauses 5.2.12 to 5.2.15) and of what is told about them, with examples."""

from broker.api.openapi_query import GEO_QUERY
from broker.api.openapi_words import CONTEXT, MOMENT, NAMES, SELECTOR, TEXTS, URI, Schema, describe
from ngsi.subscription import TRIGGERS
from ngsi.temporal_query import PROPERTIES, RELATIONS

_SECONDS: Schema = {"type": "number", "exclusiveMinimum": 0, "description": "Seconds"}
_MILLISECONDS: Schema = {"type": "number", "exclusiveMinimum": 0, "description": "Milliseconds"}
_COUNT: Schema = {"type": "integer", "minimum": 1}
_PAIRS: Schema = {
    "type": "array",
    "items": describe("A pair", {"key": {"type": "string"}, "value": {"type": "string"}}, ["key", "value"]),
}

_ENDPOINT = describe(
    "The receiver",
    {
        "uri": {
            **URI,
            "description": "http, https, mqtt or mqtts (the path is the topic); `stream:` for streams only",
            "examples": ["http://127.0.0.1:3000/notify", "mqtt://127.0.0.1:1883/campus/alerts"],
        },
        "accept": {"enum": ["application/json", "application/ld+json", "application/geo+json"]},
        "timeout": {**_MILLISECONDS, "description": "Milliseconds until a delivery counts as failed"},
        "cooldown": {**_MILLISECONDS, "description": "Milliseconds without any attempt after one that failed"},
        "receiverInfo": {
            **_PAIRS,
            "description": "Headers for the receiver. Values that may be credentials are shown as ***, "
            "and *** sent back means the value that is there",
        },
        "notifierInfo": {**_PAIRS, "description": "Settings of the sending: MQTT-Version, MQTT-QoS, Backlog"},
    },
    ["uri"],
)
_NOTIFICATION = describe(
    "Where to, and what",
    {
        "endpoint": _ENDPOINT,
        "format": {"enum": ["normalized", "concise", "simplified", "keyValues"]},
        "pick": {**TEXTS, "description": "Members to show; with join also as in partOf{id,name}"},
        "omit": {**TEXTS, "description": "Members to leave out"},
        "attributes": {**TEXTS, "description": "Attributes to show (deprecated; pick takes its place)"},
        "sysAttrs": {"type": "boolean", "description": "With createdAt, modifiedAt …"},
        "showChanges": {"type": "boolean", "description": "With the previous value of what changed"},
        "join": {"enum": ["flat", "inline", "@none"]},
        "joinLevel": _COUNT,
    },
    ["endpoint"],
)
_MEMBERS: Schema = {
    "type": {"const": "Subscription"},
    "subscriptionName": {"type": "string"},
    "description": {"type": "string"},
    "entities": {"type": "array", "items": SELECTOR, "minItems": 1},
    "watchedAttributes": TEXTS,
    "notificationTrigger": {"type": "array", "items": {"enum": list(TRIGGERS)}, "minItems": 1},
    "timeInterval": {**_SECONDS, "description": "Seconds between notifications that do not wait for a change"},
    "throttling": {**_SECONDS, "description": "Seconds at least between two notifications"},
    "q": {"type": "string", "examples": ["temperature>25"]},
    "geoQ": GEO_QUERY,
    "scopeQ": {"type": "string", "examples": ["/Campus/#"]},
    "csf": {"type": "string", "description": "Which context sources; entities of this broker need none"},
    "temporalQ": describe(
        "Checked and kept; it is for subscriptions to registrations (clause 5.2.21)",
        {
            "timerel": {"enum": list(RELATIONS)},
            "timeAt": MOMENT,
            "endTimeAt": MOMENT,
            "timeproperty": {"enum": list(PROPERTIES)},
        },
        ["timerel", "timeAt"],
    ),
    "lang": {"type": "string", "examples": ["fr,en;q=0.5"]},
    "datasetId": {**TEXTS, "description": "The instances to show, by URI; @none is the one without"},
    "expandValues": {
        "type": "string",
        "description": "Attributes, with commas, whose values in q are vocabulary terms",
    },
    "jsonKeys": {"type": "string", "description": "Attributes, with commas, whose members in q are raw keys"},
    "isActive": {"type": "boolean", "description": "false pauses"},
    "expiresAt": MOMENT,
    "localOnly": {"type": "boolean"},
    "splitEntities": {"type": "boolean"},
    "ngsildConformance": {"type": "string", "description": "The version of NGSI-LD to show entities in"},
    "jsonldContext": {**URI, "description": "The @context of the notifications"},
    "notification": _NOTIFICATION,
}
_EXAMPLE = {
    "type": "Subscription",
    "entities": [{"type": "Room"}],
    "watchedAttributes": ["temperature"],
    "q": "temperature>25",
    "throttling": 5,
    "notification": {"endpoint": {"uri": "http://127.0.0.1:3000/notify", "accept": "application/json"}},
}

SUBSCRIPTION_SCHEMAS: dict[str, Schema] = {
    "Subscription": describe(
        "A wish to be told of changes (clause 5.2.12)",
        {"id": URI, **_MEMBERS, "@context": CONTEXT},
        ["type", "notification"],
        examples=[_EXAMPLE],
    ),
    "SubscriptionFragment": describe(
        "Members of a subscription that take the place of those there are; null removes one (clause 5.8.2)",
        {
            "type": {"const": "Subscription"},
            "isActive": {"type": ["boolean", "null"]},
            "expiresAt": {**MOMENT, "type": ["string", "null"]},
            "q": {"type": ["string", "null"]},
            "throttling": {"type": ["number", "null"], "exclusiveMinimum": 0},
            "notification": {**_NOTIFICATION, "description": "Takes the place of the whole of the former one"},
            "@context": CONTEXT,
        },
        [],
        examples=[{"isActive": False}, {"q": "temperature>28", "throttling": None}],
    ),
    "ShownSubscription": describe(
        "A subscription with its `status` and what became of its notifications",
        {
            "id": URI,
            **_MEMBERS,
            "status": {"enum": ["active", "paused", "expired"]},
            "createdAt": MOMENT,
            "modifiedAt": MOMENT,
            "notification": {
                **_NOTIFICATION,
                "properties": {
                    **_NOTIFICATION["properties"],
                    "status": {"enum": ["ok", "failed"]},
                    "timesSent": _COUNT,
                    "timesFailed": _COUNT,
                    "lastNotification": MOMENT,
                    "lastSuccess": MOMENT,
                    "lastFailure": MOMENT,
                },
            },
        },
        ["id", "type", "notification", "status"],
        examples=[{"id": "urn:ngsi-ld:Subscription:1", **_EXAMPLE, "status": "active"}],
    ),
    "Finding": describe(
        "What one test found",
        {
            "test": {"type": "string", "description": "Its name, such as active, entities, notificationTrigger, q"},
            "passed": {"type": "boolean"},
            "detail": {"type": "string", "description": "A sentence"},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Finding"}},
        },
        ["test", "passed", "detail"],
    ),
    "Explanation": describe(
        "Why a subscription is told of the last change of an entity, or is not",
        {
            "subscriptionId": URI,
            "entityId": URI,
            "told": {"type": "boolean"},
            "summary": {"type": "string"},
            "change": describe(
                "The last change of the entity",
                {"at": MOMENT, "event": {"type": "string"}, "attributes": NAMES},
                ["at", "event", "attributes"],
            ),
            "earlier": {
                "type": "array",
                "items": describe("A change before it", {"at": MOMENT, "told": {"type": "boolean"}}, ["at", "told"]),
            },
            "tests": {"type": "array", "items": {"$ref": "#/components/schemas/Finding"}},
            "delivery": {"type": "array", "items": {"$ref": "#/components/schemas/Finding"}},
        },
        ["subscriptionId", "entityId", "told", "summary", "tests", "delivery"],
    ),
    "ShownSubscriptions": {"type": "array", "items": {"$ref": "#/components/schemas/ShownSubscription"}},
}
