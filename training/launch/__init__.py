"""Requests to SageMaker: pure functions from frozen dataclasses to request dictionaries.

Nothing here opens a connection; `imagedrop.jobs.service` sends what is built here.
"""
