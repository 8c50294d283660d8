"""Run frameworks in separate worker processes. This package itself imports no framework."""
