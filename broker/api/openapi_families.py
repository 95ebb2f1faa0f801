"""The first words of the OpenAPI document, and those of each family of operations, in the order of the page."""

from ngsi.vocabulary import SPECIFICATION

INTRODUCTION = f"""
NGSI-LD ({SPECIFICATION}) for entities, their changes and those who want to know of them. What holds everywhere:

* Names (of types and attributes) are terms of an **@context**: the one whose URL the header `Link` names, or with
  `Content-Type: application/ld+json` the one in the body. Without one they are terms of NGSI-LD's default @context.
* Answers come as `application/json` (the @context in the header `Link`) or, by `Accept`, as `application/ld+json`;
  entities also as `application/geo+json`.
* The header `NGSILD-Tenant` names the **tenant**; the first entity or subscription of a new one creates it.
* **Errors** are problem details (RFC 7807): `type` is one of the standard, `detail` says what is wrong and what is
  right. Unknown parameters are refused with 400, those of the standard that are not offered yet with 501.
* **Lists** come in pages: `limit` and `offset`; the header `Link` leads on, `count=true` asks for the total.
* `HEAD` and `OPTIONS` work everywhere, gzip in both directions.

The guide with examples for `curl` is docs/developers.md.
"""

FAMILIES = {
    "entities": "Entities and their attributes: write, read, find, delete",
    "entityOperations": "Many entities with one request, and long queries",
    "types": "Which entity types there are",
    "attributes": "Which attributes there are",
    "subscriptions": "Being told of changes; what becomes of notifications (under /ngsi-ld/ex/v1, not of the standard)",
    "jsonldContexts": "@contexts: those kept here, and copies of those from the web",
    "entityMaps": "What a query found, kept so that its pages are those of one set",
    "entityMap": "The same under the name that V1.8.1 gives it in one place",
    "info": "Who this broker is",
    "tenants": "Tenants, for operators (not of the standard)",
    "operation": "Health and metrics, for operators",
    "later": "Parts of the standard that are not offered yet",
}
