"""Who runs jobs, and when."""
