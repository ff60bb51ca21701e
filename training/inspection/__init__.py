"""Judges recorded trainings: are they learning, where does their time go, what to change."""
