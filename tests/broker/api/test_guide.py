"""The guide for pilot developers: every command in it works."""

import asyncio
import re
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.broker.api.conftest import Api
from tests.conftest import unused_port
from tests.waiting import until

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


@pytest.mark.parametrize("data", [[{"id": "urn:x:1"}], {"type": "FeatureCollection", "features": [{"id": "urn:x:1"}]}])
async def test_the_receiver_of_the_examples_prints_what_it_is_told(data: object) -> None:
    url = f"http://127.0.0.1:{(port := unused_port())}/rooms"
    receiver = await asyncio.create_subprocess_exec(
        sys.executable, "docs/examples/receiver.py", str(port), stdout=asyncio.subprocess.PIPE
    )
    assert receiver.stdout is not None
    try:
        async with aiohttp.ClientSession() as session:

            async def told() -> bool:
                try:
                    async with session.post(url, json={"notifiedAt": "2026-03-01T08:30:00Z", "data": data}) as answer:
                        return answer.status == 204
                except aiohttp.ClientConnectionError:
                    return False

            await until(told, within_s=10)
        line = await receiver.stdout.readline()
        assert line.decode() == '2026-03-01T08:30:00Z /rooms {"id": "urn:x:1"}\n'
    finally:
        receiver.kill()
        await receiver.wait()
