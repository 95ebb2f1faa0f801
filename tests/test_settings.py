"""Every setting of every role stands in the operators' guide."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from agents.settings import Settings as AgentSettings
from broker.notify.settings import DeliverySettings
from broker.settings import Settings
from broker.supervisor.settings import UpSettings, variables, without_effect
from pilots.settings import PilotSettings

GUIDE = Path("docs/operators.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("settings", [AgentSettings, DeliverySettings, PilotSettings, Settings, UpSettings])
def test_the_operators_guide_names_each_variable(settings: type[BaseSettings]) -> None:
    assert [variable for variable in sorted(variables(settings)) if f"`{variable}`" not in GUIDE] == []


def test_every_variable_of_the_guide_is_a_setting_and_a_slip_is_told() -> None:
    assert without_effect(re.findall(r"`(MEDINA_[A-Z_]+)`", GUIDE)) == []
    assert without_effect(["MEDINA_PRT", "MEDINA_ZZZ", "PATH"]) == [
        "MEDINA_PRT is no setting of Medina and has no effect; did you mean MEDINA_PORT?",
        "MEDINA_ZZZ is no setting of Medina and has no effect",
    ]


@pytest.mark.parametrize("settings", [AgentSettings, PilotSettings, Settings])
def test_every_role_has_the_level_of_the_log(settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDINA_LOG_LEVEL", "WARNING")
    assert settings().model_dump()["log_level"] == "warning"
    monkeypatch.setenv("MEDINA_LOG_LEVEL", "loud")
    with pytest.raises(ValidationError, match="'debug', 'info', 'warning' or 'error'"):
        settings()


@pytest.mark.parametrize(
    "configure", ["agents.logs.configure_logging", "broker.logs.configure", "pilots.journal.configure"]
)
def test_lines_below_the_level_are_not_logged(configure: str) -> None:
    module, name = configure.rsplit(".", 1)
    program = (
        f"import structlog; from {module} import {name}; {name}('warning'); log = structlog.get_logger(); "
        "log.debug('no'); log.info('no'); log.warning('yes'); log.error('yes')"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    lines = [json.loads(line) for line in told.stderr.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("yes", "warning"), ("yes", "error")]
    assert all(line["at"].endswith("Z") for line in lines)
