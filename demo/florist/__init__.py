"""The Django project of a flower shop."""
