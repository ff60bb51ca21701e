"""`make soak`: a flood of images under faults, kills and restarts, all accounted for by name."""
