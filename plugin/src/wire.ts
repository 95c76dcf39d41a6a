// Framing: a 4-byte big-endian length and that many bytes of UTF-8 JSON.

import { MAX_FRAME } from "./constants.ts";
import { decode, FrameError, type FromGuard } from "./frames.ts";

const HEAD = 4;

/** A frame that does not fit. */
export class TooLongError extends Error {
  override name = "TooLongError";
  constructor(bytes: number) {
    super(`${bytes} bytes are longer than the limit of ${MAX_FRAME}`);
  }
}

/** Encodes a frame with its length. Throws on what JSON cannot hold and on what is too long. */
export function encode(frame: object): Buffer {
  const text = JSON.stringify(frame);
  const length = Buffer.byteLength(text);
  if (length > MAX_FRAME) throw new TooLongError(length);
  const out = Buffer.allocUnsafe(HEAD + length);
  out.writeUInt32BE(length);
  out.write(text, HEAD);
  return out;
}

/** Cuts a byte stream into frames; holds at most one frame and what came with its last byte. */
export class FrameReader {
  private chunks: Buffer[] = [];
  private held = 0;
  private wanted = HEAD;
  private body = false;

  /** Takes bytes and returns the frames that are complete. Throws on the first that is not one. */
  push(chunk: Buffer): FromGuard[] {
    const frames: FromGuard[] = [];
    this.chunks.push(chunk);
    this.held += chunk.length;
    while (this.held >= this.wanted) {
      const piece = this.take(this.wanted);
      if (this.body) {
        frames.push(decode(piece));
        this.body = false;
        this.wanted = HEAD;
      } else {
        this.wanted = piece.readUInt32BE();
        if (this.wanted > MAX_FRAME) throw new FrameError("a frame above the length limit");
        this.body = true;
      }
    }
    return frames;
  }

  private take(bytes: number): Buffer {
    const all = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks);
    this.chunks = all.length > bytes ? [all.subarray(bytes)] : [];
    this.held = all.length - bytes;
    return all.subarray(0, bytes);
  }
}
