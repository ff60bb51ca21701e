"""Options that several commands share, generated from the dataclasses that declare them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, replace
from inspect import Parameter, signature
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints

import typer

from imagedrop.errors import as_user_error
from training.settings import declared_settings
from training.tuning.search import SearchSpace

Command = TypeVar("Command", bound=Callable[..., None])


def takes(options: Iterable[Parameter]) -> Callable[[Command], Command]:
    """Replaces a command's `**` parameter by the options, so that Typer finds them.

    `--help` lists them after the command's positional parameters and before its keyword-only ones.
    """

    def decorate(command: Command) -> Command:
        written = signature(command, eval_str=True)
        own = [each for each in written.parameters.values() if each.kind != Parameter.VAR_KEYWORD]
        first = [each for each in own if each.kind != Parameter.KEYWORD_ONLY]
        last = [each for each in own if each.kind == Parameter.KEYWORD_ONLY]
        # Typer passes every value by name, so all of them may be keyword-only.
        parameters = [
            each.replace(kind=Parameter.KEYWORD_ONLY) for each in (*first, *options, *last)
        ]
        command.__signature__ = written.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def setting_options(names: Iterable[str], defaults: Mapping[str, Any]) -> list[Parameter]:
    """Returns the options of these training settings.

    An option that is not given is None, so that a file of hyperparameters may set it; `--help`
    shows the setting's default.

    Args:
        names: names of `TrainSettings`, in the order of `--help`.
        defaults: other defaults than the training's, by name.
    """
    return [_setting_option(name, defaults.get(name)) for name in names]


def _setting_option(name: str, default: Any) -> Parameter:
    setting = declared_settings()[name]
    shown = setting.default if default is None else default
    option = typer.Option(
        help=setting.help, show_default=str(shown) if shown not in (None, "") else False
    )
    return _parameter(name, Annotated[setting.type | None, option], default)


def options_of(declaration: type) -> list[Parameter]:
    """Returns the options of a dataclass: its fields that are annotated with a `typer.Option`.

    Options for mappings and tuples may be repeated; they are None if not given.
    """
    hints = get_type_hints(declaration, include_extras=True)
    options = []
    for each in fields(declaration):
        hint = hints[each.name]
        if get_origin(hint) is not Annotated:
            continue
        default = Parameter.empty if each.default is MISSING else each.default
        if get_origin(hint.__origin__) in (tuple, Mapping):
            hint, default = Annotated[list[str] | None, *hint.__metadata__], None
        options.append(_parameter(each.name, hint, default))
    return options


def search_options(space: SearchSpace) -> list[Parameter]:
    """Returns the options for the ranges and choices of a search; `space` has their defaults.

    A tuning job has no options for what the original's space lacks.
    """
    ranges = {
        "lr": (tuple[float, float], "Lowest and highest learning rate."),
        "batch_size": (list[int] | None, "May be repeated."),
        "epochs": (tuple[int, int], "Fewest and most epochs."),
        "weight_decay": (tuple[float, float], "Lowest and highest weight decay."),
    }
    searched = {name: space.searched[name] for name in ranges if name in space.searched}
    options = []
    for name, values in searched.items():
        kind, text = ranges[name]
        many = name == "batch_size"
        shown = ", ".join(map(str, values)) if many else True
        option = typer.Option(help=text, show_default=shown)
        options.append(_parameter(name, Annotated[kind, option], None if many else values))
    return options


def search_space(given: Mapping[str, Any], space: SearchSpace) -> SearchSpace:
    """Makes the search space from the values of `search_options`; takes the rest from `space`.

    Raises:
        UserError: a range is empty or holds impossible values.
    """
    values = {name: given[name] for name in space.searched if given.get(name) is not None}
    if "batch_size" in values:
        values["batch_sizes"] = tuple(values.pop("batch_size"))
    with as_user_error():
        return replace(space, **values)


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
