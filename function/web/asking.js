/** Asks the API for what a query wants, with patience. */

import { api } from "./access.js";
import { photoOf } from "./photos.js";
import { fieldsOf } from "./query.js";

// A cold start takes seconds; after two minutes of "try again" something is broken.
const PATIENCE_MS = 120_000;
// A function that restarts is back within seconds. Who is offline gets no such tries.
const RECONNECT_SECONDS = [1, 2, 4, 8];

/**
 * @param {import("./query.js").Query} query
 * @param {object} options the API's fields beside those of the query, and `signal`
 * @returns {Promise<object>} the API's answer
 */
export async function ask(query, options) {
  const fields = { ...fieldsOf(query), ...options };
  if (query.kind === "browse") return api().products(fields);
  if (query.kind === "similar") return api().similar(query.id, fields);
  return api().search(photoOf(query.photo).file, fields);
}

/**
 * As `ask`, but comes again as often as the API wants that, and while a connection may come back.
 * @param {(message: string, seconds: number) => void} onWait called every second of a wait
 */
export async function askPatiently(query, options, onWait) {
  const deadline = Date.now() + PATIENCE_MS;
  const reconnects = [...RECONNECT_SECONDS];
  for (;;) {
    try {
      return await ask(query, options);
    } catch (error) {
      const seconds = secondsUntilNextTry(error, reconnects);
      if (seconds === null || Date.now() > deadline) throw error;
      await countDown(error.message, Math.max(1, seconds), options.signal, onWait);
    }
  }
}

/** @returns {?number} null where it is of no use */
function secondsUntilNextTry({ reason, retryAfter }, reconnects) {
  if (reason === "UNREACHABLE" && navigator.onLine) return reconnects.shift() ?? null;
  return retryAfter ?? null;
}

async function countDown(message, from, signal, onWait) {
  for (let seconds = from; seconds > 0; seconds -= 1) {
    signal.throwIfAborted();
    onWait(message, seconds);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  signal.throwIfAborted();
}
