"""Which tests of a parallel run stay in one process: those of a file, and those of one cloud.

A group is found by the path of its file, because the process that distributes tests collects none
itself. pytest-xdist has marks for groups, but pytest 9 ignores them.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# Each group makes its cloud, emulator, stand-in or model once.
GROUPS = {
    "tests/integration/bulk/": "cloud",
    "tests/integration/pipeline/": "cloud",
    "tests/integration/local_cloud/test_doctor.py": "cloud",
    "tests/integration/models/": "cloud",
    "tests/integration/page/": "cloud",
    "tests/integration/emulator/": "emulator",
    "tests/integration/sagemaker/": "stand-in",
    "tests/integration/serving/": "server",
}


def group_of(nodeid: str) -> str:
    """Return the name of a test's group: its file's, unless several files share something."""
    file = nodeid.partition("::")[0]
    return next((name for start, name in GROUPS.items() if file.startswith(start)), file)


class OneProcessPerGroup(LoadScopeScheduling):
    """Distributes groups in the order in which their first tests are collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
