"""Bulk runs, a whole folder at once: list, prepare, transform, record, reconcile."""
