"""``ApiFunction``: the stack over HTTP. Its routes are in the modules ``api_...`` beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from api.answers import finished
from handlers import api_errors, api_images, api_page, api_rows, api_runs, api_stack

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
# The page calls api/... at each of its hosts.
app = APIGatewayHttpResolver(strip_prefixes=["/api"])
api_errors.add_to(app)
for each in (api_rows, api_images, api_runs, api_stack, api_page):
    app.include_router(each.router)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return finished(app.resolve(event, context), event)
