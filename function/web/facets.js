/** How many products each further choice would leave, counted by the API. */

import { api } from "./access.js";
import { CATEGORY, chosen, toFields, without } from "./filters.js";

// More keys than this make no filter that anyone would use.
const MOST_KEYS = 8;

/**
 * @typedef {{key: string, values: Array<{value: string, count: number}>}} Facet
 */

/**
 * Counts, for each key, the products that its values would find under the choices for all other
 * keys: a second colour widens the choice of colours, it does not narrow it.
 * @param {string[]} labelKeys
 * @param {import("./filters.js").Filters} filters
 * @returns {Promise<Facet[]>} of the keys that have values; where counting failed, fewer
 */
export async function countFacets(labelKeys, filters) {
  const keys = [CATEGORY, ...labelKeys.slice(0, MOST_KEYS)];
  const narrowed = keys.filter((key) => chosen(filters, key).length);
  const open = keys.filter((key) => !narrowed.includes(key));
  const counts = await Promise.allSettled([
    ...(open.length ? [count(open, filters)] : []),
    ...narrowed.map((key) => count([key], without(filters, key))),
  ]);
  const facets = counts.flatMap(({ value }) => value ?? []);
  return keys
    .map((key) => facets.find((facet) => facet.key === key))
    .filter((facet) => facet?.values.length);
}

async function count(keys, filters) {
  // The products themselves are not wanted, and one is the least that can be asked for.
  const answer = await api().products({ facets: keys, pageSize: 1, ...toFields(filters) });
  return answer.facets ?? [];
}
