"""Judges recorded trainings: whether they learn, where their time goes, what to change."""
