"""The jobs per second of django-future and its peers."""
