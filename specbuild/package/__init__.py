"""A folder to drop into somebody's codebase: models, their tests, a card, and what loads weights."""

from specbuild.package.files import DIAGRAMS, Diagram, File, Wanted, package
from specbuild.package.folder import Change, checked, delivered, named

__all__ = ["DIAGRAMS", "Change", "Diagram", "File", "Wanted", "checked", "delivered", "named", "package"]
