from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngsi import selection, subscription
from ngsi.context import CORE, Context
from ngsi.errors import BadRequestData
from ngsi.vocabulary import CORE_CONTEXT_URL, NULL

NOW = "2026-03-01T08:00:00.000Z"
URI = "http://pilot.example:8080/notify"
CAMPUS_URL = "https://medina.example/campus/context.jsonld"
CAMPUS = Context(CAMPUS_URL, [{"Zone": "https://medina.example/terms#Zone", "co2": "https://medina.example/terms#co2"}])


def body(**members: Any) -> dict[str, Any]:
    """A subscription to Rooms; None leaves a member out."""
    made = {"type": "Subscription", "entities": [{"type": "Room"}], "notification": {"endpoint": {"uri": URI}}}
    return {name: member for name, member in (made | members).items() if member is not None}


def with_endpoint(**members: Any) -> dict[str, Any]:
    return body(notification={"endpoint": {"uri": URI, **members}})


def with_parameters(**members: Any) -> dict[str, Any]:
    return body(notification={"endpoint": {"uri": URI}, **members})


@pytest.mark.clause("5.8.1")
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({}, "type"),
        (body(type="Subscriptio"), "type"),
        (body(id=""), "Subscription id"),
        (body(id="no uri"), "Subscription id"),
        (body(notification=None), "notification"),
        (body(notification=[]), "notification"),
        (body(notification={}), "endpoint"),
        (body(entities=None), "neither entities nor watchedAttributes"),
        (body(entities=[]), "entities"),
        (body(entities={}), "entities"),
        (body(entities=[{"id": "urn:a:1"}]), "type"),
        (body(entities=[{"type": "Room|"}]), "Type selection"),
        (body(entities=[{"type": "bad(name"}]), "Type selection"),
        (body(entities=[{"type": ["Room"]}]), "Type selection"),
        (body(entities=[{"type": "Room", "id": "no uri"}]), "entities: id"),
        (body(entities=[{"type": "Room", "id": []}]), "entities: id"),
        (body(entities=[{"type": "Room", "idPattern": "("}]), "("),
        (body(entities=[{"type": "Room", "idPattern": ""}]), "idPattern"),
        (body(entities=[{"type": "*"}], localOnly=False), "localOnly"),
        (body(watchedAttributes=[]), "watchedAttributes"),
        (body(watchedAttributes=["bad(name"]), "bad(name"),
        (body(watchedAttributes="a"), "watchedAttributes"),
        (body(notificationTrigger=["attributeRead"]), "notificationTrigger"),
        (body(notificationTrigger=[]), "notificationTrigger"),
        (body(timeInterval=0), "timeInterval"),
        (body(timeInterval=True), "timeInterval"),
        (body(timeInterval=5, watchedAttributes=["a"]), "timeInterval"),
        (body(timeInterval=5, throttling=5), "throttling"),
        (body(timeInterval=5, entities=None, watchedAttributes=None, localOnly=None), "entities"),
        (body(throttling=-1), "throttling"),
        (body(q=""), "q"),
        (body(q="temperature>>5"), "temperature>>5"),
        (body(q=7), "q"),
        (body(isActive="yes"), "isActive"),
        (body(expiresAt="tomorrow"), "expiresAt"),
        (body(expiresAt="2026-03-01T07:59:59Z"), "past"),
        (body(expiresAt="2030-02-30T00:00:00Z"), "2030-02-30"),
        (body(throttling=1e300), "throttling"),
        (body(timeInterval=2**62), "timeInterval"),
        (with_endpoint(cooldown=1e300), "cooldown"),
        (with_endpoint(notifierInfo=[{"key": "Backlog", "value": "some"}]), "Backlog"),
        (body(jsonldContext="no uri"), "jsonldContext"),
        (body(subscriptionName=5), "subscriptionName"),
        (body(geoQ=[]), "geoQ"),
        (body(geoQ={}), "georel"),
        (body(geoQ={"georel": "within", "geometry": "Point"}), "coordinates"),
        (body(geoQ={"georel": "around", "geometry": "Point", "coordinates": [0, 0]}), "georel"),
        (body(geoQ={"georel": "within", "geometry": "Point", "coordinates": "[0"}), "coordinates"),
        (body(geoQ={"georel": "within", "geometry": "Point", "coordinates": [0, 0], "geoproperty": "("}), "geoprop"),
        (body(scopeQ=""), "scopeQ"),
        (body(scopeQ="Campus/#"), "scopeQ"),
        (body(csf="operator=="), "operator=="),
        (body(temporalQ={"timerel": "before"}), "timeAt"),
        (body(temporalQ={"timerel": "between", "timeAt": NOW}), "endTimeAt"),
        (body(temporalQ={"timerel": "before", "timeAt": NOW, "timeproperty": "sometime"}), "timeproperty"),
        (body(temporalQ={"timerel": "before", "timeAt": NOW, "lastN": 3}), "lastN"),
        (body(lang="fr;q=high"), "lang"),
        (body(datasetId=[]), "datasetId"),
        (body(datasetId=["no uri"]), "datasetId"),
        (body(datasetId="@none"), "datasetId"),
        (body(expandValues="a,,b"), "expandValues"),
        (body(jsonKeys=["a"]), "jsonKeys"),
        (body(splitEntities="yes"), "splitEntities"),
        (body(ngsildConformance="newest"), "ngsildConformance"),
        (with_endpoint(uri="nonsense"), "uri"),
        (with_endpoint(uri="stream:elsewhere"), "uri"),
        (with_endpoint(uri="mqtt://x.example"), "topic"),
        (with_endpoint(uri="mqtt://x.example/"), "topic"),
        (with_endpoint(uri="mqtt://x.example/a/+"), "topic"),
        (with_endpoint(uri="mqtts://x.example/a/#"), "topic"),
        (with_endpoint(uri="mqtt://x.example/a", accept="application/geo+json"), "geo+json"),
        (with_endpoint(uri="ftp://x.example/"), "uri"),
        (with_endpoint(uri="http://"), "uri"),
        (with_endpoint(uri="http://x.example:port/"), "uri"),
        (with_endpoint(uri="http://x.example/a b"), "uri"),
        (with_endpoint(accept="text/html"), "accept"),
        (with_endpoint(timeout=0), "timeout"),
        (with_endpoint(cooldown=-5), "cooldown"),
        (with_endpoint(receiverInfo={"key": "a", "value": "b"}), "receiverInfo"),
        (with_endpoint(receiverInfo=[{"key": "a"}]), "receiverInfo"),
        (with_endpoint(receiverInfo=[{"key": "a", "value": 1}]), "receiverInfo"),
        (with_endpoint(receiverInfo=[{"key": "a b", "value": "c"}]), "receiverInfo"),
        (with_endpoint(receiverInfo=[{"key": "X-A", "value": "b\r\nX-C: d"}]), "receiverInfo"),
        (with_endpoint(receiverInfo=[{"key": "Content-Length", "value": "0"}]), "receiverInfo"),
        (with_endpoint(notifierInfo=[{"key": "MQTT-QoS", "value": "3"}]), "MQTT-QoS"),
        (with_parameters(format="xml"), "format"),
        (with_parameters(attributes=[]), "attributes"),
        (with_parameters(attributes=["type"]), "attributes"),
        (with_parameters(pick=[]), "pick"),
        (with_parameters(pick=["a"], omit=["a"]), "pick and in omit"),
        (with_parameters(pick=["a"], attributes=["b"]), "attributes"),
        (with_parameters(sysAttrs="true"), "sysAttrs"),
        (with_parameters(showChanges=True, format="keyValues"), "showChanges"),
        (with_parameters(join="deep"), "join"),
        (with_parameters(joinLevel=0), "joinLevel"),
        (with_parameters(joinLevel=1.5), "joinLevel"),
        (with_parameters(joinLevel=11), "joinLevel"),
        (with_parameters(pick=["partOf{id}"]), "join"),
        (with_parameters(pick=["partOf{id,owner{id}}"], join="flat"), "join"),
        (with_parameters(pick=["partOf{id"], join="flat"), "partOf{id"),
        (with_parameters(pick=["a,b"]), "a,b"),
    ],
)
def test_what_breaks_a_rule_is_refused_and_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequestData) as refusal:
        subscription.parse(wrong, CORE, NOW)
    assert named in refusal.value.detail


