"""Turns the schedules of other packages into recurring jobs. The packages need not be installed."""
