"""What ``make lint`` runs beside ruff, mypy and import-linter: scanners of template and code."""
