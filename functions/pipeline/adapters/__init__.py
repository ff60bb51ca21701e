"""The pipeline's calls of AWS. In the pipeline, only these modules import botocore."""
