/** Runs one search at a time and tells how it goes. */

import { ask, askPatiently } from "./asking.js";

/**
 * One product of an answer, and where it stood.
 *
 * @typedef {object} Hit
 * @property {object} result as the API words it: product, score, imageUrl, …
 * @property {number} position among all that were found, from 0
 * @property {string} [requestId] of the answer that brought it; a listed product has none
 * @property {number} place within its page, from 0
 * @property {string} pageToken of the page that brought it; "" for the first
 *
 * @typedef {import("./query.js").Query} Query
 * @typedef {{query: Query, hits: Hit[], nextPageToken: string, total?: number, uncertain: boolean,
 *   unexplained: string}} Found
 *
 * @typedef {{name: "idle", cancelled: boolean}
 *   | {name: "loading", query: Query, expected: number}
 *   | {name: "waiting", message: string, seconds: number}
 *   | {name: "results", found: Found}
 *   | {name: "locked"}
 *   | {name: "error", error: Error}} State
 */

export class Search {
  #pageSize;
  #show;
  #query = null;
  #running = null;
  #failure = null;
  #explained = new Map();

  /**
   * @param {Promise<number>} pageSize how many products to ask for at a time
   * @param {(state: State) => void} show called at every change
   */
  constructor(pageSize, show) {
    this.#pageSize = pageSize;
    this.#show = show;
    addEventListener("online", () => {
      if (this.#failure?.reason === "UNREACHABLE") this.retry();
    });
  }

  /** Searches; a search that is still running is given up. */
  async run(query) {
    const running = this.#begin(query);
    const pageSize = await this.#pageSize;
    if (running.signal.aborted) return;
    this.#show({ name: "loading", query, expected: pageSize });
    try {
      const options = { pageSize, signal: running.signal };
      const answer = await askPatiently(query, options, (message, seconds) =>
        this.#show({ name: "waiting", message, seconds }),
      );
      if (!running.signal.aborted) this.#show({ name: "results", found: read(query, answer) });
    } catch (error) {
      if (!running.signal.aborted) this.#fail(error);
    }
  }

  /**
   * @param {Found} found
   * @returns {Promise<?Found>} the same with one page more; null where another search began
   * @throws {Error} the API's refusal
   */
  async more(found) {
    const { signal } = this.#running;
    const pageToken = found.nextPageToken;
    try {
      const options = { pageSize: await this.#pageSize, pageToken, signal };
      const next = read(found.query, await ask(found.query, options), pageToken, found.hits.length);
      return { ...found, hits: [...found.hits, ...next.hits], nextPageToken: next.nextPageToken };
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  }

  /**
   * Asks why a product was found, once. Each explanation costs the API as much as a search, so no
   * other is asked for with it.
   * @param {Found} found
   * @param {Hit} hit one of those found
   * @returns {Promise<{explanation?: object, unavailable?: string}>} as the API words both
   */
  explain({ query }, hit) {
    const asked = this.#explained;
    const name = hit.result.product.name;
    if (!asked.has(name)) {
      const outcome = explain(query, hit);
      asked.set(name, outcome);
      outcome.catch(() => asked.delete(name));
    }
    return asked.get(name);
  }

  retry() {
    return this.run(this.#query);
  }

  /** Gives up what is running, if anything is. */
  cancel({ byHand = false } = {}) {
    this.#running?.abort();
    this.#failure = null;
    this.#show({ name: "idle", cancelled: byHand });
  }

  #begin(query) {
    this.#running?.abort();
    this.#running = new AbortController();
    this.#query = query;
    this.#failure = null;
    this.#explained = new Map();
    return this.#running;
  }

  #fail(error) {
    this.#failure = error;
    if (error.status === 401) this.#show({ name: "locked" });
    else this.#show({ name: "error", error });
  }
}

async function explain(query, { place, pageToken }) {
  // A token begins right after the products that came with it.
  const before = place && (await ask(query, { pageSize: place, pageToken: pageToken || undefined }));
  const begin = (before ? before.nextPageToken : pageToken) || undefined;
  const answer = await ask(query, { pageSize: 1, pageToken: begin, explain: true });
  const [result] = resultsOf(answer);
  return { explanation: result?.explanation, unavailable: answer.explanationUnavailable };
}

/** @returns {Found} */
function read(query, answer, pageToken = "", before = 0) {
  const hits = resultsOf(answer).map((result, place) => ({
    result,
    position: before + place,
    place,
    requestId: answer.requestId,
    pageToken,
  }));
  return {
    query,
    hits,
    nextPageToken: answer.nextPageToken ?? "",
    total: answer.totalSize,
    uncertain: answer.noConfidentMatch ?? false,
    unexplained: answer.explanationUnavailable ?? "",
  };
}

function resultsOf(answer) {
  // A listed product carries its own pictures.
  const listed = answer.products?.map((product) => ({ ...product, product }));
  return listed ?? answer.productSearchResults?.results ?? [];
}
