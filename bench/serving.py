"""The serving application beside Ray Serve: same archive, same client, turn by turn.

    python -m bench.serving                         the application under uvicorn
    python -m bench.serving --ray .tools/ray/bin    and both ways of Ray Serve beside it

Each host is started again in each round, alone on the machine, and called in every scenario; the
table shows medians over the rounds. A host's CPU time is that of all its processes; the client's is
printed beside it, because it needs the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httptools
import numpy as np

from archive.reading import WEIGHTS_NAME, extract_archive
from bench.serving_hosts import (
    Body,
    Host,
    cpu_seconds,
    rss_mb,
    under_bentoml,
    under_litserve,
    under_ray,
    under_uvicorn,
)
from bench.standing import OURS, Bar, Section
from imaging import ImageSpec, Prepared, encode_npy, prepare
from model.serving.onnx_model import OnnxModel

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "functions" / "default_model" / "model.tar.gz"


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many callers that each send one request after the other."""

    name: str
    callers: int
    images: int
    body: Body


@dataclass(slots=True)
class Result:
    """The figures of one scenario on one host in one round."""

    images_per_second: float
    p50_ms: float
    p95_ms: float
    host_cpu_ms: float
    client_cpu_ms: float
    rss_mb: float


@dataclass(slots=True)
class Caller(asyncio.Protocol):
    """One connection that sends the same request again and again; as lean as Python gets."""

    request: bytes
    deadline: float
    done: asyncio.Future[None]
    latencies: list[float] = field(default_factory=list)
    transport: asyncio.Transport | None = None
    sent: float = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        assert self.transport is not None
        self.parser = httptools.HttpResponseParser(self)
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """A whole answer: the next request, until time is up."""
        if self.parser.get_status_code() != 200:
            self.done.set_exception(RuntimeError(f"status {self.parser.get_status_code()}"))
            return
        now = time.perf_counter()
        self.latencies.append(now - self.sent)
        if now < self.deadline:
            asyncio.get_running_loop().call_soon(self._send)
        elif not self.done.done():
            self.done.set_result(None)

    parser: httptools.HttpResponseParser | None = None


async def ask(port: int, scenario: Scenario, seconds: float) -> tuple[list[float], float]:
    """Latencies of all calls in seconds, and how long it took."""
    loop = asyncio.get_running_loop()
    body = scenario.body
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: {body.content_type}\r\nContent-Length: {len(body.content)}\r\n\r\n"
    )
    started = time.perf_counter()
    callers = [
        Caller(head.encode() + body.content, started + seconds, loop.create_future())
        for _ in range(scenario.callers)
    ]
    transports = [
        (await loop.create_connection(lambda c=caller: c, "127.0.0.1", port))[0]
        for caller in callers
    ]
    await asyncio.gather(*(caller.done for caller in callers))
    elapsed = time.perf_counter() - started
    for transport in transports:
        transport.close()
    return [latency for caller in callers for latency in caller.latencies], elapsed


def measure(host: Host, scenario: Scenario, seconds: float) -> Result:
    """Run one scenario after a short warm-up."""
    asyncio.run(ask(host.port, scenario, 0.5))
    host_before, client_before = cpu_seconds(host.mark), time.process_time()
    latencies, elapsed = asyncio.run(ask(host.port, scenario, seconds))
    host_cpu = cpu_seconds(host.mark) - host_before
    client_cpu = time.process_time() - client_before
    images = len(latencies) * scenario.images
    ordered = sorted(latencies)
    return Result(
        images_per_second=images / elapsed,
        p50_ms=1000 * statistics.median(ordered),
        p95_ms=1000 * ordered[int(0.95 * (len(ordered) - 1))],
        host_cpu_ms=1000 * host_cpu / images,
        client_cpu_ms=1000 * client_cpu / images,
        rss_mb=rss_mb(host.mark),
    )


def baseline_dir(model_dir: Path, folder: Path) -> Path:
    """A model folder with the plain FastAPI ingress instead of the serving application."""
    folder.mkdir()
    for name in ("model.onnx", "model.json"):
        shutil.copy(model_dir / name, folder)
    for name in ("ray_fastapi_ingress.py", "peer_model.py"):
        shutil.copy(ROOT / "bench" / name, folder)
    (folder / "config.yaml").write_text(
        "applications:\n  - name: baseline\n    route_prefix: /\n"
        "    import_path: ray_fastapi_ingress:app\n"
    )
    return folder


