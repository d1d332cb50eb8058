"""The list of jobs: its lines, its filters and its search."""
