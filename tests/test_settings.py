"""Every setting of every role stands in the operators' guide."""

from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from agents.settings import Settings as AgentSettings
from broker.notify.settings import DeliverySettings
from broker.settings import Settings
from broker.supervisor.settings import UpSettings
from pilots.settings import PilotSettings

GUIDE = Path("docs/operators.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("settings", [AgentSettings, DeliverySettings, PilotSettings, Settings, UpSettings])
def test_the_operators_guide_names_each_variable(settings: type[BaseSettings]) -> None:
    prefix = settings.model_config.get("env_prefix", "")
    variables = {
        str(field.validation_alias or (prefix + name).upper()) for name, field in settings.model_fields.items()
    }
    assert [variable for variable in sorted(variables) if f"`{variable}`" not in GUIDE] == []
