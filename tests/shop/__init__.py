"""A shop, whose orders the tests bind jobs to."""
