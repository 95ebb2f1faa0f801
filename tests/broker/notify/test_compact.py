import sys

from bson import encode

from broker.storage.mongo_compact import CompactDocument

STORED = {
    "_id": "urn:s:1",
    "subscription": {
        "id": "urn:s:1",
        "type": "Subscription",
        "notification": {"endpoint": {"uri": "http://x.example/"}},
    },
    "context": ["https://c.example/", {"term": "https://c.example/term"}],
}


def test_a_compact_document_reads_like_the_one_that_was_stored() -> None:
    document = CompactDocument.of(STORED)
    assert document == STORED
    assert document["subscription"] == STORED["subscription"]
    assert document.get("delivery", {}) == {}
    assert document["context"] == STORED["context"]


def test_its_members_can_be_read_after_it_was_forgotten_and_do_not_keep_it_decoded() -> None:
    document = CompactDocument.of(STORED)
    members = document["subscription"]
    assert members["type"] == "Subscription"
    before = document.decoded()
    document.forget()
    assert sys.getrefcount(before) == 2
    assert members["notification"]["endpoint"]["uri"] == "http://x.example/"
    assert document.decoded() is not before
    assert CompactDocument(encode(STORED)) == document
