"""Django's Tasks API on rows of jobs."""
