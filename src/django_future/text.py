"""Text that every database takes, and how much of it a row holds."""

MAX_ARGUMENTS_BYTES = 2**20  # of stored args, and of stored kwargs
MAX_ERROR_BYTES = 64 * 2**10  # of an error, a traceback, a reason
MAX_RESULT_BYTES = 2**20  # of a stored return value

_MAX_BYTES_OF_CHARACTER = 4  # in UTF-8


def storable(text: str) -> str:
    """Return `text` with escapes for what PostgreSQL refuses: NUL, and half a surrogate pair."""
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def shortened(text: str, max_bytes: int = MAX_ERROR_BYTES) -> str:
    """Return `text`, or its beginning and its end with a line between them that says what is cut.

    The result has at most `max_bytes` bytes in UTF-8. The text must be storable.
    """
    if len(text) * _MAX_BYTES_OF_CHARACTER <= max_bytes:
        return text
    data = text.encode()
    if len(data) <= max_bytes:
        return text
    # The end of a traceback says what happened, its beginning where.
    half = max(max_bytes - len(_notice(len(data), len(data))), 0) // 2
    start, end = data[:half], data[len(data) - half :]
    notice = _notice(len(data) - 2 * half, len(data))
    return f"{start.decode(errors='ignore')}{notice}{end.decode(errors='ignore')}"


def _notice(cut: int, total: int) -> str:
    return f"\n[... {cut:,} of {total:,} bytes are cut here ...]\n"
