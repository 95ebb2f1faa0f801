"""What a deployment with docker-compose needs before its first start, made once and then left alone.

    <folder>/
      mosquitto/   mosquitto.conf, users (password file), rights (access control list): for the MQTT broker;
                   more/: an empty folder, over which an operator mounts further settings, e.g. of a TLS listener
      agent/       mqtt-url with the agent's password, pseudonym.key: for the agent alone
      devices/     mqtt-url, mqtt-url-local with the devices' password: for the simulator, inside and outside

Each is a volume of its own, so that a container sees its own secrets only. Formats: mosquitto.conf(5).
"""

import base64
import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

from broker.embedded import MOSQUITTO_LIMITS
from broker.supervisor.errors import DataFolderUnusable
from broker.supervisor.folder import KEY_BYTES, write_secret

AGENT, DEVICES, HEALTH = "agent", "devices", "health"
PASSWORD_BYTES: Final = 24
SALT_BYTES: Final = 12
ITERATIONS: Final = 101  # mosquitto's own; no dictionary holds 24 random bytes

CONFIGURATION: Final = """\
# Written by `medina prepare` at each start; topics of further devices belong into MEDINA_DEVICE_TOPICS.
listener 1883
allow_anonymous false
password_file /mosquitto/config/users
acl_file /mosquitto/config/rights
persistence true
persistence_location /mosquitto/data/
include_dir /mosquitto/config/more
"""

RIGHTS: Final = """\
# The agent reads what devices say, and sends them commands and configuration.
user agent
topic read #
topic write /+/+/cmd
topic write /+/+/configuration/values

# Devices of the pilot (and the simulator that plays them) publish, and read what is meant for devices.
user devices
topic write campus/#
topic write uhppoted/#
topic write esp-rfid/#
topic write /json/#
topic write json/#
topic write /ul/#
topic write ul/#
topic write /+/+/attrs/#
topic write +/+/attrs/#
topic write /+/+/cmdexe
topic write +/+/cmdexe
topic write /+/+/configuration/commands
topic write +/+/configuration/commands
topic write application/#
topic write v3/#
topic write home/+/BTtoMQTT/#
topic write senml/#
topic write zigbee2mqtt/#
topic write tele/#
topic write stat/#
topic write shellies/#
topic write +/events/rpc
topic write +/status/+
topic write +/online
topic read /+/+/cmd
topic read /+/+/configuration/values
{further}
# The health check of the container.
user health
topic write health
"""


def prepare_secrets(
    folder: Path, mosquitto_uid: int, medina_uid: int, mqtt_host: str = "mosquitto", device_topics: str = ""
) -> list[str]:
    """Write the files that are missing and give them to the users who read them; gives a line for each file made.

    `device_topics` are further topics that devices may publish on, separated by commas. Raises DataFolderUnusable when
    the folder cannot be written.
    """
    topics = [topic.strip() for topic in device_topics.split(",") if topic.strip()]
    rights = RIGHTS.format(further="".join(f"topic write {topic}\n" for topic in topics))
    try:
        made = _mqtt_logins(folder, mqtt_host) + _pseudonym_key(folder)
        write_secret(folder / "mosquitto" / "mosquitto.conf", CONFIGURATION + MOSQUITTO_LIMITS)
        write_secret(folder / "mosquitto" / "rights", rights)
        for name, owner in (("mosquitto", mosquitto_uid), ("mosquitto-data", mosquitto_uid)):
            _give(folder / name, owner)
        _give(folder / "mosquitto" / "more", mosquitto_uid)
        for name in (AGENT, DEVICES):
            _give(folder / name, medina_uid)
    except OSError as problem:
        raise DataFolderUnusable(f"The folder {folder} cannot be prepared: {problem}.") from problem
    return [f"made {path}" for path in made] or [f"{folder} was complete"]


def _mqtt_logins(folder: Path, host: str) -> list[Path]:
    """Users and their passwords: all of them anew when one file is missing, so that they always fit together."""
    files = {
        folder / AGENT / "mqtt-url": (AGENT, host),
        folder / DEVICES / "mqtt-url": (DEVICES, host),
        folder / DEVICES / "mqtt-url-local": (DEVICES, "127.0.0.1"),
        folder / "mosquitto" / "health-password": (HEALTH, ""),
    }
    users = folder / "mosquitto" / "users"
    if users.exists() and all(path.exists() for path in files):
        return []
    passwords = {user: secrets.token_urlsafe(PASSWORD_BYTES) for user in (AGENT, DEVICES, HEALTH)}
    for path, (user, server) in files.items():
        write_secret(path, f"mqtt://{user}:{passwords[user]}@{server}:1883\n" if server else passwords[user])
    write_secret(users, "".join(password_line(user, password) for user, password in passwords.items()))
    return [*files, users]


def _pseudonym_key(folder: Path) -> list[Path]:
    path = folder / AGENT / "pseudonym.key"
    if path.exists():
        return []
    write_secret(path, secrets.token_hex(KEY_BYTES) + "\n")
    return [path]


def mosquitto_version() -> str:
    """A name for what mosquitto reads at its start: compose makes a new container when that of its label changes."""
    return hashlib.sha256((CONFIGURATION + MOSQUITTO_LIMITS + RIGHTS).encode()).hexdigest()[:12]


def password_line(user: str, password: str) -> str:
    """A line of mosquitto's password file: `user:$7$iterations$salt$hash`, PBKDF2 with SHA-512, both in base64."""
    salt = secrets.token_bytes(SALT_BYTES)
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"{user}:$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}\n"


def _give(folder: Path, owner: int) -> None:
    """Make `owner` the owner of a folder and its files, where this process may (root in the one-shot container)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner, owner)
