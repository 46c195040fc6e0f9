/** Shows each state of a search in the page's own elements, to eyes and to screen readers. */

import { hasKey } from "./access.js";
import { announce } from "./announce.js";
import { LookalikeError } from "./lookalike.js";
import { card, skeleton } from "./cards.js";

const byId = (id) => document.getElementById(id);
const grid = byId("grid");

// Most answers come sooner; who waits for longer is told that it goes on.
const SLOW_MS = 4000;
const SLOW = "This takes longer than usual. The search goes on.";
let slow = 0;

const presenters = {
  idle({ cancelled }) {
    announce(cancelled ? "Search cancelled." : "");
    grid.replaceChildren();
  },

  loading({ expected, refined }) {
    announce("Searching…");
    head("Searching…");
    slow = setTimeout(() => {
      announce(SLOW);
      notice({ remark: SLOW });
    }, SLOW_MS);
    if (refined && grid.querySelector(".card:not(.skeleton)")) return;
    grid.replaceChildren(...Array.from({ length: expected }, skeleton));
    scrollTo({ top: 0 });
  },

  waiting({ message, seconds }) {
    announce(`${message} The search goes on by itself.`);
    head("One moment…");
    notice({ remark: `${message} Trying again in ${seconds} s.` });
  },

  results({ found, actions }) {
    const doubt = "Whether one of them is the very product is not certain.";
    announce(`${headingOf(found)} found. ${found.uncertain ? doubt : ""}`);
    head(headingOf(found));
    notice({ remark: found.uncertain ? doubt : "" });
    grid.replaceChildren(...found.hits.map((hit) => card(hit, actions)));
  },

  empty({ found }) {
    announce(`No${kindOf(found)} products found.`);
    head(kindOf(found) ? "Nothing similar found" : "No products");
    const filtered = Object.keys(found.query.filters).length > 0;
    notice({
      remark: filtered
        ? "No product fits all of these filters."
        : "Try a photo that shows one product, close up and in good light.",
    });
    grid.replaceChildren();
  },

  locked() {
    announce("");
    head("An access key is needed");
    grid.replaceChildren();
    notice({
      problem: hasKey() ? "This key was not accepted." : "This shop answers to who has its key.",
      remark: "The key is kept until you close this tab.",
    });
    byId("key").focus();
  },

  error({ error }) {
    announce("");
    head("The search did not work");
    grid.replaceChildren();
    const retryable = mayWorkNextTime(error);
    notice({ problem: messageOf(error), remark: adviceFor(error, retryable) });
    byId("retry").hidden = !retryable;
  },
};

/**
 * @param {import("./search.js").State} state
 * @param {object} context
 * @param {boolean} context.refined whether photo or product are those of the search before
 * @param {object} context.actions as `card` takes them
 */
export function show(state, { refined, actions }) {
  clearTimeout(slow);
  const name = state.name === "results" && !state.found.hits.length ? "empty" : state.name;
  const busy = name === "loading" || name === "waiting";
  const focused = document.activeElement;
  byId("page").dataset.state = name;
  byId("results").setAttribute("aria-busy", String(busy));
  byId("cancel").hidden = !busy;
  byId("retry").hidden = true;
  byId("key-form").hidden = name !== "locked";
  byId("request").hidden = name !== "results";
  notice({});
  showMore(name === "results" && state.found.nextPageToken !== "");
  presenters[name]({ ...state, refined, actions });
  // What had the focus may be gone; the keyboard must not be thrown back to the page's beginning.
  if (focused !== document.body && !(focused.isConnected && focused.checkVisibility())) {
    (name === "idle" ? byId("choose") : byId("results")).focus({ preventScroll: true });
  }
}

/** Adds the products of a further page, and leads the keyboard to the first of them. */
export function append(found, before, actions) {
  const added = found.hits.slice(before).map((hit) => card(hit, actions));
  grid.append(...added);
  head(headingOf(found));
  announce(`${added.length} more products.`);
  showMore(found.nextPageToken !== "");
  added[0]?.querySelector(".frame").focus();
}

/** @param {boolean} there whether there are more products to show */
export function showMore(there, { busy = false, problem = "" } = {}) {
  byId("more-area").hidden = !there;
  // A disabled button would lose the focus.
  byId("more").setAttribute("aria-disabled", String(busy));
  byId("more").textContent = busy ? "Loading…" : "Show more";
  byId("more-problem").textContent = problem;
  if (problem) announce(problem);
}

/** @param {{counts: {products: number, images: number}, modelVersion: string}} index */
export function showCounts({ counts, modelVersion }) {
  const [products, images] = [counts.products, counts.images].map((n) => n.toLocaleString("en"));
  byId("counts").textContent = `${products} products, ${images} photos · model ${modelVersion}`;
}

/** @returns {string} what went wrong, in words for people */
export function messageOf(error) {
  if (isOffline(error)) return "You are offline.";
  return error instanceof LookalikeError ? error.message : "Something on this page went wrong.";
}

function headingOf(found) {
  const count = found.total ?? found.hits.length;
  return `${count.toLocaleString("en")}${kindOf(found)} product${count === 1 ? "" : "s"}`;
}

function kindOf({ total }) {
  return total === undefined ? " similar" : "";
}

function head(text) {
  byId("results-heading").textContent = text;
}

function notice({ problem = "", remark = "" }) {
  byId("notice").hidden = !problem && !remark;
  byId("problem").textContent = problem;
  byId("remark").textContent = remark;
}

function isOffline({ reason }) {
  return reason === "UNREACHABLE" && !navigator.onLine;
}

/** What the API refused once for the photo's sake, it will refuse again. */
function mayWorkNextTime({ status = 0 }) {
  return status === 0 || status === 429 || status >= 500;
}

function adviceFor(error, retryable) {
  if (isOffline(error)) return "The search goes on by itself as soon as you are connected again.";
  if (error.reason === "UNREACHABLE") return "Check your connection, then try again.";
  return retryable ? "Please try again in a moment." : "Please choose another photo.";
}
