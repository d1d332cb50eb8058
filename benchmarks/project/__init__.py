"""A small Django project whose jobs are measured."""