def stored(sent: dict[str, Any], context: Context = CORE, source: Any = CORE_CONTEXT_URL) -> dict[str, Any]:
    return subscription.parse(sent, context, NOW).document("urn:s:1", source, NOW)


@pytest.mark.clause("5.8.3")
def test_what_was_sent_is_shown_again_with_nothing_added_but_what_the_table_allows() -> None:
    sent = {
        "id": "urn:s:1",
        "type": "Subscription",
        "subscriptionName": "everything",
        "description": "all members that go together",
        "entities": [
            {"type": "Room|(Hall;Lab)", "id": ["urn:r:1", "urn:r:2"]},
            {"type": "Gate,Door", "idPattern": "^urn:g:"},
        ],
        "watchedAttributes": ["temperature", "https://example.org/a.b$c"],
        "notificationTrigger": ["entityCreated", "attributeUpdated"],
        "q": 'temperature>20;name=="x"',
        "isActive": True,
        "expiresAt": "2030-01-01T00:00:00Z",
        "throttling": 0.5,
        "geoQ": {
            "georel": "near;maxDistance==2000",
            "geometry": "Point",
            "coordinates": [8, 40],
            "geoproperty": "https://example.org/place",
        },
        "scopeQ": "/Campus/#",
        "csf": 'operator=="acme"',
        "temporalQ": {"timerel": "between", "timeAt": NOW, "endTimeAt": NOW, "timeproperty": "modifiedAt"},
        "lang": "fr,en;q=0.5",
        "datasetId": ["@none", "urn:ngsi-ld:Dataset:1"],
        "expandValues": "name",
        "jsonKeys": "address",
        "splitEntities": False,
        "ngsildConformance": "1.6",
        "localOnly": True,
        "jsonldContext": CAMPUS_URL,
        "notification": {
            "pick": ["id", "type", "temperature", "modifiedAt", "partOf{id,owner{id}}"],
            "format": "concise",
            "sysAttrs": True,
            "showChanges": True,
            "join": "inline",
            "joinLevel": 2,
            "endpoint": {
                "uri": URI,
                "accept": "application/ld+json",
                "timeout": 1500,
                "cooldown": 2000,
                "receiverInfo": [{"key": "Prefer", "value": "body=json"}],
                "notifierInfo": [{"key": "MQTT-QoS", "value": "1"}],
            },
        },
    }
    assert subscription.render(stored(sent), CORE, NOW) == sent | {"status": "active"}


