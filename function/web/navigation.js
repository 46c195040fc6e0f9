/** The browser's history: each search is a step of it, and Back returns to the one before. */

import { photoOf } from "./photos.js";
import { addressOf, queryAt } from "./query.js";

/** @typedef {import("./query.js").Query} Query */

export class Navigation {
  #onQuery;

  /** @param {(query: ?Query) => void} onQuery called with what to search for; null for nothing */
  constructor(onQuery) {
    this.#onQuery = onQuery;
    addEventListener("popstate", () => this.resume());
  }

  /** Searches, as a new step. */
  go(query) {
    history.pushState({ query }, "", addressOf(query));
    this.#onQuery(query);
  }

  /** Searches for what the present step says. */
  resume() {
    const query = history.state?.query ?? queryAt(location.search);
    const lost = query?.kind === "photo" && !photoOf(query.photo);
    this.#onQuery(lost ? null : query);
  }
}
