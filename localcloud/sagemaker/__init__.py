"""A stand-in for SageMaker on loopback: models, endpoints, invocations, and jobs that
transform, train and tune.

It answers boto3 with SageMaker's own shapes, codes and messages and runs the serving code of the
real model archive in a subprocess. Where SageMaker offers more than this project needs, the
request is refused with a message that begins with ``Not emulated``.
"""