def photo() -> bytes:
    """A JPEG of 500 x 375 pixels with the detail of a photo (about 60 kB)."""
    from PIL import Image, ImageFilter  # noqa: PLC0415 - only here

    noise = Image.effect_noise((500, 375), 60).filter(ImageFilter.GaussianBlur(1))
    channels = [noise, noise.rotate(180), noise.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    file = io.BytesIO()
    Image.merge("RGB", channels).save(file, "JPEG", quality=88)
    return file.getvalue()


def scenarios(spec: ImageSpec, jpeg: bytes) -> list[Scenario]:
    """One image a call from 1 to 16 callers, both kinds of body; and batches."""
    prepared = prepare(jpeg, spec)
    assert isinstance(prepared, Prepared)

    def npy(images: int) -> Body:
        content = encode_npy([prepared.pixels] * images, spec)
        return Body(f"application/x-npy; spec={spec.hash}", content)

    file = Body("image/jpeg", jpeg)
    found = [Scenario("npy", callers, 1, npy(1)) for callers in (1, 4, 8, 16)]
    found += [Scenario("jpeg", callers, 1, file) for callers in (1, 4, 8, 16)]
    for callers, images in ((1, 8), (4, 8), (1, 27), (2, 27)):
        found.append(Scenario(f"npy x{images}", callers, images, npy(images)))
    return found


def median(results: Sequence[Result]) -> Result:
    """Each figure's median."""
    return Result(
        *(
            statistics.median(getattr(result, name) for result in results)
            for name in Result.__dataclass_fields__
        )
    )


def form(jpeg: bytes) -> Body:
    """The photo as a form with one file, as LitServe takes files."""
    head = (
        b'--photo\r\nContent-Disposition: form-data; name="content"; filename="photo.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n"
    )
    return Body("multipart/form-data; boundary=photo", head + jpeg + b"\r\n--photo--\r\n")


def floor_ms(model_dir: Path, spec: ImageSpec, jpeg: bytes, calls: int = 200) -> float:
    """CPU milliseconds to prepare the photo and run the model, in one process without HTTP."""
    model = OnnxModel(model_dir / WEIGHTS_NAME)

    def call() -> None:
        prepared = prepare(jpeg, spec)
        assert isinstance(prepared, Prepared)
        pixels = np.frombuffer(prepared.pixels, dtype=np.uint8)
        model.run(pixels.reshape(1, spec.size, spec.size, 3))

    for _ in range(calls // 10):
        call()
    before = time.process_time()
    for _ in range(calls):
        call()
    return 1000 * (time.process_time() - before) / calls


def standing(rounds: int = 2, seconds: float = 2.0) -> Section:
    """One caller that sends a photo after the other, to ours and to three servers, in turn.

    Raises:
        SystemExit: the other servers are not installed.
    """
    tools = ROOT / ".tools"
    if not (tools / "ray/bin/serve").exists() or not (tools / "peers/bin/bentoml").exists():
        raise SystemExit("others are missing: make .tools/ray/.installed .tools/peers/.installed")
    jpeg = photo()
    file = Body("image/jpeg", jpeg)
    results: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
        model_dir = Path(folder) / "archive"
        spec = extract_archive(ARCHIVE, model_dir).image_spec
        plain = baseline_dir(model_dir, Path(folder) / "baseline")
        peers = tools / "peers" / "bin"
        hosts = {
            OURS: (file, lambda: under_uvicorn(model_dir, file)),
            "Ray Serve": (file, lambda: under_ray("fastapi", tools / "ray/bin", plain, file)),
            "LitServe": (form(jpeg), lambda: under_litserve(peers, model_dir, form(jpeg))),
            "BentoML": (file, lambda: under_bentoml(peers, model_dir, file)),
        }
        floors = []
        for _ in range(rounds):
            for name, (body, host_of) in hosts.items():
                with host_of() as host:
                    result = measure(host, Scenario(name, 1, 1, body), seconds)
                    results.setdefault(name, []).append(result)
            floors.append(floor_ms(model_dir, spec, jpeg))
    medians = {name: median(each) for name, each in results.items()}
    best = min(each.host_cpu_ms for name, each in medians.items() if name != OURS)
    told = ", ".join(f"{name} {each.rss_mb:.0f}" for name, each in medians.items())
    return Section(
        "serving",
        "Answering one photo a call",
        "CPU ms",
        {name: [each.host_cpu_ms for each in runs] for name, runs in results.items()},
        [
            Bar("best of the others / ours ≥ 2", best / medians[OURS].host_cpu_ms, 2.0, True),
            Bar("our memory in GB ≤ 0.25", medians[OURS].rss_mb / 1000, 0.25, False),
        ],
        floor=statistics.median(floors),
        notes=[f"Resident memory, MB: {told}.", f"A JPEG of {len(jpeg):,} bytes, one caller."],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--ray", type=Path, help="bin folder of a venv with ray[serve]")
    parser.add_argument("--jpeg", type=Path, help="a photo of yours; else a made one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    jpeg = arguments.jpeg.read_bytes() if arguments.jpeg else photo()
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
        model_dir = Path(folder) / "archive"
        card = extract_archive(arguments.archive, model_dir)
        asked = scenarios(card.image_spec, jpeg)
        hosts = [("uvicorn", lambda: under_uvicorn(model_dir, asked[0].body))]
        if arguments.ray:
            plain = baseline_dir(model_dir, Path(folder) / "baseline")
            ray = arguments.ray.absolute()
            hosts += [
                ("Ray, this app", lambda: under_ray("ray", ray, model_dir, asked[0].body)),
                ("Ray, FastAPI", lambda: under_ray("fastapi", ray, plain, asked[0].body)),
            ]
        results: dict[tuple[str, int], list[Result]] = {}
        starts: dict[str, list[Start]] = {}
        for _ in range(arguments.rounds):
            for name, host_of in hosts:
                with host_of() as host:
                    starts.setdefault(name, []).append(Start.of(host))
                    for index, scenario in enumerate(asked):
                        result = measure(host, scenario, arguments.seconds)
                        results.setdefault((name, index), []).append(result)
        report(card.identity, asked, starts, results, len(jpeg))


@dataclass(frozen=True, slots=True)
class Start:
    """A host at its first answer. The CPU time of processes that have ended is not in it."""

    seconds: float
    cpu_seconds: float
    rss_mb: float

    @classmethod
    def of(cls, host: Host) -> Start:
        """Measures a host that has just answered for the first time."""
        return cls(host.start_seconds, cpu_seconds(host.mark), rss_mb(host.mark))


def report(
    model: str,
    asked: list[Scenario],
    starts: dict[str, list[Start]],
    results: dict[tuple[str, int], list[Result]],
    jpeg_bytes: int,
) -> None:
    """The table."""
    print(f"{model}, {os.cpu_count()} cores, JPEG of {jpeg_bytes:,} bytes")
    for name, found in starts.items():
        middle = {
            each: statistics.median(getattr(start, each) for start in found)
            for each in ("seconds", "cpu_seconds", "rss_mb")
        }
        print(
            f"first answer after {middle['seconds']:.2f} s, {middle['cpu_seconds']:.2f} s of CPU, "
            f"{middle['rss_mb']:.0f} MB: {name}"
        )
    print(
        f"{'body':<9}{'callers':>7}  {'host':<14}{'images/s':>9}{'p50 ms':>8}{'p95 ms':>8}"
        f"{'host CPU ms/image':>19}{'client CPU ms/image':>21}{'RSS MB':>8}"
    )
    for index, scenario in enumerate(asked):
        for name in starts:
            r = median(results[name, index])
            print(
                f"{scenario.name:<9}{scenario.callers:>7}  {name:<14}{r.images_per_second:>9.1f}"
                f"{r.p50_ms:>8.1f}{r.p95_ms:>8.1f}{r.host_cpu_ms:>19.2f}"
                f"{r.client_cpu_ms:>21.2f}{r.rss_mb:>8.0f}"
            )


if __name__ == "__main__":
    main()
