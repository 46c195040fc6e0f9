/**
 * Which products may be found: chosen values by key. A key is one of the labels' or CATEGORY, as
 * in the API's facets. Values of one key are alternatives; every key must be satisfied.
 *
 * @typedef {Record<string, string[]>} Filters
 */

export const CATEGORY = "productCategory";

/** @returns {string[]} what is chosen for one key; shops may call a label "constructor" */
export function chosen(filters, key) {
  return Object.hasOwn(filters, key) ? filters[key] : [];
}

/**
 * @param {Filters} filters
 * @returns {Filters} with the value chosen, or no longer
 */
export function toggle(filters, key, value) {
  const before = chosen(filters, key);
  const others = before.filter((one) => one !== value);
  return withValues(filters, key, before.includes(value) ? others : [...before, value]);
}

/** @returns {Filters} without what was chosen for one key */
export function without(filters, key) {
  return withValues(filters, key, []);
}

function withValues(filters, key, values) {
  const entries = Object.entries({ ...filters, [key]: values });
  return Object.fromEntries(entries.filter(([, some]) => some.length));
}

/** @returns {Array<[string, string]>} every chosen value, with its key */
export function pairs(filters) {
  return Object.entries(filters).flatMap(([key, values]) => values.map((value) => [key, value]));
}

/**
 * @param {Filters} filters
 * @returns {{productCategories?: string[], filter?: string}} the API's fields that say the same
 */
export function toFields(filters) {
  const { [CATEGORY]: productCategories, ...labels } = filters;
  const terms = Object.entries(labels).map(([key, values]) => {
    const either = values.map((value) => `${word(key)}=${word(value)}`);
    return either.length > 1 ? `(${either.join(" OR ")})` : either[0];
  });
  return {
    ...(productCategories && { productCategories }),
    ...(terms.length && { filter: terms.join(" AND ") }),
  };
}

/** A key or value as the filter language writes it: in quotes where it could be read otherwise. */
function word(text) {
  const plain = /^[\p{L}\p{N}_-]+$/u.test(text) && !/^(AND|OR|NOT)$/.test(text);
  return plain ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}
