"""Make a MongoDB server a replica set of one, and tell an operator what is wrong with the server of a MONGODB_URI.

Change streams and transactions exist only in a replica set, and a fresh `mongod` is none until `replSetInitiate`
(MongoDB manual, "Replication commands"). Everything here is synchronous: it runs once, before any role.
"""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from broker.supervisor.errors import NotAReplicaSet, ServerRefusedLogin, ServerUnreachable, StartError

SET_NAME: Final = "medina"
ATTEMPT_MS: Final = 300
PAUSE_S: Final = 0.02

# Codes of MongoDB's error_codes.yml.
UNAUTHORIZED: Final = 13
AUTHENTICATION_FAILED: Final = 18
ALREADY_INITIALIZED: Final = 23
NOT_YET_INITIALIZED: Final = 94


def become_primary(
    port: int,
    within_s: float,
    address: str | None = None,
    host: str = "127.0.0.1",
    is_running: Callable[[], bool] = lambda: True,
) -> None:
    """Initiate the `mongod` on `host`:`port` as a replica set of one and wait until it takes writes.

    `address` is the host:port that clients shall use, `host`:`port` when absent. A server whose data was initiated
    under another address is moved to this one. Raises ServerUnreachable when there is no primary in time, or when
    `is_running` says that the server has ended.
    """
    deadline = time.monotonic() + within_s
    while reason := why_not_primary(port, address, host):
        if not is_running():
            raise ServerUnreachable(f"MongoDB at {host}:{port} has ended before it was ready")
        if time.monotonic() > deadline:
            raise ServerUnreachable(f"MongoDB at {host}:{port} did not become ready in {within_s:.0f} s: {reason}")
        time.sleep(PAUSE_S)


def why_not_primary(port: int, address: str | None = None, host: str = "127.0.0.1") -> str | None:
    """Bring the `mongod` one step closer to being a primary (see `become_primary`); None when it is one."""
    try:
        with closing(_client(f"mongodb://{host}:{port}/?directConnection=true", ATTEMPT_MS)) as client:
            return None if _is_primary_at(client, address or f"{host}:{port}") else "is being made a replica set"
    except ConnectionFailure as problem:
        return f"does not answer ({str(problem).partition(' (')[0]})"
    except OperationFailure as problem:
        return str(problem.details["errmsg"]) if problem.details else str(problem)


def _is_primary_at(client: MongoClient[dict[str, Any]], member: str) -> bool:
    """One step towards a primary at the address `member`; True once there is nothing left to do."""
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as problem:
        if problem.code != NOT_YET_INITIALIZED:
            raise
        config = {"_id": SET_NAME, "members": [{"_id": 0, "host": member}]}
        client.admin.command("replSetInitiate", config)
        return False
    if len(config["members"]) == 1 and config["members"][0]["host"] != member:
        config["members"][0]["host"] = member
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
        return False
    return bool(client.admin.command("hello").get("isWritablePrimary"))


def check_replica_set(uri: str, within_s: float) -> None:
    """Make sure that the server of MONGODB_URI can serve Medina.

    Raises ServerUnreachable, ServerRefusedLogin, NotAReplicaSet, or StartError for a URI that is none.
    """
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise StartError(f"MONGODB_URI is not usable: write {shown(uri)!r} as mongodb://host:port/?replicaSet=name")
    try:
        with closing(_client(uri, int(within_s * 1000))) as client:
            hello = client.admin.command("hello")
            client.admin.command("listDatabases", nameOnly=True, filter={"name": "admin"})
    except (InvalidURI, ConfigurationError) as problem:
        raise StartError(f"MONGODB_URI is not usable: {problem}") from problem
    except OperationFailure as problem:
        raise _refusal(problem, uri) from problem
    except (ServerSelectionTimeoutError, AutoReconnect) as problem:
        raise ServerUnreachable(_unreachable(uri)) from problem
    except PyMongoError as problem:
        raise StartError(f"MongoDB at {shown(uri)} cannot be used: {problem}") from problem
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise NotAReplicaSet(
            f"MongoDB at {shown(uri)} is not a replica set, and Medina needs its change streams. "
            "Start it with --replSet and initiate it (a set of one is enough), or unset MONGODB_URI to use "
            "Medina's own."
        )


def _refusal(problem: OperationFailure, uri: str) -> StartError:
    if problem.code in (UNAUTHORIZED, AUTHENTICATION_FAILED):
        return ServerRefusedLogin(
            f"MongoDB at {shown(uri)} refuses the user name or password. Check them in MONGODB_URI "
            "(and authSource=… when the user belongs to another database)."
        )
    return StartError(f"MongoDB at {shown(uri)} cannot be used: {problem}")


def _unreachable(uri: str) -> str:
    return (
        f"MongoDB at {shown(uri)} does not answer. Start it, or correct MONGODB_URI; without MONGODB_URI `medina up` "
        "starts one of its own."
    )


def shown(uri: str) -> str:
    """The URI without its user name and password, fit for a message."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else uri.rpartition("@")[2]


def _client(uri: str, selection_ms: int) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri, serverSelectionTimeoutMS=selection_ms, connectTimeoutMS=selection_ms)
