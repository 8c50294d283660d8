"""From the bytes of a spec file to plain data and places; `specbuild.source` is its face."""
