"""``python -m imagedrop``."""

from imagedrop.cli import main

main()
