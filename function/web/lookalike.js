/**
 * Lookalike's client: photo in, the shop's similar products out. One file, nothing to build; import
 * it from the function's address, or copy it with its two .d.ts files.
 *
 *     import { Lookalike } from "https://function.example/web/lookalike.js";
 *     const shop = new Lookalike();
 *     const { productSearchResults } = await shop.search(file, { pageSize: 5 });
 *     for await (const page of shop.search(file)) show(page);
 *
 * Options are the API's own fields, in its words, and `signal`, an AbortSignal that gives the call
 * up. Types, and what each method answers, are in lookalike.d.ts.
 */

// The network sees fewer pixels than this; a phone's 12 megapixels take seconds to upload.
const MAX_SIDE_PIXELS = 512;
const JPEG_QUALITY = 0.9;
const TYPES_THE_API_READS = new Set(
  ["avif", "bmp", "gif", "jpeg", "png", "webp"].map((type) => `image/${type}`),
);

// The API asks to be tried again: too many wait already, or the release still loads.
const PASSING = new Set([429, 503]);
const PATIENCE_MS = 30_000;
// Who is refused together must not come back together.
const JITTER = 0.25;

/** The API said no, or there was no answer. The API's messages are written for people. */
export class LookalikeError extends Error {
  name = "LookalikeError";

  constructor(message, { reason, status = 0, requestId = "", metadata = {}, retryAfter = null }) {
    super(message);
    Object.assign(this, { reason, status, requestId, metadata, retryAfter });
  }
}

export class Lookalike {
  #base;
  #apiKey;
  #patienceMs;
  #fetch;

  constructor(
    base = new URL("..", import.meta.url).href,
    { apiKey = "", patienceMs = PATIENCE_MS, fetch = (...asked) => globalThis.fetch(...asked) } = {},
  ) {
    this.#base = base.replace(/\/+$/, "");
    this.#apiKey = apiKey;
    this.#patienceMs = patienceMs;
    this.#fetch = fetch;
  }

  /**
   * A photo larger than 512 px is made smaller before it travels. Of one with a `boundingPoly` the
   * region is cut out first: it keeps the resolution that it has in the photo.
   */
  search(photo, { signal, boundingPoly, ...fields } = {}) {
    const upload = prepare(photo, boundingPoly);
    return paged(fields, async (asked) => {
      const body = new FormData();
      const { photo: content, ...region } = await upload;
      signal?.throwIfAborted();
      body.append("image", content, "photo");
      for (const [name, value] of flatten({ ...asked, ...region })) body.append(name, value);
      return this.#ask("products:search", { method: "POST", body, signal });
    });
  }

  similar(id, { signal, ...fields } = {}) {
    return paged(fields, (asked) => this.#post(`products/${pathOf(id)}:similar`, asked, { signal }));
  }

  products({ signal, ...fields } = {}) {
    return paged(fields, (asked) =>
      this.#ask(`products?${new URLSearchParams(flatten(asked))}`, { signal }),
    );
  }

  product(id, { signal } = {}) {
    return this.#ask(`products/${pathOf(id)}`, { signal });
  }

  index({ signal } = {}) {
    return this.#ask("index", { signal });
  }

  /** Arrives even where the page is left at once. */
  event(event) {
    return this.#post("events", event, { keepalive: true });
  }

  #post(path, content, options) {
    const headers = { "Content-Type": "application/json" };
    return this.#ask(path, { method: "POST", body: JSON.stringify(content), headers, ...options });
  }

  /** Comes again while the API asks for it, as long as that would be within `patienceMs`. */
  async #ask(path, { headers = {}, ...options }) {
    if (this.#apiKey) headers["X-Api-Key"] = this.#apiKey;
    const deadline = Date.now() + this.#patienceMs;
    for (;;) {
      try {
        return await this.#tryOnce(`${this.#base}/v1/${path}`, { headers, ...options });
      } catch (error) {
        if (!PASSING.has(error.status) || error.retryAfter === null) throw error;
        const wait = error.retryAfter * 1000 * (1 + JITTER * Math.random());
        if (Date.now() + wait > deadline) throw error;
        await rest(wait, options.signal);
      }
    }
  }

