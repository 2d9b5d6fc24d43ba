"""The two things that are asked for: vim_types, and what goes on to a plugin."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from old_broker import send, vim_types


def vim_types_view(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  Django gives it
    return JsonResponse(vim_types(), safe=False)


@csrf_exempt
def forward(request: HttpRequest, vim_id: str, rest: str) -> HttpResponse:  # noqa: ARG001  the target has it
    kind = request.headers.get("Content-Type", "application/json")
    status, kind, content = send(vim_id, request.method or "", request.get_full_path(), request.body, kind)
    return HttpResponse(content, status=status, content_type=kind)


urlpatterns = [
    path("api/multicloud/v0/vim_types", vim_types_view),
    path("api/multicloud/v0/<str:vim_id>/<path:rest>", forward),
]
