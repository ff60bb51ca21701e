"""The model archive, ``model.tar.gz``: its card and how to read one from an untrusted source.

Lambda, the serving container, the command line and training jobs all read archives with this code.
The archive holds ``model.json`` (the card), ``model.onnx`` (the weights) and the serving code, and
never a pickle: reading an archive executes nothing.
"""
