"""Commands that measure django-future beside its peers, on the machine at hand."""
