/** The present search as a developer would write it: for curl, and in JavaScript. */

import { BASE, hasKey } from "./access.js";
import { fieldsOf } from "./query.js";

/**
 * @param {import("./query.js").Query} query
 * @param {number} pageSize
 * @returns {string} a command for a POSIX shell
 */
export function curl(query, pageSize) {
  const fields = { pageSize, ...fieldsOf(query) };
  const key = hasKey() ? ['-H "X-Api-Key: $LOOKALIKE_API_KEY"'] : [];
  const pairs = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map((item) => quoted(`${name}=${textOf(item)}`)),
  );
  if (query.kind === "browse") {
    const parameters = pairs.map((pair) => `--data-urlencode ${pair}`);
    return lines(`curl -G ${quoted(`${BASE}/v1/products`)}`, [...key, ...parameters]);
  }
  if (query.kind === "similar") {
    const address = `${BASE}/v1/products/${encodeURIComponent(query.id)}:similar`;
    const json = ["-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(fields))}`];
    return lines(`curl ${quoted(address)}`, [...key, ...json]);
  }
  // Unlike -F, --form-string takes a value as it is, whatever it begins with.
  const parts = pairs.map((pair) => `--form-string ${pair}`);
  const address = `${BASE}/v1/products:search`;
  return lines(`curl ${quoted(address)}`, [...key, "-F image=@photo.jpg", ...parts]);
}

/** As `curl`, with the function's own client. */
export function javascript(query, pageSize) {
  const options = JSON.stringify({ pageSize, ...fieldsOf(query) }, null, 2);
  const key = hasKey() ? ", { apiKey }" : "";
  const call = {
    browse: `products(${options})`,
    similar: `similar(${JSON.stringify(query.id)}, ${options})`,
    photo: `search(photo, ${options})`,
  }[query.kind];
  return [
    `import { Lookalike } from ${JSON.stringify(`${BASE}/web/lookalike.js`)};`,
    "",
    `const shop = new Lookalike(${JSON.stringify(BASE)}${key});`,
    ...(query.kind === "photo" ? ["// photo: a File, as from <input type=\"file\">"] : []),
    `const answer = await shop.${call};`,
  ].join("\n");
}

function lines(command, options) {
  return [command, ...options].join(" \\\n  ");
}

function textOf(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
