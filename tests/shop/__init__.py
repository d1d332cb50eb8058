"""An app with models and handlers for the tests."""
