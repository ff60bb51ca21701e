"""The page: photos and their answers in a browser. Its files are below ``static``."""
