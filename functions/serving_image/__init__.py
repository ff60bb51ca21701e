"""The serving image, made and pushed by the stack itself: no Docker, no build service.

An image is a list of layers and two JSON files. ``PublishImageFunction`` copies the layers of a
pinned Python image from a public registry into the stack's own repository, appends one layer with
the wheels of its own bundle, and pushes a manifest for both:

- ``layer``: wheels → one reproducible layer;
- ``manifest``: base image + layer → configuration and manifest of the new image;
- ``container_registry``: a client for the registry protocol (the OCI distribution specification);
- ``publish``: the order of these steps, and what makes a tag.

The image holds what the serving code needs, not the code: the model archive brings its own, so one
image serves every model.
"""
