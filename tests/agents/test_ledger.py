"""What is delivered again is recognised: by its content, as what is certainly stored, or as what may be."""

import pytest
from pymongo import DESCENDING

from agents.errors import Fenced
from agents.ledger import MAX_MESSAGES_COUNT, Entry, Ledger, Page, identity_of, identity_of_key
from agents.storage.mongo_connection import MongoConnection
from agents.storage.mongo_ledger import KEPT_COUNT, MongoLedger


def entry(text: str, stamp_ms: int) -> Entry:
    return Entry(identity_of("topic", text.encode(), 1), stamp_ms)


def test_a_message_is_unknown_then_uncertain_then_committed() -> None:
    ledger, one = Ledger(), entry("one", 5)
    assert ledger.recall(one.identity) is None
    assert not ledger.is_committed(one.identity)
    ledger.intend([one])
    assert ledger.recall(one.identity) == 5
    assert ledger.recall(one.identity) is None
    ledger.intend([one])
    ledger.settle(Page([one], [identity_of_key("key")]))
    assert ledger.is_committed(one.identity)
    assert "key" in ledger
    assert "other" not in ledger


def test_messages_of_the_same_content_keep_their_order() -> None:
    ledger = Ledger()
    ledger.settle(Page([entry("same", 1)], []))
    ledger.intend([entry("same", 2), entry("same", 3)])
    identity = entry("same", 0).identity
    assert not ledger.is_committed(identity), "one of them is uncertain"
    assert [ledger.recall(identity), ledger.recall(identity), ledger.recall(identity)] == [2, 3, None]


def test_topic_payload_and_packet_id_tell_messages_apart() -> None:
    said = [(topic, payload, number) for topic in ("a", "ab") for payload in (b"", b"b", b"bb") for number in (1, 11)]
    assert len({identity_of(*each) for each in said}) == 12


def test_the_memory_is_bounded() -> None:
    ledger = Ledger()
    ledger.settle(Page([entry(str(number), number) for number in range(MAX_MESSAGES_COUNT + 1)], []))
    assert not ledger.is_committed(entry("0", 0).identity)
    assert ledger.is_committed(entry("1", 1).identity)


def test_of_the_last_page_it_is_not_known_how_it_ended() -> None:
    ledger = Ledger()
    ledger.learn([Page([entry("first", 10)], [identity_of_key("k")]), Page([entry("last", 20)], [])])
    assert ledger.is_committed(entry("first", 0).identity)
    assert "k" in ledger
    assert ledger.recall(entry("last", 0).identity) == 20
    assert ledger.floor_ms == 20


def test_what_is_uncertain_stays_so_until_somebody_has_settled_it() -> None:
    """The second agent was killed before it had sent again all that the first had left."""
    first, one, two, later = entry("first", 1), entry("one", 2), entry("two", 3), entry("later", 4)
    pages = [Page([first], [], "a"), Page([one, two], [], "a"), Page([one], [], "b")]
    ledger = Ledger()
    ledger.learn(pages)
    assert ledger.is_committed(first.identity)
    assert not ledger.is_committed(one.identity)
    assert not ledger.is_committed(two.identity)
    assert [ledger.recall(each.identity) for each in (one, one, two)] == [2, None, 3]
    ledger = Ledger()
    ledger.learn([*pages, Page([later], [], "b")])
    assert ledger.is_committed(one.identity)
    assert [ledger.recall(each.identity) for each in (one, two, later)] == [None, 3, 4]


async def test_pages_are_kept_by_session_and_pruned(mongo: str) -> None:
    connection = MongoConnection(mongo, "ledgertest", 5)
    try:
        written = MongoLedger(connection)
        assert await written.open("s") == []
        assert await written.open("s-1") == []
        pages = [Page([entry(str(number), number)], [identity_of_key(str(number))]) for number in range(3)]
        for page in pages:
            await written.write("s", page)
        await written.write("s-1", pages[0])
        other = MongoLedger(connection)
        assert told(await other.open("s")) == pages
        await other.write("s", pages[1])
        with pytest.raises(Fenced):
            await written.write("s", pages[0])
        assert told(await written.open("s")) == [*pages, pages[1]]
        for page in pages[:1] * (KEPT_COUNT + 300):
            await written.write("s", page)
        assert await connection.database["ledger"].count_documents({}) < 1.6 * KEPT_COUNT
    finally:
        await connection.close()


async def test_an_agent_whose_last_page_a_crash_of_mongodb_has_lost_is_fenced_all_the_same(mongo: str) -> None:
    connection = MongoConnection(mongo, "ledgerlost", 5)
    try:
        first, second = MongoLedger(connection), MongoLedger(connection)
        await first.open("s")
        pages = [Page([entry(str(number), number)], []) for number in range(3)]
        for page in pages:
            await first.write("s", page)
        last = await connection.database["ledger"].find_one_and_delete({}, sort=[("_id", DESCENDING)])
        assert last is not None
        assert told(await second.open("s")) == pages[:-1]
        with pytest.raises(Fenced):
            await first.write("s", pages[0])
        await second.write("s", pages[2])
    finally:
        await connection.close()


def told(pages: list[Page]) -> list[Page]:
    """Those that say something, whoever has written them: opening a session writes empty ones."""
    assert all(page.writer for page in pages)
    return [page._replace(writer="") for page in pages if page.messages]
