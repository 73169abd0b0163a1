"""The metadata service, played by a server on the loopback address; the real one is not asked."""

import ast
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from collector.commands import run as run_command
from collector.machine import cloud_metadata
from collector.machine.cloud_metadata import read_cloud_instance_type

AMAZON_TOKEN, AMAZON_TYPE = "/latest/api/token", "/latest/meta-data/instance-type"
GOOGLE = "/computeMetadata/v1/instance/machine-type"
AZURE = "/metadata/instance/compute/vmSize?api-version=2021-02-01&format=text"


class Service:
    """Answers by path: (status, headers, body), or a function of the handler."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                service.asked.append((self.command, self.path, dict(self.headers)))
                answer = service.answers.get(self.path, (404, {}, b""))
                if callable(answer):
                    answer(self)
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = answer  # noqa: N815 - names of the standard library

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that gave up

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.stopping = threading.Event()
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def header(self, path, name):
        for _, asked, headers in self.asked:
            if asked == path:
                return {key.lower(): value for key, value in headers.items()}.get(name.lower())
        return None


@pytest.fixture
def service():
    service = Service()
    yield service
    service.stop()


def ok(text, **headers):
    return (200, {name.replace("_", "-"): value for name, value in headers.items()}, text.encode())


def test_amazon_is_asked_with_a_token(service):
    service.answers = {AMAZON_TOKEN: ok("secret=="), AMAZON_TYPE: ok("p5.48xlarge")}
    assert read_cloud_instance_type(service.url) == "p5.48xlarge"
    assert [(method, path) for method, path, _ in service.asked] == [
        ("PUT", AMAZON_TOKEN),
        ("GET", AMAZON_TYPE),
    ]
    assert service.header(AMAZON_TOKEN, "X-aws-ec2-metadata-token-ttl-seconds") == "60"
    assert service.header(AMAZON_TYPE, "X-aws-ec2-metadata-token") == "secret=="


def test_google_gives_the_type_without_the_project(service):
    service.answers = {
        GOOGLE: ok("projects/123456/machineTypes/a3-highgpu-1g", Metadata_Flavor="Google")
    }
    assert read_cloud_instance_type(service.url) == "a3-highgpu-1g"
    assert service.header(GOOGLE, "Metadata-Flavor") == "Google"


def test_azure_gives_its_size(service):
    service.answers = {AZURE: ok("Standard_NC24ads_A100_v4\n")}
    assert read_cloud_instance_type(service.url) == "Standard_NC24ads_A100_v4"
    assert service.header(AZURE, "Metadata") == "true"


def test_nothing_else_is_asked(service):
    assert read_cloud_instance_type(service.url) is None
    assert {path for _, path, _ in service.asked} == {AMAZON_TOKEN, GOOGLE, AZURE}


PAGE = "<html><body>Please log in</body></html>"
BAD_ANSWERS = {
    "a login page": dict.fromkeys((AMAZON_TOKEN, AMAZON_TYPE, GOOGLE, AZURE), ok(PAGE)),
    "empty": dict.fromkeys((AMAZON_TOKEN, AMAZON_TYPE, GOOGLE, AZURE), ok("")),
    "huge": dict.fromkeys((AMAZON_TOKEN, AMAZON_TYPE, GOOGLE, AZURE), ok("a." * 5_000_000)),
    "a token of two lines": {AMAZON_TOKEN: ok("a\r\nX: y"), AMAZON_TYPE: ok("c7i.large")},
    "an address for a type": {AMAZON_TOKEN: ok("t"), AMAZON_TYPE: ok("10.0.0.1/24")},
    "not text": {AMAZON_TOKEN: ok("t"), AMAZON_TYPE: (200, {}, b"\xff\xfe\x00")},
    "google without its header": {GOOGLE: ok("projects/1/machineTypes/n2-standard-4")},
    "errors": dict.fromkeys((AMAZON_TOKEN, AMAZON_TYPE, GOOGLE, AZURE), (500, {}, b"no")),
}


@pytest.mark.parametrize("answers", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_strange_answer_is_no_instance_type(service, answers):
    service.answers = answers
    assert read_cloud_instance_type(service.url) is None


def test_a_service_that_breaks_off_does_no_harm(service):
    service.answers = dict.fromkeys(
        (AMAZON_TOKEN, GOOGLE, AZURE), lambda handler: handler.wfile.write(b"garbage\r\n\r\n")
    )
    assert read_cloud_instance_type(service.url) is None


def test_a_redirect_is_not_followed(service):
    service.answers = {
        AZURE: (302, {"Location": f"{service.url}/elsewhere"}, b""),
        "/elsewhere": ok("Standard_D2s_v5"),
    }
    assert read_cloud_instance_type(service.url) is None
    assert "/elsewhere" not in {path for _, path, _ in service.asked}


def test_a_proxy_is_not_used(service, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    service.answers = {AZURE: ok("Standard_D2s_v5")}
    assert read_cloud_instance_type(service.url) == "Standard_D2s_v5"


def test_a_closed_port_is_no_cloud():
    assert read_cloud_instance_type("http://127.0.0.1:9") is None


@pytest.mark.parametrize("pause_s", [0.05, 5.0], ids=["trickling", "silent"])
def test_a_slow_service_costs_no_more_than_the_limit(service, pause_s):
    def trickle(handler):
        handler.send_response(200)
        handler.end_headers()
        while not service.stopping.wait(pause_s):
            handler.wfile.write(b"a")
            handler.wfile.flush()

    service.answers = dict.fromkeys((AMAZON_TOKEN, GOOGLE, AZURE), trickle)
    started = time.monotonic()
    assert read_cloud_instance_type(service.url, request_limit_s=0.2, whole_limit_s=0.5) is None
    assert time.monotonic() - started < 1.5  # the limit, and a busy machine


def test_the_limits_are_a_second_in_all():
    assert cloud_metadata._REQUEST_LIMIT_S <= 0.3
    assert cloud_metadata._WHOLE_LIMIT_S <= 1.0
    assert cloud_metadata.BASE_URL == "http://169.254.169.254"


def test_only_the_run_command_asks_and_only_when_told_to():
    """Whoever imports the module is one that can ask."""
    package = Path(cloud_metadata.__file__).parents[1]
    importing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "collector.machine.cloud_metadata"
    }
    assert importing == {"commands/run.py"}


def test_silence_is_told_on_standard_error(monkeypatch, capsys):
    monkeypatch.setattr(cloud_metadata, "read_cloud_instance_type", lambda: None)
    assert run_command._cloud_type() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert "no metadata service" in line
