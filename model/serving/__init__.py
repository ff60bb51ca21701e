"""The endpoint's container: one ASGI application over ONNX Runtime.

Three modules matter. `app` is the endpoint: routes, life cycle and limits. `classifier` turns a
request body into an answer with the model and its card. `batching` gathers the images of many
callers into runs of the model. The others serve these three: `requests` (one HTTP request and its
errors), `npy` and `webp_batch` (pixels from a body), `onnx_model` and `onnx_runtime`, `cores` and
`logs`; `__main__` runs the application under uvicorn.

Nothing is imported here, so that a host loads only what it uses.
"""
