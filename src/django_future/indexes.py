"""An index for the rows of one status, on databases with partial indexes and without."""

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement


class StatusIndex(models.Index):
    """Index only the rows with `status`; where the database has no such index, lead with it."""

    def __init__(self, *, status: str, fields: list[str], name: str) -> None:
        self.status = status
        super().__init__(fields=fields, name=name)

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "status": self.status}

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kwargs: Any,
    ) -> Statement:
        """Return the statement that suits the database of `schema_editor`."""
        if schema_editor.connection.features.supports_partial_indexes:
            index = models.Index(
                fields=self.fields, name=self.name, condition=models.Q(status=self.status)
            )
        else:
            index = models.Index(fields=["status", *self.fields], name=self.name)
        return index.create_sql(model, schema_editor, using, **kwargs)
