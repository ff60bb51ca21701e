from tests.small_model import card, weights

__all__ = ["card", "weights"]
