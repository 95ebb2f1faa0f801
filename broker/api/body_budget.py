"""How much of request bodies a process works on at a time: its memory stays bounded whatever clients send."""

from broker.errors import Overloaded


class BodyBudget:
    """Bytes of bodies in progress; a lone body always fits, whatever its size."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._in_progress_bytes = 0

    def reserve(self, content_length: bytes | None) -> int:
        """Takes the length that a request announces, before its body is read; Overloaded if too much is in progress.

        Gives what is to be released. A length that is no number is left to the reader of the body to refuse.
        """
        size = int(content_length) if content_length is not None and content_length.isdigit() else 0
        if self._in_progress_bytes and self._in_progress_bytes + size > self._limit_bytes:
            raise Overloaded(
                f"Bodies of {self._in_progress_bytes} bytes are being worked on, this one has {size}, and the limit is "
                f"{self._limit_bytes} in all; come back later"
            )
        self._in_progress_bytes += size
        return size

    def release(self, size: int) -> None:
        """Gives back what `reserve` took."""
        self._in_progress_bytes -= size