def test_defaults_shown_on_reading() -> None:
    shown = subscription.render(stored(body()), CORE, NOW)
    assert shown == body() | {
        "id": "urn:s:1",
        "status": "active",
        "notificationTrigger": ["attributeCreated", "attributeUpdated"],
        "jsonldContext": CORE_CONTEXT_URL,
    }
    with_times = subscription.render(stored(body()), CORE, NOW, sysattrs=True)
    assert with_times["createdAt"] == with_times["modifiedAt"] == NOW


def test_output_only_and_unknown_members_of_a_client_are_dropped() -> None:
    sent = body(
        status="expired", createdAt=NOW, nonsense=1, notification={"timesSent": 7, "endpoint": {"uri": URI, "x": 1}}
    )
    assert subscription.parse(sent, CORE, NOW).members == subscription.parse(body(), CORE, NOW).members


def test_names_are_those_of_the_reader() -> None:
    sent = body(
        entities=[{"type": "Zone|Room"}],
        watchedAttributes=["co2"],
        notification={"attributes": ["co2"], "endpoint": {"uri": URI}},
    )
    document = stored(sent, CAMPUS, CAMPUS_URL)
    assert "." not in document["subscription"]["watchedAttributes"][0]
    shown = subscription.render(document, CORE, NOW)
    assert shown["entities"] == [{"type": "https://medina.example/terms#Zone|Room"}]
    assert shown["watchedAttributes"] == ["https://medina.example/terms#co2"]
    assert shown["notification"]["attributes"] == ["https://medina.example/terms#co2"]
    assert subscription.render(document, CAMPUS, NOW)["entities"] == sent["entities"]


