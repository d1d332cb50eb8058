"""Run the suite on faulty backends: `python -m tests.conformance.mutation [--all]`.

Prints as JSON which tests failed for each of them. Without `--all`, only the tests run that must
find the fault.
"""

import json
import sys
import unittest

from tests.conformance.run import name_of, on_a_new_database, prepare


def main(arguments):
    """Run the tests of each mutant."""
    with prepare("memory"):
        from tests.conformance.mutants import FINDERS

        with on_a_new_database():
            failed = {
                path: failures(path, None if arguments else tests)
                for path, tests in FINDERS.items()
            }
    print(json.dumps(failed))


def failures(path, tests):
    """Return the names of the tests that fail for a mutant."""
    from tests.conformance.adapters import MemoryTests

    case = type("MutantTests", (MemoryTests,), {"backend_path": path})
    result = unittest.TestResult()
    names = unittest.defaultTestLoader.getTestCaseNames(case) if tests is None else tests
    unittest.TestSuite(map(case, names)).run(result)
    return sorted({name_of(test) for test, _ in [*result.failures, *result.errors]})


if __name__ == "__main__":
    main(sys.argv[1:])
