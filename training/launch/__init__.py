"""What SageMaker is asked for: pure functions from frozen dataclasses to request dictionaries.

Nothing here opens a connection; ``imagedrop.launch_*`` send what is built here.
"""
