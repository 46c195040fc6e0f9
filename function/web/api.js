/** The function's HTTP API, as far as the page needs it. */

/** The API said no, or did not answer. A message of the API is written for people. */
export class LookalikeError extends Error {
  /**
   * @param {string} message
   * @param {object} facts
   * @param {string} facts.reason for programs, as "QUEUE_FULL"; "UNREACHABLE" where no answer came
   * @param {number} facts.status of HTTP; 0 where no answer came
   * @param {string} [facts.requestId]
   * @param {?number} [facts.retryAfter] seconds after which the API asks to be tried again
   */
  constructor(message, { reason, status, requestId = "", retryAfter = null }) {
    super(message);
    Object.assign(this, { name: "LookalikeError", reason, status, requestId, retryAfter });
  }
}

/**
 * Options are the API's own fields, in its words, and `signal`, an AbortSignal that gives the
 * request up. Every method rejects with a LookalikeError.
 */
export class Lookalike {
  #base;
  #apiKey;
  #fetch;

  /**
   * @param {string} base address of the function, with no slash at its end
   * @param {object} [options]
   * @param {string} [options.apiKey] sent with every request
   * @param {typeof fetch} [options.fetch]
   */
  constructor(base, { apiKey = "", fetch = globalThis.fetch } = {}) {
    this.#base = base;
    this.#apiKey = apiKey;
    this.#fetch = fetch.bind(globalThis);
  }

  /** The products that look most like a photo, best first. */
  search(photo, { signal, ...fields } = {}) {
    const body = new FormData();
    body.append("image", photo, "photo");
    for (const [name, value] of flatten(fields)) body.append(name, value);
    return this.#ask("products:search", { method: "POST", body, signal });
  }

  /** The products that look most like one of the shop's. */
  similar(productId, { signal, ...fields } = {}) {
    return this.#post(`products/${encodeURIComponent(productId)}:similar`, fields, { signal });
  }

  /** The shop's products, in its own order. */
  products({ signal, ...fields } = {}) {
    return this.#ask(`products?${new URLSearchParams(flatten(fields))}`, { signal });
  }

  /** One product, with its photos. */
  product(productId, { signal } = {}) {
    return this.#ask(`products/${encodeURIComponent(productId)}`, { signal });
  }

  /** What is indexed: counts of products and images, the model's name, keys of labels. */
  index({ signal } = {}) {
    return this.#ask("index", { signal });
  }

  /**
   * Tells what became of a result. It arrives even where the page is left at once.
   * @param {{requestId: string, type: string, productId: string, position: number}} event
   */
  async event(event) {
    const body = JSON.stringify(event);
    // A beacon carries no header, and a key in an address would end up in logs.
    if (this.#apiKey) {
      await this.#post("events", event, { keepalive: true });
    } else {
      navigator.sendBeacon(
        `${this.#base}/v1/events`,
        new Blob([body], { type: "application/json" }),
      );
    }
  }

  #post(path, content, options) {
    const headers = { "Content-Type": "application/json" };
    return this.#ask(path, { method: "POST", body: JSON.stringify(content), headers, ...options });
  }

  async #ask(path, { headers, ...options }) {
    const key = this.#apiKey && { "X-Api-Key": this.#apiKey };
    let response;
    try {
      response = await this.#fetch(`${this.#base}/v1/${path}`, {
        headers: { ...headers, ...key },
        ...options,
      });
      if (response.status === 204) return null;
      if (response.ok) return await response.json();
    } catch (error) {
      // No connection, or one that broke in the middle of the answer.
      if (options.signal?.aborted) throw error;
      throw new LookalikeError("The shop could not be reached.", {
        reason: "UNREACHABLE",
        status: 0,
      });
    }
    throw await refusal(response);
  }
}

/** Fields as text: a list becomes repeated ones, an object JSON; what is undefined is left out. */
function flatten(fields) {
  return Object.entries(fields)
    .flatMap(([name, value]) => [value].flat().map((item) => [name, item]))
    .filter(([, item]) => item !== undefined)
    .map(([name, item]) => [name, typeof item === "object" ? JSON.stringify(item) : String(item)]);
}

async function refusal(response) {
  // Something in front of the function, as a proxy, may answer with a page instead of JSON.
  const { error } = await response.json().catch(() => ({}));
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new LookalikeError(error?.message ?? `The shop answered with error ${response.status}.`, {
    reason: error?.details?.[0]?.reason ?? "UNKNOWN",
    status: response.status,
    requestId: response.headers.get("X-Request-Id") ?? "",
    retryAfter: Number.isNaN(seconds) ? null : seconds,
  });
}
