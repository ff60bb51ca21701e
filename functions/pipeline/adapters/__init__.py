"""Where the pipeline meets AWS. Only here is botocore imported."""
