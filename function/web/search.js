/** Runs one search at a time and tells how it goes. */

// A cold start takes seconds; after two minutes of "try again" something is broken.
const PATIENCE_MS = 120_000;

/**
 * @typedef {{name: "idle", cancelled: boolean}
 *   | {name: "loading", file: File, expected: number}
 *   | {name: "waiting", message: string, seconds: number}
 *   | {name: "results", results: Array<object>}
 *   | {name: "error", error: Error}} State
 */

export class Search {
  #shop;
  #pageSize;
  #show;
  #file = null;
  #running = null;
  #failure = null;

  /**
   * @param {import("./lookalike.js").Lookalike} shop
   * @param {Promise<number>} pageSize how many products to ask for
   * @param {(state: State) => void} show called at every change
   */
  constructor(shop, pageSize, show) {
    this.#shop = shop;
    this.#pageSize = pageSize;
    this.#show = show;
    addEventListener("online", () => {
      if (this.#failure?.reason === "UNREACHABLE") this.retry();
    });
  }

  /** Searches with a photo; a search that is still running is given up. */
  async start(file) {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.#file = file;
    this.#failure = null;
    const pageSize = await this.#pageSize;
    if (running.signal.aborted) return;
    this.#show({ name: "loading", file, expected: pageSize });
    try {
      const results = await this.#find(file, pageSize, running.signal);
      if (!running.signal.aborted) this.#show({ name: "results", results });
    } catch (error) {
      if (running.signal.aborted) return;
      this.#failure = error;
      this.#show({ name: "error", error });
    }
  }

  retry() {
    return this.start(this.#file);
  }

  cancel() {
    this.#running?.abort();
    this.#show({ name: "idle", cancelled: true });
  }

  async #find(file, pageSize, signal) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        const answer = await this.#shop.search(file, { pageSize, signal });
        return answer.productSearchResults.results;
      } catch (error) {
        if (!error.retryAfter || Date.now() > deadline) throw error;
        await this.#wait(error, signal);
      }
    }
  }

  /** Counts down, visibly, the seconds that the API asked to be left alone. */
  async #wait({ message, retryAfter }, signal) {
    for (let seconds = Math.max(1, retryAfter); seconds > 0; seconds -= 1) {
      signal.throwIfAborted();
      this.#show({ name: "waiting", message, seconds });
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}
