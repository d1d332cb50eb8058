"""How late the jobs of django-future and its peers start."""
