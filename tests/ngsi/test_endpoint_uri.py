import pytest

from ngsi.endpoint_uri import MqttEndpoint, parse_mqtt, shown_address, without_password


@pytest.mark.clause("7.2")
@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mqtt://h/t", MqttEndpoint(False, "h", 1883, None, None, "t")),
        ("mqtts://H.example/a/b", MqttEndpoint(True, "h.example", 8883, None, None, "a/b")),
        ("MQTT://user@h:8085/t", MqttEndpoint(False, "h", 8085, "user", None, "t")),
        ("mqtt://u%40x:p%2F%3A@[::1]:1/a%20b//c/", MqttEndpoint(False, "::1", 1, "u@x", "p/:", "a b//c/")),
        ("mqtt://u:@h//t", MqttEndpoint(False, "h", 1883, "u", "", "/t")),
    ],
)
def test_parts(uri: str, expected: MqttEndpoint) -> None:
    assert parse_mqtt(uri) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "http://h/t",
        "mqtt:///t",
        "mqtt://u:hush@h",
        "mqtt://u:hush@h/",
        "mqtt://u:hush@h/a/%23",
        "mqtt://u:hush@h/a/+/b",
        "mqtt://u:hush@h/a%00",
        "mqtt://u:hush@h/t?x=1",
        "mqtt://u:hush@h/t#x",
        "mqtt://u:hush@h:port/t",
        "mqtt://u:hush@h/%ff",
        "mqtt://u:hush@h/" + "x" * 65536,
    ],
)
def test_what_is_no_mqtt_endpoint(uri: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_mqtt(uri)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://h:80/a", "http://h:80/a"),
        ("mqtt://u@h:1/t", "mqtt://u@h:1/t"),
        ("mqtt://u:hush@h:1/t", "mqtt://u@h:1/t"),
        ("http://u:hu/sh@h/", "http://u@h/"),
        ("http:u:hu@sh@h/", "http:u@h/"),
        ("mqtt:/u:hush@h", "mqtt:/u@h"),
        ("nonsense", "nonsense"),
    ],
)
def test_passwords_are_not_shown(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


def test_what_a_receiver_points_to_is_shown_without_its_secrets() -> None:
    assert shown_address("https://u:p@h:1/a/b?token=x#y") == "https://h:1/a/b?…"
    assert shown_address("/login#y") == "/login?…"
    assert shown_address("http://h") == "http://h"
    assert shown_address("http://[h/hush") == "what is no address"
