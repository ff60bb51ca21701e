"""Watching a training from inside: is it learning, where does its time go, what to do about it."""
