"""AWS in one local process: MiniStack, started with the gaps closed that this project needs.

Runs under the Python of MiniStack's own virtual environment, not the project's. Each module
beside this one closes one gap from outside; `patching` refuses to patch anything that does not
look as it did in the pinned version. What is real, what is imitated and where it differs is
written down in docs/local-cloud.md.
"""
