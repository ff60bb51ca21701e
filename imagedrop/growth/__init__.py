"""A discrete-event model of the deployed system, and the cheapest configuration for a load."""
