"""Turns a call of `schedule_job` into a row, and changes rows by hand."""
