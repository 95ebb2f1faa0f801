"""The numbers that the context API shows at /metrics (Prometheus)."""

from functools import lru_cache

from prometheus_client import Counter, Histogram

COMMIT_FLUSH_REQUESTS = Histogram(
    "medina_commit_flush_requests",
    "Write requests in one flush",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
COMMIT_FLUSH_SECONDS = Histogram(
    "medina_commit_flush_seconds",
    "Duration of a flush",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
COMMIT_CONFLICTS = Counter("medina_commit_conflicts", "Write requests applied anew because another process wrote first")
COMMIT_REFUSED = Counter("medina_commit_refused", "Write requests refused because the queue was full")
REQUESTS = Counter("medina_http_requests", "Answered NGSI-LD requests", ["operation", "status"])


@lru_cache(maxsize=1024)
def _requests(operation: str, status: int) -> Counter:
    return REQUESTS.labels(operation, status)


def count_request(operation: str, status: int) -> None:
    """Counts one answered request."""
    _requests(operation, status).inc()
