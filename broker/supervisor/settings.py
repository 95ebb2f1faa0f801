"""Settings of `medina up`, from the environment; the same names that each role reads by itself."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

SETTINGS_GROUP = "medina.settings"
"""Entry points of the settings of every role, also of packages that this one must not import."""
_ELSEWHERE = frozenset(
    {"MEDINA_OPERATOR_KEY_FILE", "MEDINA_UP_FOLDER", "MEDINA_BIND", "MEDINA_DEVICE_TOPICS", "MEDINA_MEMORY"}
)
"""Variables that other parts read: the command line, the leash of child processes, docker-compose."""
_WRITTEN = {
    "MEDINA_CORS_ORIGINS": "*, or origins such as https://city.example,http://localhost:8000",
    "MEDINA_DATABASE": "up to 21 small letters and digits, a letter first",
    "MEDINA_PUBLIC_URL": "https://city.example",
}
"""What to say in place of a regular expression."""
_PREFIXES = {"DeliverySettings": "MEDINA_DELIVERY_"}


class UpSettings(BaseSettings):
    """Where the roles listen, where their files go, and which servers are used instead of Medina's own."""

    model_config = SettingsConfigDict(env_prefix="MEDINA_", populate_by_name=True, extra="ignore")

    data: Path = Path("medina-data")
    host: str = "127.0.0.1"
    port: int = Field(default=1026, ge=1, le=65535)
    notifier_port: int = Field(default=1027, ge=1, le=65535)
    agent_port: int = Field(default=4041, ge=1, le=65535)
    south_port: int = Field(default=7896, ge=1, le=65535)
    pilot_port: int = Field(default=8080, ge=1, le=65535)
    mongo_port: int = Field(default=27017, ge=1, le=65535)
    mqtt_port: int = Field(default=1883, ge=1, le=65535)
    mongo_cache_gb: float = Field(default=0.5, ge=0.25)
    mongodb_uri: str = Field(default="", validation_alias="MONGODB_URI")
    mqtt_url: str = Field(default="", validation_alias="MQTT_URL")
    demo: bool = Field(default=True, validation_alias="DEMO")

    @property
    def local_host(self) -> str:
        """Where this machine reaches the roles, also when they listen on every address."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound


def check_every_role() -> None:
    """Raises ValidationError when a role would refuse its settings: then nothing need be started to be told so."""
    for entry in entry_points(group=SETTINGS_GROUP):
        entry.load()()


def settings_problem(problem: ValueError) -> str | None:
    """The text for an operator when `problem` is about settings of the environment; None for any other error."""
    if not isinstance(problem, ValidationError) or not problem.title.endswith("Settings"):
        return None
    prefix = _PREFIXES.get(problem.title, "MEDINA_")
    lines = []
    for error in problem.errors():
        variable = _variable(error["loc"], prefix)
        said = error["msg"].removeprefix("Value error, ")
        if error["type"] == "string_pattern_mismatch" and variable in _WRITTEN:
            said = f"write it as {_WRITTEN[variable]}"
        lines.append(f"{variable}: {said} (given {error['input']!r})")
    return "; ".join(lines)


def _variable(location: tuple[int | str, ...], prefix: str) -> str:
    name = str(location[0]) if location else "environment"
    return name if name.isupper() else f"{prefix}{name.upper()}"


def without_effect(names: Iterable[str]) -> list[str]:
    """A line for each environment variable that looks like a setting of Medina and is none, as a slip of the pen is."""
    roles = [entry.load() for entry in entry_points(group=SETTINGS_GROUP)]
    known = _ELSEWHERE.union(*map(variables, roles))
    lines = []
    for name in sorted(set(names) - known):
        if name.startswith("MEDINA_"):
            suffixes = sorted(one.removeprefix("MEDINA_") for one in known if one.startswith("MEDINA_"))
            near = get_close_matches(name.removeprefix("MEDINA_"), suffixes, 1)
            nearest = f"; did you mean MEDINA_{near[0]}?" if near else ""
            lines.append(f"{name} is no setting of Medina and has no effect{nearest}")
    return lines


def variables(settings: type[BaseSettings]) -> set[str]:
    """The environment variables that settings are read from."""
    prefix = settings.model_config.get("env_prefix", "")
    return {str(field.validation_alias or (prefix + name).upper()) for name, field in settings.model_fields.items()}
