"""Text that every database accepts, and the limits of its length."""

MAX_ARGUMENTS_BYTES = 2**20  # of the stored args, and of the stored kwargs
MAX_ERROR_BYTES = 64 * 2**10  # of an error, a traceback, a reason
MAX_RESULT_BYTES = 2**20  # of a stored return value

_MAX_BYTES_OF_CHARACTER = 4  # in UTF-8


def storable(text: str) -> str:
    """Return `text` with escapes for NUL and lone surrogates, which PostgreSQL rejects."""
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def shortened(text: str, max_bytes: int = MAX_ERROR_BYTES) -> str:
    """Return `text`, with its middle replaced by a notice if it has more than `max_bytes` bytes.

    The length is that in UTF-8, and the limit includes the notice. The text must be storable.
    """
    if len(text) * _MAX_BYTES_OF_CHARACTER <= max_bytes:
        return text
    data = text.encode()
    if len(data) <= max_bytes:
        return text
    # The beginning of a traceback shows where the error was raised, and its end shows the error.
    half = max(max_bytes - len(_notice(len(data), len(data))), 0) // 2
    start, end = data[:half], data[len(data) - half :]
    notice = _notice(len(data) - 2 * half, len(data))
    return f"{start.decode(errors='ignore')}{notice}{end.decode(errors='ignore')}"


def _notice(cut: int, total: int) -> str:
    return f"\n[... {cut:,} of {total:,} bytes are cut here ...]\n"
