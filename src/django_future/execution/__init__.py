"""One claimed job, from its start to the record of its end."""
