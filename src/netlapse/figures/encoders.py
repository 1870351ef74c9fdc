"""Encoders: RGBA pictures in, a film file out."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from jaxtyping import UInt8

    Rgba = UInt8[np.ndarray, "row column 4"]
    Encode = Callable[[Rgba], None]

SUFFIXES = (".mp4", ".gif", ".webp")

# Pictures that may wait for the encoder: they bound its memory, and drawing waits when it is behind.
_WAITING = 4


@contextmanager
def encoder(path: Path, size: tuple[int, int], fps: float) -> Generator[Encode]:
    """Give a function that takes the film's pictures one by one; the film is in its place when the block ends."""
    beside = path.with_name(f".{path.stem}.unfinished{path.suffix.lower()}")
    try:
        if path.suffix.lower() == ".mp4":
            with _mp4(beside, size, fps) as encode:
                yield encode
        else:
            with _animated(beside, fps) as encode:
                yield encode
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _mp4(path: Path, size: tuple[int, int], fps: float) -> Generator[Encode]:
    """H.264 in yuv420p, encoded in a thread of its own: PyAV lets go of the interpreter while it works."""
    free: queue.Queue[Rgba] = queue.Queue()
    full: queue.Queue[Rgba | None] = queue.Queue()
    for _ in range(_WAITING):
        free.put(np.empty((size[1], size[0], 4), np.uint8))
    failure: list[BaseException] = []

    def work() -> None:
        try:
            _write_mp4(path, size, fps, full, free)
        except BaseException as error:
            failure.append(error)
            while full.get() is not None:
                free.put(np.empty((size[1], size[0], 4), np.uint8))

    thread = threading.Thread(target=work, name="netlapse-mp4")
    thread.start()

    def encode(picture: Rgba) -> None:
        if failure:
            raise failure[0]
        buffer = free.get()
        np.copyto(buffer, picture)
        full.put(buffer)

    try:
        yield encode
    finally:
        full.put(None)
        thread.join()
    if failure:
        raise failure[0]


def _write_mp4(
    path: Path, size: tuple[int, int], fps: float, full: queue.Queue[Rgba | None], free: queue.Queue[Rgba]
) -> None:
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        # One thread: drawing has the other core, and every machine makes the same file.
        stream.options = {"preset": "superfast", "crf": "18", "threads": "1"}
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709
        context.color_range = ColorRange.MPEG
        reformatter = VideoReformatter()
        while (picture := full.get()) is not None:
            frame = av.VideoFrame.from_ndarray(picture, format="rgba")
            free.put(picture)
            converted = reformatter.reformat(
                frame,
                format="yuv420p",
                src_colorspace=Colorspace.DEFAULT,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
            )
            for packet in stream.encode(converted):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


@contextmanager
def _animated(path: Path, fps: float) -> Generator[Encode]:
    """GIF or WebP through Pillow. All pictures of a GIF share one palette, so that colours do not flicker."""
    pictures: list[Image.Image] = []
    palette: list[Image.Image] = []

    def encode(picture: Rgba) -> None:
        image = Image.fromarray(picture[..., :3])
        if path.suffix == ".gif":
            # The first picture holds every colour, if only in its legends: a scene moves shapes, not colours.
            if not palette:
                palette.append(image.quantize(colors=128, method=Image.Quantize.MAXCOVERAGE, kmeans=1))
            image = image.quantize(palette=palette[0], dither=Image.Dither.NONE)
        pictures.append(image)

    yield encode
    if pictures:
        options: dict[str, Any] = {"optimize": False} if path.suffix == ".gif" else {"quality": 80, "method": 4}
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0, **options)