@pytest.mark.parametrize(
    ("members", "at", "status"),
    [
        ({}, NOW, "active"),
        ({"isActive": True}, NOW, "active"),
        ({"isActive": False}, NOW, "paused"),
        ({"expiresAt": "2026-03-01T09:00:00Z"}, NOW, "active"),
        ({"expiresAt": "2026-03-01T09:00:00Z"}, "2026-03-01T09:00:00.000Z", "expired"),
        ({"expiresAt": "2026-03-01T09:00:00Z", "isActive": False}, "2026-03-01T10:00:00.000Z", "expired"),
    ],
)
def test_status(members: dict[str, Any], at: str, status: str) -> None:
    assert subscription.render(stored(body(**members)), CORE, at)["status"] == status


UPDATED = "2026-03-01T08:00:05.000Z"


def updated(document: dict[str, Any], now: str = UPDATED, context: Context = CORE, **fragment: Any) -> dict[str, Any]:
    """The stored document after an update."""
    changes = subscription.updated(document, fragment, context, context.source, now)
    return {member: value for member, value in (document | changes).items() if value is not None}


@pytest.mark.clause("5.8.2")
def test_an_update_replaces_the_members_it_names_and_leaves_the_others() -> None:
    document = stored(
        body(q="a>1", description="old", throttling=5, notification={"endpoint": {"uri": URI}, "pick": ["a"]})
    )
    document["delivery"] = {"timesSent": 2}
    changed = updated(document, description="new", throttling=None, lang=NULL, notification={"endpoint": {"uri": URI}})
    shown = subscription.render(changed, CORE, NOW, sysattrs=True)
    assert (shown["q"], shown["description"], "throttling" in shown) == ("a>1", "new", False)
    assert shown["notification"] == {"endpoint": {"uri": URI}, "timesSent": 2}
    assert (shown["createdAt"], shown["modifiedAt"]) == (NOW, UPDATED)


@pytest.mark.clause("5.8.2")
@pytest.mark.parametrize(
    "fragment",
    [
        {"type": None},
        {"type": "Other"},
        {"id": "urn:s:2"},
        {"id": None},
        {"notification": None},
        {"notification": NULL},
        {"notification": {"format": "keyValues"}},
        {"notification": {"endpoint": None}},
        {"entities": None},
        {"timeInterval": 5, "throttling": 3},
        {"throttling": 0},
        {"q": "a=="},
        {"expiresAt": "2020-01-01T00:00:00Z"},
        {"localOnly": False, "entities": [{"type": "*"}]},
    ],
)
def test_an_update_that_would_break_a_rule_is_refused(fragment: dict[str, Any]) -> None:
    document = stored(body())
    before = deepcopy(document)
    with pytest.raises(BadRequestData):
        updated(document, **fragment)
    assert document == before


def test_a_combination_is_refused_whichever_part_comes_later() -> None:
    with pytest.raises(BadRequestData, match="timeInterval and watchedAttributes"):
        updated(stored(body(watchedAttributes=["a"])), timeInterval=5)
    assert (
        "watchedAttributes"
        not in updated(stored(body(watchedAttributes=["a"])), timeInterval=5, watchedAttributes=None)["subscription"]
    )


EXPIRED, FUTURE = "2026-03-01T08:00:01Z", "2030-01-01T00:00:00Z"


