"""Hosts the endpoint in AWS's Ray Serve container, which starts what ``config.yaml`` names.

The container puts the extracted archive on PYTHONPATH, so the imports are the repository's.
"""

from pathlib import Path

from ray import serve  # type: ignore[import-not-found]

from model.serving.app import create_app


class ImageClassifier:
    """Empty: the application answers, Ray Serve only hosts it."""


application = create_app(Path(__file__).parent)
app = serve.deployment(serve.ingress(application)(ImageClassifier)).bind()
