"""The project of a flower shop."""
