"""Text that every database takes."""


def storable(text: str) -> str:
    """Return `text` with escapes for what PostgreSQL refuses: NUL, and half a surrogate pair."""
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
