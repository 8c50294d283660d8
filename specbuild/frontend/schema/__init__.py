"""The JSON Schema of a spec, and the check of a file against it."""

from specbuild.frontend.schema.spec_schema import build_spec_schema
from specbuild.frontend.schema.validate import validate_source

__all__ = ["build_spec_schema", "validate_source"]
