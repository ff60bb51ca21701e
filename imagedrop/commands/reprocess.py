"""``imagedrop reprocess``: classify photos again with the model in use."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated, Any

import typer

from imagedrop.app import command
from imagedrop.commands.filters import Filters, matching
from imagedrop.commands.options import options_of, takes
from imagedrop.errors import UserError
from imagedrop.estimates.month import Mode, month_of
from imagedrop.output import TargetOption, bar, say
from imagedrop.reprocess import Chosen, choose, send_again, wait_for_answers
from imagedrop.target import find_target
from imagedrop.target_name import TargetName
from pipeline.records import Status

NAMED = 10


@command("imagedrop reprocess --since 7d --wait")
@takes([each for each in options_of(Filters) if each.name != "sort"])
def reprocess(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until every photo has its new answer.")
    ] = False,
    patience_seconds: Annotated[
        float, typer.Option(help="Stop waiting after this time without a new answer.", min=1)
    ] = 300,
    target: TargetOption = TargetName.LOCAL,
    **filters: Any,
) -> None:
    """Classify photos again that another model than the one in use has answered.

    The new answer replaces the row's; people's reviews stay. Rejected files are
    tried again with --status rejected: a new release may read them.
    """
    found = find_target(target)
    query = Filters(**filters).query()
    wanted = query if query.status else replace(query, status=Status.CLASSIFIED)
    model = found.served_model().card.identity
    if query.model == model:
        raise UserError(
            f"{model} is the model in use: its own rows would not change.",
            "Name a former model with --model, or leave it out to answer the rows of all former "
            "models again.",
        )
    chosen = choose(matching(found, wanted, sys.maxsize), found.images_bucket, model)
    _say_chosen(chosen, model)
    if not chosen.records:
        return
    if not yes:
        typer.confirm("Go on?", abort=True, err=True)
    with bar("sent", len(chosen.records)) as advance:
        refused = send_again(found, chosen.records, advance)
    for image in refused[:NAMED]:
        say(f"Not sent: {image}", "yellow")
    # A file that is rejected again keeps its row unchanged, so there is nothing to wait for.
    answered = [each for each in chosen.records if each.status is Status.CLASSIFIED]
    late = []
    if wait:
        with bar("answered", len(answered)) as advance:
            late = wait_for_answers(found, answered, patience_seconds, advance)
    for image in late[:NAMED]:
        say(f"No new answer yet: {image}", "yellow")
    if not wait:
        say("Read the new answers with: imagedrop predictions")
    if refused or late:
        say(f"{len(refused)} were not sent, {len(late)} have no new answer: run this again.")
        raise typer.Exit(1)


def _say_chosen(chosen: Chosen, model: str) -> None:
    count = len(chosen.records)
    dollars = sum(month_of(count, Mode.DROP).values()) if count else 0.0
    say(f"{count:,} photos for {model}, which answers now; on AWS about ${dollars:,.2f}.")
    if chosen.answered:
        say(f"{chosen.answered:,} others it has answered already.")
    if chosen.elsewhere:
        say(
            f"{chosen.elsewhere:,} others are not below incoming/: "
            "run their folders again with imagedrop bulk start"
        )
