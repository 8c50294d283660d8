"""A folder to drop into somebody's codebase: models, their tests, a card, and what loads weights."""

from specbuild.packaging.contents import KNOWN, Diagram, File, Wanted, package
from specbuild.packaging.folder import Change, checked, delivered, named

__all__ = ["KNOWN", "Change", "Diagram", "File", "Wanted", "checked", "delivered", "named", "package"]
