"""AWS in one local process: MiniStack, with patches for the gaps that matter to this project.

Runs under the Python of MiniStack's own virtual environment, not the project's, and imports
nothing else of `localcloud`. Each module closes one gap from outside; `patching` refuses to replace
anything that differs from the pinned version. `localcloud/README.md` lists the patches,
docs/local-cloud.md says what is real, what is imitated and where it differs from AWS.
"""
