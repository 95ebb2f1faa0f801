"""What a pilot does with PyPI's ngsildclient, against the broker given. Run in an environment of its own.

    python ngsildclient_calls.py --port 1026

Ends with code 0 when every call did what the client's documentation says; names each group of calls as it is done.
"""

import argparse
import json
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from ngsildclient import Client, Entity, SubscriptionBuilder
from ngsildclient.api.exceptions import NgsiAlreadyExistsError, NgsiResourceNotFoundError

_NOTIFIED_WITHIN_S = 20


def room(number: int, temperature: float) -> Entity:
    """A room with a property, a place, a relationship and a nested time."""
    entity = Entity("Room", f"r{number}")
    entity.prop("temperature", temperature, unitcode="CEL", observedat="2026-02-03T08:00:00Z")
    entity.loc(33.0 + number / 100, -7.6)
    entity.rel("partOf", "Building:b1")
    return entity


def plain(entity: Entity) -> dict[str, Any]:
    """The members of an entity but @context, where the broker names the version of the core context."""
    members: dict[str, Any] = json.loads(entity.to_json())
    return {name: value for name, value in members.items() if name != "@context"}


def refused(error: type[Exception], call: Callable[..., Any], *arguments: Any) -> None:
    """Asserts that the client raises the error it has for this answer of the broker."""
    try:
        call(*arguments)
    except error:
        return
    raise AssertionError(f"{call.__qualname__}{arguments} was not refused with {error.__name__}")


def single_entities(client: Client) -> None:
    """Create, retrieve, test, update, upsert and delete one entity."""
    first = room(1, 21.5)
    assert client.create(first) is True
    refused(NgsiAlreadyExistsError, client.create, first)
    got = client.get("Room:r1")
    assert plain(got) == plain(first)
    assert client.get(first).to_dict()["temperature"]["unitCode"] == "CEL"
    assert client.exists(first)
    assert not client.exists("Room:r404")
    first.prop("temperature", 22.5)
    assert client.update(first) is True
    assert client.get(first)["temperature.value"] == 22.5
    assert client.update(room(404, 1)) is False
    first.prop("temperature", 23.5)
    assert client.upsert(first) is True
    assert client.upsert(room(2, 18)) is True
    assert client.get("Room:r1", asdict=True)["temperature"]["value"] == 23.5
    assert client.delete(first) is True
    refused(NgsiResourceNotFoundError, client.get, "Room:r1")
    refused(NgsiResourceNotFoundError, client.delete, first)


def batches(client: Client) -> None:
    """Create, upsert, update and delete many entities; some of them refused."""
    rooms = [room(number, 10 + number) for number in range(10, 40)]
    made = client.create(rooms)
    assert (made.n_ok, made.n_err) == (30, 0), made
    again = client.create([*rooms[:2], room(40, 50)])
    assert (again.n_ok, again.n_err) == (1, 2), again
    assert client.upsert([room(10, 30), room(41, 51)]).ok
    assert client.update([room(11, 31)]).ok
    assert client.get("Room:r11")["temperature.value"] == 31
    gone = client.delete([room(40, 0), room(404, 0)])
    assert (gone.n_ok, gone.n_err) == (1, 1), gone


def queries(client: Client) -> None:
    """Query by type and value, page by page, by GET and by POST, and count."""
    assert client.count(type="Room") == 32
    assert len(client.query(type="Room", limit=7)) == 32
    assert {found.id for found in client.query(type="Room", q="temperature>=45")} == {
        "urn:ngsi-ld:Room:r35",
        "urn:ngsi-ld:Room:r36",
        "urn:ngsi-ld:Room:r37",
        "urn:ngsi-ld:Room:r38",
        "urn:ngsi-ld:Room:r39",
        "urn:ngsi-ld:Room:r41",
    }
    assert len(client.query_head(type="Room", n=3)) == 3
    assert len(list(client.query_generator(type="Room", q='partOf=="urn:ngsi-ld:Building:b1"', limit=10))) == 32
    posted = {"type": "Query", "entities": [{"type": "Room"}], "q": "temperature<25"}
    assert len(client.alt.query(posted)) == len(client.query(type="Room", q="temperature<25")) == 4
    assert client.types.list() == ["Room"]


def subscriptions(client: Client) -> None:
    """Subscribe, be notified, list, retrieve and delete."""
    with receiving() as (address, received):
        builder = SubscriptionBuilder(address).name("hot rooms").description("too hot").select_type("Room")
        made = client.subscriptions.create(builder.watch(["temperature"]).query("temperature>100").build())
        assert client.subscriptions.exists(made)
        assert [item["id"] for item in client.subscriptions.list("hot")] == [made]
        assert client.subscriptions.list("cold") == []
        assert unquote(client.subscriptions.get(made)["q"]) == "temperature>100"
        client.upsert([room(12, 101)])
        notification = received.get(timeout=_NOTIFIED_WITHIN_S)
        assert notification["subscriptionId"] == made
        assert [item["id"] for item in notification["data"]] == ["urn:ngsi-ld:Room:r12"]
        assert client.subscriptions.delete("hot") is True
        assert client.subscriptions.list() == []
        assert not client.subscriptions.exists(made)


def contexts(client: Client) -> None:
    """Store an @context and list them."""
    client.contexts.add({"@context": {"heat": "https://example.org/heat"}})
    (stored,) = [url for url in client.contexts.list() if "jsonldContexts/" in url]
    name = stored.rpartition("/")[2]
    assert client.contexts.exists(name)
    assert client.contexts.get(name)["@context"]["heat"] == "https://example.org/heat"
    assert client.contexts.delete(name) is True
    assert not client.contexts.exists(name)


def deletion_by_query(client: Client) -> None:
    """Delete what a filter selects, then a type, then everything."""
    client.delete_where(type="Room", q="temperature>=45")
    assert client.count(type="Room", q="temperature>=45") == 0
    assert client.count(type="Room") > 0
    client.drop("Room")
    assert client.count(type="Room") == 0
    client.create(room(1, 20))
    client.purge()
    assert client.types.list() == []


@contextmanager
def receiving() -> Iterator[tuple[str, "queue.Queue[dict[str, Any]]"]]:
    """An address for notifications, and those that came."""
    received: queue.Queue[dict[str, Any]] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any, **__: Any) -> None:
            """Nothing: the output is for the calls."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/rooms", received
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    """Runs all groups in turn, as one city and as the default tenant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    for tenant in ("settat", None):
        with Client("127.0.0.1", port, tenant=tenant, verbose=False) as client:
            client.purge()
            client.subscriptions.purge()
            for group in (single_entities, batches, queries, subscriptions, contexts, deletion_by_query):
                group(client)
                sys.stdout.write(f"{tenant}: {group.__name__}\n")


if __name__ == "__main__":
    main()
