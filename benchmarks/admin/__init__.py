"""Measures the pages of the admin: queries, time and size."""
