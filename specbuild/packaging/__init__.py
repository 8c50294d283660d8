"""Packages: a folder with the model in one or more frameworks, its tests, a README and weight loaders."""

from specbuild.packaging.contents import (
    PACKAGE_FILE_NAMES,
    Diagram,
    PackageFile,
    PackageOptions,
    build_package,
    list_file_names,
)
from specbuild.packaging.folder import FileChange, apply_changes, package_name, plan_changes

__all__ = [
    "PACKAGE_FILE_NAMES",
    "Diagram",
    "FileChange",
    "PackageFile",
    "PackageOptions",
    "apply_changes",
    "build_package",
    "list_file_names",
    "package_name",
    "plan_changes",
]
