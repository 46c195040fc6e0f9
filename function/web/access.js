/** The page's way to the API, with the access key that its visitor has, where one is needed. */

import { Lookalike } from "./lookalike.js";

const KEY = "lookalike-access-key";

/** Address of the function: the page's own folder, so that a path prefix does no harm. */
export const BASE = new URL(".", location).href.replace(/\/$/, "");

/** @returns {Lookalike} */
export function api() {
  // The page waits visibly by itself.
  return new Lookalike(BASE, { apiKey: sessionStorage.getItem(KEY) ?? "", patienceMs: 0 });
}

/** @returns {boolean} whether a key is sent */
export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Sends this key from now on, until the browser's tab is closed. */
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}
