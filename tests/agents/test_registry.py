import tracemalloc
from pathlib import Path

import pytest

from agents.device_file import load_device_files, profile_folders
from agents.errors import ConfigurationError, UnknownDevice
from agents.profile import BUNDLED, load_profiles
from agents.registry import MAX_DEVICES_COUNT, Registry
from tests.agents.corpus import DEVICE_FILES, PROFILES, PSEUDONYMS

CONTEXT = 'context = "https://medina.example/c.jsonld"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "devices.toml"
    path.write_text(text, encoding="utf-8")
    return path


def registry_of(*paths: Path) -> Registry:
    return Registry(PROFILES, [load_device_files(paths, PROFILES)], PSEUDONYMS)


def test_devices_of_the_campus_are_known() -> None:
    files = load_device_files(DEVICE_FILES, PROFILES)
    assert len(files) == 32
    registry = Registry(PROFILES, [files], PSEUDONYMS)
    hall = registry.find("iotagent-json", "campus", "zs-hall")
    assert (hall.entity_id, hall.entity_type) == ("urn:ngsi-ld:Zone:hall", "Zone")
    assert hall.about_id == "urn:ngsi-ld:Device:zs-hall"
    camera = registry.find("onvif-body-temperature", "", "cam-gate-1")
    assert camera.settings["recheck_above"] == 37.5


def test_same_id_under_another_profile_or_apikey_is_another_device() -> None:
    registry = registry_of(*DEVICE_FILES)
    for profile, apikey in (("iotagent-json", ""), ("esp-rfid", "campus"), ("iotagent-json", "else")):
        with pytest.raises(UnknownDevice):
            registry.find(profile, apikey, "zs-hall")


def test_group_that_accepts_makes_an_entity_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, CONTEXT + '[[group]]\napikey = "k"\nautoprovision = true\nentity_type = "Pump"\n')
    registry = registry_of(path)
    device = registry.find("iotagent-json", "k", "no 7/é")
    assert device.entity_id == "urn:ngsi-ld:Pump:no%207%2F%C3%A9"
    assert registry.find("iotagent-json", "k", "no 7/é") is device


def test_members_of_a_group_share_what_the_group_says(tmp_path: Path) -> None:
    group = '[[group]]\napikey = "k"\nautoprovision = true\nentity_type = "Pump"\nattributes.t.name = "heat"\n'
    registry = registry_of(written(tmp_path, CONTEXT + group))
    one, other = (registry.find("iotagent-json", "k", name) for name in ("one", "other"))
    assert one.spec.mapping.attributes[0].name == "heat"
    assert one.spec.mapping is other.spec.mapping


def test_waiting_fragments_weigh_about_as_much_as_their_text(tmp_path: Path) -> None:
    group = '[[group]]\napikey = "k"\nautoprovision = true\nentity_type = "Pump"\ndevice_type = "Device"\n'
    device = registry_of(written(tmp_path, CONTEXT + group)).find("iotagent-json", "k", "one")
    tracemalloc.start()
    try:
        fragments = [device.reported(f"2026-04-02T08:00:05.{number:03}Z") for number in range(1000)]
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(fragments)
    assert held_bytes < 1_000_000


def test_accepted_devices_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.registry.MAX_DEVICES_COUNT", 10)
    path = written(tmp_path, CONTEXT + '[[group]]\napikey = "k"\nautoprovision = true\nentity_type = "Pump"\n')
    registry = registry_of(path)
    for number in range(100):
        registry.find("iotagent-json", "k", str(number))
    assert len(registry._compiled) == 10
    assert MAX_DEVICES_COUNT > 10_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "context: is missing"),
        ("context = ", "cannot be read as TOML"),
        ('context = "campus"', "context: String should match"),
        (CONTEXT + "[[device]]\nid = 7\n", "device.0.id: text in quotes is expected"),
        (CONTEXT + '[[device]]\nid = "a"\ncolour = "red"\n', "device.0.colour: there is no such key; there are"),
        (CONTEXT + '[[device]]\nid = "a"\nprofile = "b"\n', "profile: 'b' does not exist; there are cayenne-lpp"),
        (CONTEXT + '[[device]]\nid = "a"\n', "entity_type: is missing, here and in the group"),
        (
            CONTEXT + '[[device]]\nid = "a"\nprofile = "esp-rfid"\n',
            "profile esp-rfid needs category, direction, entity",
        ),
        (CONTEXT + '[[device]]\nid = "a"\nentity_type = "T"\ntimezone = "Settat"\n', "'Settat' is no time zone"),
        (CONTEXT + '[[device]]\nid = "a"\nentity_type = "T"\n' * 2, "stands there twice"),
        (CONTEXT + '[[group]]\napikey = "k"\nautoprovision = true\n', "needs entity_type"),
        (CONTEXT + '[[group]]\napikey = "k"\n' * 2, "'k' stands there twice"),
        (
            CONTEXT
            + '[[device]]\nid = "a"\nentity_type = "T"\n[device.attributes]\nt = {name = "t", from_unit = "XX"}\n',
            "no conversion from XX to None",
        ),
        (CONTEXT + 'profiles = "nowhere"\n', "is not a folder"),
    ],
)
def test_mistakes_are_told_by_file_key_and_rule(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_device_files([path], load_profiles(BUNDLED, *profile_folders([path])))
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: there is no such file"):
        load_device_files([tmp_path / "none.toml"], PROFILES)


VENDOR = """
protocol = "iotagent_json"
topics = ["acme/{device}/up"]
device = "{device}"

[attributes]
tF = { name = "temperature", from_unit = "FAH", unit = "CEL" }
"""


def test_new_vendor_is_one_file(tmp_path: Path) -> None:
    from agents.conversion import Converter
    from agents.routing import Router
    from tests.agents.corpus import RECEIVED_AT

    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "acme.toml").write_text(VENDOR, encoding="utf-8")
    device = '[[device]]\nid = "a1"\nprofile = "acme"\nentity_type = "Room"\n[device.static]\nfloor = { value = 2 }\n'
    path = written(tmp_path, CONTEXT + 'profiles = "profiles"\n' + device)
    profiles = load_profiles(BUNDLED, *profile_folders([path]))
    registry = Registry(profiles, [load_device_files([path], profiles)], PSEUDONYMS)
    converter = Converter(Router(profiles.values()), registry)
    (fragment,) = converter.convert("acme/a1/up", b'{"tF": 72.5}', RECEIVED_AT).fragments
    assert b'"temperature":{"type":"Property","value":22.5,"unitCode":"CEL"' in fragment.body
    assert b'"floor":{"type":"Property","value":2}' in fragment.body
