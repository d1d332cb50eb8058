"""Which tests find the fault of a faulty backend."""

FINDERS: dict[str, list[str]] = {}


def found_by(*tests):
    """Register a backend with the names of the tests that find its fault, without `test_`."""

    def register(mutant):
        path = f"{mutant.__module__}.{mutant.__qualname__}"
        FINDERS[path] = [f"test_{test}" for test in tests]
        return mutant

    return register