  async #tryOnce(address, options) {
    let response;
    try {
      response = await this.#fetch.call(undefined, address, options);
      if (response.status === 204) return undefined;
      if (response.ok) return await response.json();
    } catch (error) {
      // No connection, or one that broke in the middle of the answer.
      if (options.signal?.aborted) throw error;
      const offline = globalThis.navigator?.onLine === false;
      const message = offline ? "You are offline." : "The shop could not be reached.";
      throw new LookalikeError(message, { reason: "UNREACHABLE" });
    }
    throw await refusal(response);
  }
}

/** The promise of the first page, by which `for await` also goes through all pages. */
function paged(fields, ask) {
  const first = ask(fields);
  return Object.assign(first, {
    async *[Symbol.asyncIterator]() {
      for (let page = await first; ; page = await ask({ ...fields, pageToken: page.nextPageToken })) {
        yield page;
        if (!page.nextPageToken) return;
      }
    },
  });
}

/** Results carry a product's name, "products/42": it serves as its id. */
function pathOf(id) {
  return encodeURIComponent(id.replace(/^products\//, ""));
}

/** Fields as text: a list becomes repeated ones, an object JSON; what is undefined is left out. */
function flatten(fields) {
  return Object.entries(fields)
    .flatMap(([name, value]) => [value].flat().map((item) => [name, item]))
    .filter(([, item]) => item !== undefined)
    .map(([name, item]) => [name, typeof item === "object" ? JSON.stringify(item) : String(item)]);
}

async function refusal(response) {
  // Something in front of the function, as a proxy, may answer with a page instead of JSON.
  const { error } = await response.json().catch(() => ({}));
  const { reason = "UNKNOWN", metadata } = error?.details?.[0] ?? {};
  return new LookalikeError(error?.message ?? `The shop answered with error ${response.status}.`, {
    reason,
    metadata,
    status: response.status,
    requestId: response.headers.get("X-Request-Id") ?? "",
    retryAfter: secondsUntil(response.headers.get("Retry-After")),
  });
}

/** Retry-After holds seconds, or, from a proxy, a date. */
function secondsUntil(retryAfter) {
  if (!retryAfter) return null;
  const seconds = Number(retryAfter);
  const wait = Number.isNaN(seconds) ? (Date.parse(retryAfter) - Date.now()) / 1000 : seconds;
  return Number.isNaN(wait) ? null : Math.max(0, wait);
}

function rest(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * What is sent: an upright JPEG, cut and made small. Photos that are small already stay as they
 * are, and so does what this browser cannot decode and a region that is none: what is wrong with
 * them is for the API to say.
 */
async function prepare(photo, boundingPoly) {
  const asItIs = { photo, boundingPoly };
  let bitmap;
  try {
    bitmap = await createImageBitmap(photo, { imageOrientation: "from-image" });
    const { width, height } = bitmap;
    const small = Math.max(width, height) <= MAX_SIDE_PIXELS && TYPES_THE_API_READS.has(photo.type);
    const box = boundingPoly ? boxOf(boundingPoly, bitmap) : [0, 0, width, height];
    return small || !box ? asItIs : { photo: await redraw(bitmap, box) };
  } catch {
    // No photo, none that this browser knows, or no memory for the canvas.
    return asItIs;
  } finally {
    bitmap?.close();
  }
}

/** A polygon's bounding rectangle within the photo: left, top, width, height in whole pixels. */
function boxOf(boundingPoly, { width, height }) {
  const [[name, points], ...others] = Object.entries(boundingPoly);
  if (others.length || points.length < 3) return null;
  const [across, down] = { vertices: [1, 1], normalizedVertices: [width, height] }[name];
  const clipped = (values, end) => values.map((value) => Math.round(Math.min(Math.max(value, 0), end)));
  const xs = clipped(points.map(({ x = 0 }) => x * across), width);
  const ys = clipped(points.map(({ y = 0 }) => y * down), height);
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const box = [left, top, Math.max(...xs) - left, Math.max(...ys) - top];
  return box[2] > 0 && box[3] > 0 ? box : null;
}

function redraw(bitmap, [left, top, width, height]) {
  const scale = Math.min(1, MAX_SIDE_PIXELS / Math.max(width, height));
  const side = (length) => Math.max(1, Math.round(length * scale));
  const canvas = new OffscreenCanvas(side(width), side(height));
  const context = canvas.getContext("2d");
  // JPEG has no transparency, and product pictures stand on white.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, left, top, width, height, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}
