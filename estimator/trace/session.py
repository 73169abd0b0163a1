"""One traced run: installs everything, and makes the job when the step that counts has ended."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from collector import __version__
from collector.errors import JobError
from collector.jobs import Job, Phase, job_text
from estimator.trace import choices, missing, pretend, program
from estimator.trace.checkpoints import TorchFiles
from estimator.trace.recorder import Recorder
from estimator.trace.window import Window

#: libraries whose version decides what a program runs
_LIBRARIES = ("torch", "torchvision", "timm", "transformers", "diffusers", "accelerate", "numpy")


class Session:
    """The recorder and its window, in the process of the program."""

    def __init__(
        self, request: dict[str, Any], answer: Callable[..., NoReturn], where: Callable[[], str]
    ) -> None:
        self._request = request
        self._answer = answer
        self.recorder = Recorder(where)
        self.called = False  # the function that was asked for
        self.window = Window(
            self.recorder,
            request["steps"],
            request["skip"],
            self.finish,
            marked=request["function"] is not None,
        )
        pretend.install(self.recorder.fake, self.recorder.wait)
        choices.install(self.recorder.python.aside)
        program.install(self.recorder)
        self.files = TorchFiles(Path(request["result"]).parent)
        self.files.install()
        missing.install(self.recorder.note)
        self.window.install()
        import breakeven

        breakeven._began, breakeven._ended = self.window.mark_begin, self.window.mark_end

    def call(self, names: dict[str, Any], function: str) -> None:
        """Call a function without arguments, as often as there are steps."""
        name = self._request["name"]
        called = names.get(function)
        if not callable(called):
            raise JobError(f"{name}: it has no function {function}")
        needed = [
            parameter.name
            for parameter in inspect.signature(called).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        if needed:
            raise JobError(
                f"{name}:{function} needs {', '.join(needed)}: write a function without arguments "
                "that calls it"
            )
        self.called = True
        for _ in range(self._request["skip"] + self._request["steps"]):
            self.window.mark_begin()
            called()
            self.window.mark_end()

    def ended(self) -> NoReturn:
        """The program ended before the step that counts: what it did is one step, or nothing."""
        if self.recorder.device_calls and self.window.done == 0:
            self.recorder.note(
                "the whole program was taken as one step: it has no steps of its own"
            )
            self.finish()
        if self.recorder.device_calls:
            wanted = self._request["steps"] + self._request["skip"]
            raise JobError(
                f"{self._request['name']}: it ended after {self.window.done} of {wanted} steps: "
                f"ask for fewer with --steps {max(self.window.done, 1)}"
            )
        raise JobError(
            f"{self._request['name']}: nothing ran on a GPU: have it use torch.device('cuda') "
            "where torch.cuda.is_available()"
        )

    def finish(self) -> NoReturn:
        """Write the job and end the process."""
        recorder = self.recorder
        if not any(operation.launches for operation in recorder.operations):
            raise JobError(
                f"{self._request['name']}: its step ran nothing on a GPU: have it use "
                "torch.device('cuda') where torch.cuda.is_available()"
            )
        self._answer(job=job_text(self.job()))

    def job(self) -> Job:
        window, recorder = self.window, self.recorder
        sequence = tuple(recorder.sequence)
        listed = tuple(recorder.operations)
        points = recorder.python.points()
        operations = tuple(
            replace(one, python_points=round(points.get(number, 0.0), 1))
            for number, one in enumerate(listed)
        )
        batches = recorder.batches
        per_epoch = round(program.Loaders.length / batches) if batches else 0
        return Job(
            name=self._request["name"],
            operations=operations,
            phases=(Phase("step", 1, sequence),),
            memory=recorder.ledger.memory(window.tensors()),
            parameters=window.parameter_count(),
            samples_per_step=max(window.samples.values(), default=0),
            tokens_per_step=max(window.tokens.values(), default=0),
            steps_per_epoch=per_epoch,
            training=window.trained,
            notes=tuple(recorder.notes),
            versions=(("breakeven", __version__), *_versions()),
        )


def _versions() -> list[tuple[str, str]]:
    found = [("python", ".".join(map(str, sys.version_info[:3])))]
    for name in _LIBRARIES:
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            found.append((name, str(version)[:60]))
    return found
