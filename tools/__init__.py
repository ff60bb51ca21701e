"""Scanners of template and code, which ``make lint`` runs beside ruff, mypy and import-linter."""
