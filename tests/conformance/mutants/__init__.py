"""Faulty backends, to test the suite itself."""

from tests.conformance.mutants import definition, errors, results, running, signals, values
from tests.conformance.mutants.finders import FINDERS

__all__ = ["FINDERS", "definition", "errors", "results", "running", "signals", "values"]
