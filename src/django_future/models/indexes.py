"""A partial index that also works on databases without partial indexes."""

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement


class PartialIndex(models.Index):
    """An index of the rows that match `where`.

    On a database without partial indexes, it indexes all rows, and the fields of `lead` come first.
    """

    def __init__(
        self,
        *,
        where: models.Q,
        fields: list[str],
        name: str,
        lead: tuple[str, ...] = (),
        is_unique: bool = False,
    ) -> None:
        self.where = where
        self.lead = lead
        self.is_unique = is_unique
        super().__init__(fields=fields, name=name)

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        options = {"where": self.where, "lead": self.lead, "is_unique": self.is_unique}
        return path, args, {**kwargs, **options}

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kwargs: Any,
    ) -> Statement:
        """Return the statement for the database of `schema_editor`."""
        if schema_editor.connection.features.supports_partial_indexes:
            index = models.Index(fields=self.fields, name=self.name, condition=self.where)
        else:
            index = models.Index(fields=[*self.lead, *self.fields], name=self.name)
        statement = index.create_sql(model, schema_editor, using, **kwargs)
        if self.is_unique:
            statement.template = statement.template.replace("CREATE INDEX", "CREATE UNIQUE INDEX")
        return statement
