"""A small Django project, whose jobs the benchmarks measure."""
