import { ArrayBufferTarget, Muxer } from "mp4-muxer";
import type { Session } from "../model/session";
import type { View } from "../views/view";
import { Poster, fileName, save } from "./export";

/** Frames a second of a film that shows what lies between recorded frames. */
const RATE = 30;
/** Seconds that the run and then its last frame take at speed 1. */
const [DURATION, REST] = [10, 1];
/** As many pixels as 4K has at most: H.264 encoders take no more. */
const PIXELS = 3840 * 2160;

/** Saves the whole replay as a film: MP4, or WebM where the browser makes no MP4. */
export async function saveFilm(session: Session, views: View[], say: (text: string) => void): Promise<void> {
  const small = new Poster(session, views, 1);
  const pixels = small.canvas.width * small.canvas.height;
  // What is recorded as it is shown has to be drawn in time.
  const large = typeof VideoEncoder !== "undefined" && pixels * 4 <= PIXELS;
  const poster = large ? new Poster(session, views, 2) : small;
  const times = moments(session);
  const note = times.every(Number.isInteger) ? "" : "interpolated between the recorded epochs";
  const draw = async (k: number): Promise<void> => {
    const state = { ...session.state.value, t: times[Math.min(k, times.length - 1)] as number, hovered: null };
    poster.draw(state, note);
    // What the picture asks for may take a while to come.
    while (session.runs.some((data) => data.pending > 0)) {
      await new Promise((done) => setTimeout(done, 5));
      poster.draw(state, note);
    }
  };
  const config = await configOf(poster.canvas);
  const count = times.length + rateOf(times) * REST;
  const progress = (k: number): void => {
    if (k % 30 === 0) say(`Film: ${Math.round((100 * k) / count)} %`);
  };
  if (config === null) {
    save(await record(poster.canvas, count, rateOf(times), draw, progress), fileName(session, views, "webm"));
  } else {
    save(await encode(poster.canvas, config, count, rateOf(times), draw, progress), fileName(session, views, "mp4"));
  }
  say("Film saved");
}

/** Frame positions: every recorded frame if there are enough for a fluent film, or also what lies between them. */
function moments(session: Session): number[] {
  const { speed } = session.state.value;
  const count = Math.round(((RATE / 2) * DURATION) / speed);
  if (session.last >= 0.6 * count) return Array.from({ length: session.last + 1 }, (_, k) => k);
  return Array.from({ length: 2 * count + 1 }, (_, k) => (k / (2 * count)) * session.last);
}

function rateOf(times: number[]): number {
  return times.every(Number.isInteger) ? Math.min(Math.max(Math.round(times.length / DURATION), 10), 60) : RATE;
}

async function configOf({ width, height }: HTMLCanvasElement): Promise<VideoEncoderConfig | null> {
  if (typeof VideoEncoder === "undefined") return null;
  const bitrate = Math.round(width * height * 6);
  // H.264 high, main and baseline at a level for 4K, then VP9.
  for (const codec of ["avc1.640033", "avc1.4d0033", "avc1.42003e", "vp09.00.51.08"]) {
    const config: VideoEncoderConfig = { codec, width, height, bitrate, framerate: RATE };
    const supported = await VideoEncoder.isConfigSupported(config).catch(() => null);
    if (supported?.supported === true) return config;
  }
  return null;
}

async function encode(
  canvas: HTMLCanvasElement,
  config: VideoEncoderConfig,
  count: number,
  rate: number,
  draw: (k: number) => Promise<void>,
  progress: (k: number) => void,
): Promise<Blob> {
  const target = new ArrayBufferTarget();
  const codec = config.codec.startsWith("avc") ? "avc" : "vp9";
  const video = { codec, width: canvas.width, height: canvas.height, frameRate: rate } as const;
  const muxer = new Muxer({ target, video, fastStart: "in-memory" });
  let failed: Error | null = null;
  const encoder = new VideoEncoder({
    output: (chunk, meta) => muxer.addVideoChunk(chunk, meta),
    error: (error) => (failed = error),
  });
  encoder.configure(config);
  for (let k = 0; k < count; k++) {
    if (failed !== null) throw failed as Error;
    await draw(k);
    const frame = new VideoFrame(canvas, { timestamp: (k * 1e6) / rate, duration: 1e6 / rate });
    encoder.encode(frame, { keyFrame: k % (2 * rate) === 0 });
    frame.close();
    progress(k);
    // Lets the encoder keep up, and the page stay alive.
    while (encoder.encodeQueueSize > 8 || k % 8 === 7) {
      await new Promise((done) => setTimeout(done, 0));
      if (encoder.encodeQueueSize <= 8) break;
    }
  }
  await encoder.flush();
  muxer.finalize();
  return new Blob([target.buffer], { type: "video/mp4" });
}

/** A film recorded while it is shown, for browsers without an encoder of single frames. */
async function record(
  canvas: HTMLCanvasElement,
  count: number,
  rate: number,
  draw: (k: number) => Promise<void>,
  progress: (k: number) => void,
): Promise<Blob> {
  if (typeof MediaRecorder === "undefined") throw new Error("This browser can't make films: save pictures instead.");
  await draw(0);
  const recorder = new MediaRecorder(canvas.captureStream(rate), { mimeType: "video/webm" });
  const parts: Blob[] = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  const stopped = new Promise((done) => recorder.addEventListener("stop", done));
  recorder.start();
  for (let k = 0; k < count; k++) {
    await draw(k);
    progress(k);
    await new Promise((done) => setTimeout(done, 1000 / rate));
  }
  recorder.stop();
  await stopped;
  return new Blob(parts, { type: "video/webm" });
}
