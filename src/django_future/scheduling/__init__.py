"""A call becomes a row."""
