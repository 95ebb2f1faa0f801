"""Settings of a pilot, from the environment; every pilot uses the same names."""

from typing import Annotated, Literal

from pydantic import AnyHttpUrl, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pilots.errors import BadSettings


class PilotSettings(BaseSettings):
    """Where the page listens, where the notifier reaches it, and which context API it follows."""

    model_config = SettingsConfigDict(env_prefix="MEDINA_", extra="ignore")

    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = "info"
    host: str = "127.0.0.1"
    pilot_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    pilot_url: AnyHttpUrl | None = None
    broker_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:1026")
    tenant: str = ""

    @classmethod
    def from_environment(cls) -> "PilotSettings":
        """Raises BadSettings with the name of the variable."""
        try:
            return cls()
        except ValidationError as error:
            problems = "; ".join(f"MEDINA_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
            raise BadSettings(problems) from error

    @property
    def api_root(self) -> str:
        """Root of the context API, without a slash at its end."""
        return str(self.broker_url).rstrip("/")

    @property
    def notification_uri(self) -> str:
        """Where the notifier posts to; MEDINA_PILOT_URL if it reaches the pilot elsewhere than on 127.0.0.1."""
        root = str(self.pilot_url or f"http://127.0.0.1:{self.pilot_port}")
        return root.rstrip("/") + "/notify"
