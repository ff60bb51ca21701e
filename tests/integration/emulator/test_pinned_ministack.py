"""The emulator refuses a MiniStack that its patches were not written for."""

from __future__ import annotations

import importlib.metadata
import types

import pytest

from localcloud.emulator import patching


def test_another_version_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.5.34")

    with pytest.raises(patching.UnexpectedMiniStackError, match=r"needs ministack 1\.5\.33, found"):
        patching.require_version()


def test_part_that_looks_different_is_not_patched() -> None:
    module = types.SimpleNamespace(__name__="module", SCRIPT="changed")

    with pytest.raises(patching.UnexpectedMiniStackError, match=r"module\.SCRIPT is not what"):
        patching.replace(module, "SCRIPT", patching.fingerprint("as it was"), lambda old: old)
    assert module.SCRIPT == "changed"
