"""The supervisor's small decisions: pauses before restarts, addresses, texts for wrong settings."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from broker.notify.settings import DeliverySettings
from broker.settings import Settings
from broker.supervisor import process
from broker.supervisor.errors import AlreadyRunning
from broker.supervisor.folder import DataFolder, claimed
from broker.supervisor.process import pause_before_restart_s
from broker.supervisor.roles import applications
from broker.supervisor.settings import UpSettings, settings_problem


def test_pauses_before_restarts_double_up_to_a_bound() -> None:
    assert [pause_before_restart_s(ends) for ends in range(1, 8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_role_that_listens_everywhere_is_asked_on_this_machine() -> None:
    assert UpSettings(host="0.0.0.0").local_host == "127.0.0.1"
    assert UpSettings(host="192.0.2.7").local_host == "192.0.2.7"


def test_every_port_of_a_role_has_a_variable_of_its_own() -> None:
    roles = applications(UpSettings())
    assert len({role.port_variable for role in roles}) == len(roles)
    assert all(role.port_variable.removeprefix("MEDINA_").lower() in UpSettings.model_fields for role in roles)


def test_a_wrong_setting_is_named_by_its_variable() -> None:
    with pytest.raises(ValidationError) as caught:
        UpSettings.model_validate({"mqtt_port": "many", "DEMO": "perhaps"})
    text = settings_problem(caught.value)
    assert text is not None
    assert "MEDINA_MQTT_PORT" in text
    assert "DEMO:" in text
    assert settings_problem(ValueError("a defect")) is None


def test_how_a_setting_is_written_is_told_in_words() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(cors_origins="localhost:8000", database="Medina")
    text = settings_problem(caught.value)
    assert text is not None
    assert "MEDINA_CORS_ORIGINS: write it as *, or origins such as https://city.example" in text
    assert "MEDINA_DATABASE: write it as up to 21 small letters" in text
    assert "pattern" not in text


def test_a_setting_of_the_delivery_is_named_in_full() -> None:
    with pytest.raises(ValueError, match="ca_file") as caught:
        DeliverySettings(ca_file="/absent.pem")
    text = settings_problem(caught.value) or ""
    assert text.startswith("MEDINA_DELIVERY_CA_FILE: no certificates can be read from it")
    assert "/absent.pem" in text


def test_a_folder_belongs_to_one_process_until_it_is_released(tmp_path: Path) -> None:
    with claimed(tmp_path / "new") as folder:
        with pytest.raises(AlreadyRunning, match=str(os.getpid())), claimed(tmp_path / "new"):
            pass
        assert folder.last_line("broker") == ""
        folder.log("broker").write_text("one\ntwo\n")
        assert folder.last_line("broker") == "two"
        assert folder.start_log("broker").exists() is False
        assert (folder.path / "logs" / "broker.log.1").read_text() == "one\ntwo\n"
    with claimed(tmp_path / "new"):
        pass


def test_a_full_disk_is_noticed(tmp_path: Path) -> None:
    assert not DataFolder(tmp_path).is_full
    assert DataFolder(Path("/proc")).is_full  # a file system without any room


def test_exit_codes_are_said_in_words() -> None:
    assert process._ended(-9) == "was ended by SIGKILL"
    assert process._ended(1) == "ended with exit code 1"
