"""The JSON schemas of what `broker.api.deliveries` answers."""

from broker.api.openapi_words import MOMENT, URI, Schema, describe

_COUNT: Schema = {"type": "integer", "minimum": 0}

_ATTEMPT = describe(
    "An attempt to deliver a notification",
    {
        "at": {**MOMENT, "description": "When it ended"},
        "delivered": {"type": "boolean"},
        "code": {"type": "integer", "description": "What the receiver answered, where the transport has codes"},
        "error": {"type": "string", "description": "Why it failed"},
        "durationMs": {"type": "number"},
        "entityCount": _COUNT,
    },
    ["at", "delivered", "durationMs", "entityCount"],
)
_LETTER = describe(
    "A notification that was given up",
    {
        "id": URI,
        "givenUpAt": MOMENT,
        "reason": {"type": "string"},
        "entities": {"type": "array", "items": URI},
        "notification": {"type": "object", "description": "What would have been sent"},
    },
    ["id", "givenUpAt", "reason", "entities", "notification"],
)

DELIVERY_SCHEMAS: dict[str, Schema] = {
    "Deliveries": describe(
        "How the notifications of a subscription fare",
        {
            "subscriptionId": URI,
            "status": {"enum": ["active", "paused", "expired"]},
            "state": {"enum": ["ok", "idle", "delivering", "throttled", "failing", "paused", "expired"]},
            "reason": {"type": "string", "description": "Why it is in this state"},
            "consecutiveFailures": _COUNT,
            "nextAttemptAt": MOMENT,
            "dueAt": {**MOMENT, "description": "When the timeInterval ends next"},
            "waitingCount": {**_COUNT, "description": "Notifications in the backlog"},
            "heldBackCount": {**_COUNT, "description": "Entities whose newest state throttling holds back"},
            "deadLetterCount": _COUNT,
            "timesSent": _COUNT,
            "timesFailed": _COUNT,
            "lastNotification": MOMENT,
            "lastSuccess": MOMENT,
            "lastFailure": MOMENT,
            "attempts": {"type": "array", "items": _ATTEMPT, "maxItems": 20, "description": "The newest first"},
        },
        ["subscriptionId", "status", "state", "consecutiveFailures", "waitingCount", "deadLetterCount", "attempts"],
    ),
    "DeadLetter": _LETTER,
    "DeadLetters": {"type": "array", "items": _LETTER},
    "Replayed": describe("How many are tried again", {"count": _COUNT}, ["count"]),
}
