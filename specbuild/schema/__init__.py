"""The form of a spec: its JSON Schema, and the check of a file against it."""

from specbuild.schema.check import validate
from specbuild.schema.document import schema

__all__ = ["schema", "validate"]
