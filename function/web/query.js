/**
 * What is asked for, and how addresses and the API say it.
 *
 * A photo has no address: its search lives in the browser's history, and in it the photo's number
 * among those of this session. What looks like a product can be linked to, and the shop's products.
 *
 * @typedef {import("./filters.js").Filters} Filters
 * @typedef {import("./box.js").Box} Box
 * @typedef {{kind: "photo", photo: number, box: Box, filters: Filters}
 *   | {kind: "similar", id: string, filters: Filters}
 *   | {kind: "browse", filters: Filters}} Query
 */

import { isWhole, toPolygon } from "./box.js";
import { toFields } from "./filters.js";

const FILTER = "filter.";

/** @returns {string} the query's address, relative to the page */
export function addressOf(query) {
  if (!query || query.kind === "photo") return location.pathname;
  const parameters = new URLSearchParams({ [query.kind]: query.id ?? "" });
  for (const [key, values] of Object.entries(query.filters)) {
    for (const value of values) parameters.append(FILTER + key, value);
  }
  return `${location.pathname}?${parameters}`;
}

/**
 * @param {string} search the part of an address after its path, as `location.search`
 * @returns {?Query}
 */
export function queryAt(search) {
  const parameters = new URLSearchParams(search);
  const id = parameters.get("similar");
  if (!id && !parameters.has("browse")) return null;
  const names = [...new Set(parameters.keys())].filter((name) => name.startsWith(FILTER));
  const filters = names.map((name) => [name.slice(FILTER.length), parameters.getAll(name)]);
  const what = id ? { kind: "similar", id } : { kind: "browse" };
  return { ...what, filters: Object.fromEntries(filters) };
}

/** @returns {object} the API's fields for a query, but for photo and product */
export function fieldsOf(query) {
  const crop = query.kind === "photo" && !isWhole(query.box);
  return { ...(crop && { boundingPoly: toPolygon(query.box) }), ...toFields(query.filters) };
}
