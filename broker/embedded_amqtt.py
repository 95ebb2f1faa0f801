"""`python -m broker.embedded_amqtt PORT`: an MQTT broker in Python, where no mosquitto is installed.

It serves MQTT 3.1.1 and keeps its sessions in memory only: messages that wait for an agent are lost when it stops.
"""

import asyncio
import logging
import signal
import sys
from typing import Any

from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin


class EveryClient(BaseAuthPlugin):  # type: ignore[misc]  # amqtt ships no types
    """Let every client in. amqtt's own plugin for that marks sessions as anonymous and then keeps nothing for them."""

    async def authenticate(self, *, session: Any) -> bool:
        """Whether the client may connect."""
        return True


async def serve(port: int) -> None:
    """Serve MQTT on 127.0.0.1:`port` until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"broker.embedded_amqtt.EveryClient": {}},
        }
    )
    await broker.start()
    await stop.wait()
    await broker.shutdown()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(int(sys.argv[1])))
