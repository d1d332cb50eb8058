"""Helpers of the tests, which contain no tests."""
