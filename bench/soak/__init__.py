"""`make soak`: a flood with faults, kills and restarts, and the books balanced afterwards."""
