"""The pages on which people protect their own faces, and read what this service is not for."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mien.resources import Resources
from mien.safety.schemas import MAX_PICTURES
from mien.web.pages import render
from mien.web.visitors import visitor_of

router = APIRouter(include_in_schema=False)


@router.api_route("/do-not-swap", methods=["GET", "HEAD"])
async def do_not_swap(request: Request) -> Response:
    """Put one's face on the list, or take it off again. Administrators do it for others."""
    resources: Resources = request.app.state.resources
    visitor = await visitor_of(request)
    for_others = visitor is not None and visitor.account.is_administrator
    return await render(
        request,
        "do-not-swap.html",
        for_others=for_others,
        can_register=for_others or resources.settings.do_not_swap == "open",
        most=MAX_PICTURES,
    )


@router.api_route("/content-policy", methods=["GET", "HEAD"])
async def content_policy(request: Request) -> Response:
    """The operator's own rules, or else the ones that come with the site."""
    resources: Resources = request.app.state.resources
    if own := resources.settings.content_policy_url:
        return RedirectResponse(own, 303)
    return await render(request, "content-policy.html")
