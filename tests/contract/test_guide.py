"""The guide for device integrators: every command in it works."""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.broker.api.conftest import Api
from tests.contract.conftest import KEY, running_site

COMMANDS = re.findall(r"```bash\n(.*?)```", Path("docs/integrators.md").read_text(encoding="utf-8"), re.DOTALL)

# What is sent over MQTT takes a moment: a request that is refused is repeated for a while.
PRELUDE = """
set -e
curl() {
  for attempt in $(seq 100); do
    if answer=$(command curl -sS --fail-with-body "$@" 2>&1); then printf '%s\\n' "$answer"; return 0; fi
    sleep 0.1
  done
  printf '%s\\n' "$answer"; return 1
}
"""


@pytest.mark.timeout(180)  # many programs are started, one after the other
async def test_every_command_of_the_guide_works(
    mongo: str, mqtt_url: str, context_api: Api, notifier: None, free_port: Callable[[], int], tmp_path: Path
) -> None:
    changes = {"devices": "pilots/campus/devices.toml", "database": "guide"}
    async with running_site(mongo, mqtt_url, context_api, **changes) as site:
        places = {
            "localhost:1026": urlsplit(context_api.address).netloc,
            "localhost:4041": urlsplit(site.north).netloc,
            "localhost:7896": urlsplit(site.south).netloc,
            "4042": str(free_port()),
            "7897": str(free_port()),
            "qos=1)": f"qos=1, port={urlsplit(mqtt_url).port})",
            ".venv/bin/": f"{Path.cwd()}/.venv/bin/",
        }
        script = PRELUDE + "\n".join(COMMANDS)
        for written, here in places.items():
            script = script.replace(written, here)
        environment = {
            "MEDINA_AGENT_URL": site.north,
            "MONGODB_URI": mongo,
            "MEDINA_DATABASE": "guide",
            "MQTT_URL": mqtt_url,
            "MEDINA_BROKER_URL": context_api.address,
            "MEDINA_PSEUDONYM_KEY": KEY,
        }
        shell = await asyncio.create_subprocess_exec(
            "bash",
            "-mc",
            script,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
            env={**os.environ, **environment},
        )
        printed = (await shell.communicate())[0].decode()
    assert shell.returncode == 0, printed
    assert '"flow":{"type":"Property","value":3.5,"unitCode":"E32"' in printed
    assert '"temperature":{"type":"Property","value":20' in printed
    assert '"illuminance":{"type":"Property","value":120' in printed
    assert '"reason":"unknown-device"' in printed
    shown = " ".join(printed.split())
    assert "implausible: field energy is outside of what energy can be: at least 0 MWH" in shown
    assert '"deviceState": { "type": "Property", "value": "offline"' in shown
    assert "exit code 1: the way out is told" in shown
    assert "unknown-device: device 9 is unknown, and the group of its profile does not accept such ids" in shown
    assert '"result": { "type": "Property", "value": "pass"' in shown
    assert '{"open":{"percent":40}}' in printed
    assert '"open_status":"OK","open_info":"opened"' in printed
    assert '"status":"OK","note":"result"' in printed
    assert re.search(r'\{"interval":60,"dt":"\d{8}T\d{6}Z"\}', printed)
    assert "1 of 1" in printed
