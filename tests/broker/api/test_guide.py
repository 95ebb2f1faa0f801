"""The guide for pilot developers: every command in it works."""

import asyncio
import re
from pathlib import Path

from tests.broker.api.conftest import Api

COMMANDS = re.findall(r"```bash\n(.*?)```", Path("docs/developers.md").read_text(encoding="utf-8"), re.DOTALL)


async def test_every_command_of_the_guide_works(api: Api) -> None:
    script = 'set -e\ncurl() { command curl -sS --fail-with-body "$@"; }\n' + "\n".join(COMMANDS)
    script = script.replace("http://localhost:1026", api.address)
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await shell.communicate()
    assert shell.returncode == 0, printed.decode()
    assert '"temperature":21.5' in printed.decode()
    assert printed.decode().count("HTTP/1.1 2") == script.count("curl -i")
