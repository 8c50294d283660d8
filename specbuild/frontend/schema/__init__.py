"""The form of a spec: its JSON Schema, and the check of a file against it."""

from specbuild.frontend.schema.document import schema
from specbuild.frontend.schema.validate import validate

__all__ = ["schema", "validate"]
