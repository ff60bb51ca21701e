"""The endpoint's container: one ASGI application over ONNX Runtime.

Nothing is imported here, so that a host pays for what it uses only.
"""
