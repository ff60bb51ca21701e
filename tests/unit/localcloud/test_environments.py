"""Nothing of the user's AWS set-up reaches a process of the local cloud."""

from __future__ import annotations

import os

import pytest

from localcloud import aws, environments

_USERS = {
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SESSION_TOKEN": "real",
    "AWS_ENDPOINT_URL": "https://elsewhere.example",
    "AWS_ENDPOINT_URL_S3": "https://elsewhere.example",
    "AWS_CA_BUNDLE": "/nowhere.pem",
    "SAM_CLI_POLL_DELAY": "60",
    "PYTHONPATH": "/home/user/lib",
    "VIRTUAL_ENV": "/home/user/venv",
    "AUTH": "true",
    "PATH": "/usr/bin",
    "HTTPS_PROXY": "http://proxy:3128",
}


def test_users_aws_settings_are_left_out_and_the_rest_is_kept() -> None:
    kept = environments.without_aws(_USERS)

    assert not (set(_USERS) - {"PATH", "HTTPS_PROXY"}) & set(kept)
    assert kept["PATH"] == "/usr/bin"
    assert kept["HTTPS_PROXY"] == "http://proxy:3128"
    assert kept["NO_PROXY"] == "127.0.0.1,localhost"
    assert kept["AWS_CONFIG_FILE"] == os.devnull


def test_calls_go_to_the_emulator_with_its_credentials() -> None:
    environment = environments.leading_to("http://127.0.0.1:4566", _USERS)

    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert environment["AWS_ACCESS_KEY_ID"] == "test"
    assert "AWS_SESSION_TOKEN" not in environment
    assert "AWS_ENDPOINT_URL_S3" not in environment


def test_session_ignores_the_users_profile_and_endpoints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in _USERS.items():
        monkeypatch.setenv(name, value)

    client = aws.client("s3", "http://127.0.0.1:4566")

    assert client.meta.endpoint_url == "http://127.0.0.1:4566"
    credentials = aws.session().get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.token) == ("test", None)