@pytest.mark.clause("5.8.2")
@pytest.mark.parametrize(
    ("before", "fragment", "after"),
    [
        ({"isActive": False}, {"isActive": True}, "active"),
        ({"isActive": False}, {"isActive": None}, "active"),
        ({"expiresAt": EXPIRED}, {"isActive": True}, "expired"),
        ({"isActive": False}, {"isActive": True, "expiresAt": FUTURE}, "active"),
        ({"expiresAt": EXPIRED}, {"isActive": True, "expiresAt": FUTURE}, "active"),
        ({}, {"isActive": False}, "paused"),
        ({"expiresAt": EXPIRED}, {"isActive": False}, "expired"),
        ({}, {"isActive": False, "expiresAt": FUTURE}, "paused"),
        ({"expiresAt": EXPIRED}, {"expiresAt": FUTURE}, "active"),
        ({"expiresAt": EXPIRED, "isActive": False}, {"expiresAt": FUTURE}, "active"),
        ({"isActive": False}, {"expiresAt": FUTURE}, "paused"),
        ({}, {"expiresAt": FUTURE}, "active"),
        ({"expiresAt": EXPIRED}, {"expiresAt": None}, "active"),
        ({"expiresAt": EXPIRED}, {"description": "x"}, "expired"),
    ],
)
def test_status_after_an_update(before: dict[str, Any], fragment: dict[str, Any], after: str) -> None:
    changed = updated(stored(body(**before)), **fragment)
    assert subscription.render(changed, CORE, UPDATED)["status"] == after


def test_what_a_resumed_subscription_is_told_begins_with_the_resumption() -> None:
    paused = updated(stored(body()), isActive=False)
    assert subscription.began_at(paused) == NOW
    resumed = updated(paused, isActive=True)
    assert subscription.began_at(resumed) == resumed["modifiedAt"]
    assert subscription.began_at(updated(resumed, description="x")) == resumed["modifiedAt"]


def test_each_update_has_a_time_of_its_own() -> None:
    once = updated(stored(body()), NOW, description="a")
    assert NOW < once["modifiedAt"] < updated(once, NOW, description="b")["modifiedAt"]


def test_a_query_is_read_with_the_context_that_it_came_with() -> None:
    document = updated(stored(body(q="co2>1"), CAMPUS, CAMPUS_URL), description="a")
    assert subscription.context_of(document, "q") == CAMPUS_URL
    document = updated(document, q="co2>2")
    assert subscription.context_of(document, "q") == CORE_CONTEXT_URL
    assert (document["context"], subscription.context_of(document, "csf")) == (CAMPUS_URL, CAMPUS_URL)
    assert "readWith" not in updated(document, context=CAMPUS, q="co2>3")
    assert "readWith" not in updated(document, q=None)


def test_credentials_are_never_shown_and_stay_when_what_was_shown_comes_back() -> None:
    endpoint = {
        "uri": "mqtts://medina:sesame@mqtt.example/campus",
        "receiverInfo": [
            {"key": "Authorization", "value": "Bearer sesame"},
            {"key": "X-Api-Key", "value": "sesame"},
            {"key": "Prefer", "value": "body=json"},
        ],
        "notifierInfo": [{"key": "Token", "value": "sesame"}, {"key": "MQTT-QoS", "value": "1"}],
    }
    document = stored(body(notification={"endpoint": endpoint}))
    shown = subscription.render(document, CORE, NOW)["notification"]
    assert "sesame" not in repr(shown)
    assert [pair["value"] for pair in shown["endpoint"]["receiverInfo"]] == ["***", "***", "body=json"]
    assert shown["endpoint"]["uri"] == "mqtts://medina:***@mqtt.example/campus"
    assert updated(document, notification=shown)["subscription"]["notification"]["endpoint"] == endpoint
    shown["endpoint"]["receiverInfo"][0]["value"] = "Bearer other"
    changed = updated(document, notification=shown)["subscription"]["notification"]["endpoint"]
    assert [pair["value"] for pair in changed["receiverInfo"]] == ["Bearer other", "sesame", "body=json"]


