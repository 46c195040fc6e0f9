/**
 * The function's HTTP API, as far as the page needs it. Addresses are relative to the page, so the
 * page also works behind a path prefix.
 */

/** The API said no. Its message is written for people and is shown as it is. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} httpStatus
   * @param {?number} retryAfter seconds after which the API asks to be tried again
   */
  constructor(message, httpStatus, retryAfter) {
    super(message);
    this.httpStatus = httpStatus;
    this.retryAfter = retryAfter;
  }
}

/** No answer came: no network, or nobody at the other end. */
export class Unreachable extends Error {
  constructor() {
    super(navigator.onLine ? "The shop could not be reached." : "You are offline.");
    this.offline = !navigator.onLine;
  }
}

/**
 * The products that look most like a photo, best first.
 * @param {Blob} photo
 * @param {{pageSize: number, signal: AbortSignal}} options
 * @returns {Promise<Array<object>>} results as the API words them: product, score, imageUrl, …
 */
export async function searchByPhoto(photo, { pageSize, signal }) {
  const body = new FormData();
  body.append("image", photo, "photo");
  body.append("pageSize", String(pageSize));
  const answer = await ask("v1/products:search", { method: "POST", body, signal });
  return answer.productSearchResults?.results ?? [];
}

/** What is indexed: counts of products and images, and the model's name. */
export function describeIndex() {
  return ask("v1/index");
}

/** Title, logo, accent colour and number of results of this shop's page. */
export function readBranding() {
  return ask("branding.json");
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw new Unreachable();
  }
  if (!response.ok) throw await refusal(response);
  try {
    return await response.json();
  } catch (error) {
    // The connection broke in the middle of the answer.
    if (options?.signal?.aborted) throw error;
    throw new Unreachable();
  }
}

async function refusal(response) {
  // Something in front of the function, as a proxy, may answer with a page instead of JSON.
  const body = await response.json().catch(() => ({}));
  const message = body.error?.message ?? `The shop answered with error ${response.status}.`;
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new ApiError(message, response.status, Number.isNaN(seconds) ? null : seconds);
}
