"""The instance type as a cloud's metadata service tells it; asked only on ``--cloud-metadata``.

Nothing else is read from the service and nothing else is kept: no identifiers, no addresses,
no project (a machine type of Google's comes with one, which is cut off).

Sources: "Use IMDSv2" and "Instance metadata categories" (Amazon EC2 user guide), "Predefined
metadata keys" (Google Compute Engine), "Azure Instance Metadata Service" (Microsoft).
"""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from typing import Any
from urllib.error import HTTPError

#: the link-local address that all three clouds share
BASE_URL = "http://169.254.169.254"

_REQUEST_LIMIT_S = 0.3
_WHOLE_LIMIT_S = 1.0
_ANSWER_LIMIT_BYTES = 512
_AMAZON = re.compile(r"[a-z0-9-]{1,32}\.[a-z0-9-]{1,32}")
_GOOGLE = re.compile(r"projects/[^/\s]{1,64}/machineTypes/([a-z0-9-]{1,63})")
_AZURE = re.compile(r"[A-Za-z]+_[A-Za-z0-9_-]{1,62}")


def read_cloud_instance_type(
    base_url: str = BASE_URL,
    request_limit_s: float = _REQUEST_LIMIT_S,
    whole_limit_s: float = _WHOLE_LIMIT_S,
) -> str | None:
    """Instance type such as c7i.2xlarge, None where no service gives one in time.

    Never raises and never takes longer than ``whole_limit_s``, whatever answers.
    """
    found: list[str | None] = []
    deadline = time.monotonic() + whole_limit_s

    def ask_each() -> None:
        for ask in (_ask_amazon, _ask_google, _ask_azure):
            limit_s = min(request_limit_s, deadline - time.monotonic())
            if limit_s <= 0:
                return
            try:
                answer = ask(_Service(base_url, limit_s))
            except (OSError, ValueError, HTTPException):
                continue
            if answer is not None:
                found.append(answer)
                return

    # a time limit of urllib is one for each read; a service that trickles would outlast it
    thread = threading.Thread(target=ask_each, daemon=True)
    thread.start()
    thread.join(whole_limit_s)
    return found[0] if found else None


class _Service:
    """One service's address; answers are short texts."""

    def __init__(self, base_url: str, limit_s: float) -> None:
        self._base_url, self._limit_s = base_url, limit_s
        # link-local: a proxy would ask for its own machine, a redirect would lead elsewhere
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def ask(
        self, path: str, headers: Mapping[str, str], method: str = "GET"
    ) -> tuple[str, HTTPMessage]:
        request = urllib.request.Request(
            self._base_url + path, headers=dict(headers), method=method
        )
        with self._opener.open(request, timeout=self._limit_s) as response:
            content = response.read(_ANSWER_LIMIT_BYTES + 1)
            if len(content) > _ANSWER_LIMIT_BYTES:
                raise ValueError("the answer is too long for an instance type")
            return content.decode("ascii").strip(), response.headers


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, *rest: Any) -> None:
        raise HTTPError(req.full_url, code, msg, rest[0], fp)


def _ask_amazon(service: _Service) -> str | None:
    token, _ = service.ask(
        "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, method="PUT"
    )
    if not re.fullmatch(r"[\x21-\x7e]{1,512}", token):  # it becomes a header
        return None
    text, _ = service.ask("/latest/meta-data/instance-type", {"X-aws-ec2-metadata-token": token})
    return text if _AMAZON.fullmatch(text) else None


def _ask_google(service: _Service) -> str | None:
    text, headers = service.ask(
        "/computeMetadata/v1/instance/machine-type", {"Metadata-Flavor": "Google"}
    )
    match = _GOOGLE.fullmatch(text)
    return match[1] if match and headers.get("Metadata-Flavor") == "Google" else None


def _ask_azure(service: _Service) -> str | None:
    text, _ = service.ask(
        "/metadata/instance/compute/vmSize?api-version=2021-02-01&format=text",
        {"Metadata": "true"},
    )
    return text if _AZURE.fullmatch(text) else None