def test_credentials_of_one_server_are_never_sent_to_another() -> None:
    secret = [{"key": "Authorization", "value": "Bearer sesame"}]
    document = stored(body(notification={"endpoint": {"uri": "https://a.example/x", "receiverInfo": secret}}))
    hidden = [{"key": "Authorization", "value": "***"}]
    for uri in ("https://b.example/x", "http://a.example/x", "https://a.example:8443/x"):
        with pytest.raises(BadRequestData, match=r"\*\*\*"):
            updated(document, notification={"endpoint": {"uri": uri, "receiverInfo": hidden}})
    same = updated(document, notification={"endpoint": {"uri": "https://a.example/y", "receiverInfo": hidden}})
    assert same["subscription"]["notification"]["endpoint"]["receiverInfo"] == secret


def test_counters_are_shown_after_the_first_attempt_and_never_as_zero() -> None:
    delivery = {
        "timesSent": 2,
        "timesFailed": 0,
        "lastNotification": NOW,
        "lastSuccess": NOW,
        "state": "ok",
        "lastError": "x",
    }
    shown = subscription.render(stored(body()) | {"delivery": delivery}, CORE, NOW)["notification"]
    assert shown == {
        "endpoint": {"uri": URI},
        "timesSent": 2,
        "lastNotification": NOW,
        "lastSuccess": NOW,
        "status": "ok",
    }


names = st.sampled_from(["Room", "Hall", "Lab", "https://example.org/x.y"])
alternatives = st.one_of(
    names,
    st.lists(names, min_size=1, max_size=3).map(lambda items: f"({';'.join(items)})"),
    st.lists(names, min_size=2, max_size=3).map(";".join),
)
selections = st.lists(st.tuples(st.sampled_from("|,"), alternatives), min_size=1, max_size=4).map(
    lambda parts: "".join(separator + text for separator, text in parts)[1:]
)


@pytest.mark.clause("4.17")
@given(selections)
def test_a_type_selection_is_shown_as_it_was_written(text: str) -> None:
    assert selection.compact(selection.expand(text, CORE), CORE) == text


@given(selections, st.sets(st.sampled_from(["Room", "Hall", "Lab"])))
def test_a_type_selection_means_any_of_all(text: str, types: set[str]) -> None:
    wanted = selection.alternatives(selection.expand(text, CORE))
    parts = [part.strip("()").split(";") for part in text.replace("|", ",").split(",")]
    assert selection.selects(wanted, types) == any(set(part) <= types for part in parts)


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        ("(A|B)", [{"A"}, {"B"}]),
        ("((A))", [{"A"}]),
        ("(A|B);C", [{"A", "C"}, {"B", "C"}]),
        ("A;(B,(C;D)),E", [{"A", "B"}, {"A", "C", "D"}, {"E"}]),
    ],
)
def test_parentheses_may_hold_any_selection(text: str, sets: list[set[str]]) -> None:
    assert list(selection.alternatives(selection.expand(text, CORE))) == sets


def test_a_separator_inside_an_iri_comes_from_a_term() -> None:
    odd = Context({"Odd": "https://example.org/a;b(c)|d,e"}, [{"Odd": "https://example.org/a;b(c)|d,e"}])
    held = selection.expand("Odd|Room", odd)
    assert selection.alternatives(held) == (frozenset({"https://example%2Eorg/a;b(c)|d,e"}), frozenset({"Room"}))
    assert selection.compact(held, odd) == "Odd|Room"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|",
        "A|",
        "A;;B",
        "(A",
        "A)",
        "()",
        "A B",
        "*|A",
        "(A;B)C",
        "A(B)",
        "(" * 30 + "A" + ")" * 30,
        ";".join(["(A|B|C|D|E|F)"] * 4),
    ],
)
def test_what_is_no_type_selection_is_refused(text: str) -> None:
    with pytest.raises(BadRequestData):
        selection.expand(text, CORE)
