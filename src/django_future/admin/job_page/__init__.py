"""The page of a job: what it waits for or how it ended, and the buttons that act on it."""
