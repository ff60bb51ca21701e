"""Gap: an expression is read again for every row: a tenth of a millisecond each.

DynamoDB reads an expression once a request. Only the parts that do not depend on the row are read
once; refused expressions are left to MiniStack and its messages.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from localcloud.emulator import patching

_LOOKS = "94561811e28c"
_KEPT = 256  # expressions

Token = tuple[str, str]


def install() -> None:
    """Keep the tokens of expressions that were found to be sound."""
    dynamodb = patching.module("services.dynamodb")
    patching.replace(dynamodb, "_evaluate_condition", _LOOKS, partial(_once, dynamodb))


def _once(dynamodb: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    @lru_cache(_KEPT)
    def sound(expr: str, slot: str) -> tuple[list[Token], list[tuple[str, str]]] | None:
        tokens = dynamodb._tokenize(expr)
        refused = (
            dynamodb._check_redundant_parens(tokens, slot)
            or dynamodb._check_reserved_keyword_usage(tokens)
            or dynamodb._condition_syntax_error(expr, slot)
        )
        return None if refused else (tokens, _bounds(tokens))

    def evaluate(
        expr: str, item: Any, values: Any, names: Any, slot: str = "ConditionExpression"
    ) -> Any:
        read = sound(expr, slot) if expr and expr.strip() else None
        if read is not None:
            tokens, bounds = read
            try:
                if not any(
                    dynamodb._between_bounds_error(values.get(low), values.get(high))
                    for low, high in bounds
                ):
                    return dynamodb._ExprEval(tokens, item, values, names).evaluate()
            except Exception:  # noqa: BLE001, S110 - MiniStack meets it again, and says what it is
                pass
        return original(expr, item, values, names, slot=slot)

    return evaluate


def _bounds(tokens: list[Token]) -> list[tuple[str, str]]:
    """Returns the values between which a BETWEEN asks, as MiniStack finds them."""
    return [
        (low, high)
        for (kind, word), (first, low), (_, middle), (last, high) in zip(
            tokens, tokens[1:], tokens[2:], tokens[3:], strict=False
        )
        if (kind, word.upper()) == ("IDENT", "BETWEEN")
        and (first, middle.upper(), last) == ("VALUE_REF", "AND", "VALUE_REF")
    ]
