/** Shows each state of a search in the page's own elements, to eyes and to screen readers. */

import { card, skeleton } from "./cards.js";

const byId = (id) => document.getElementById(id);
const grid = byId("grid");

const presenters = {
  idle({ cancelled }) {
    announce(cancelled ? "Search cancelled." : "");
    grid.replaceChildren();
  },

  loading({ expected }) {
    announce("Searching…");
    head("Searching…");
    grid.replaceChildren(...Array.from({ length: expected }, skeleton));
    scrollTo({ top: 0 });
  },

  waiting({ message, seconds }) {
    announce(`${message} The search goes on by itself.`);
    head("One moment…");
    notice({ remark: `${message} Trying again in ${seconds} s.` });
  },

  results({ results, onOpen }) {
    const found = `${results.length} similar product${results.length === 1 ? "" : "s"}`;
    announce(`${found} found.`);
    head(found);
    grid.replaceChildren(...results.map((result, position) => card(result, () => onOpen(position))));
  },

  empty() {
    announce("No similar products found.");
    head("Nothing similar found");
    notice({ remark: "Try a photo that shows one product, close up and in good light." });
    grid.replaceChildren();
  },

  error({ error }) {
    announce("");
    head("The search did not work");
    grid.replaceChildren();
    const retryable = mayWorkNextTime(error);
    notice({ problem: error.message, remark: adviceFor(error, retryable) });
    byId("retry").hidden = !retryable;
  },
};

/**
 * @param {import("./search.js").State} state
 * @param {(position: number) => void} onOpen called when someone wants to see a product large
 */
export function show(state, onOpen) {
  const name = state.name === "results" && !state.results.length ? "empty" : state.name;
  const busy = name === "loading" || name === "waiting";
  const focused = document.activeElement;
  byId("page").dataset.state = name;
  byId("results").setAttribute("aria-busy", String(busy));
  byId("cancel").hidden = !busy;
  byId("retry").hidden = true;
  notice({});
  presenters[name]({ ...state, onOpen });
  // What had the focus may be gone; the keyboard must not be thrown back to the page's beginning.
  if (focused !== document.body && !focused.checkVisibility()) {
    (name === "idle" ? byId("choose") : byId("results")).focus({ preventScroll: true });
  }
}

/** Shows the photo that is searched with. */
export function showPhoto(address) {
  const image = byId("photo-image");
  const missing = byId("photo-missing");
  byId("photo").hidden = false;
  image.hidden = false;
  missing.hidden = true;
  image.onerror = () => {
    image.hidden = true;
    missing.hidden = false;
  };
  image.src = address;
}

/** @param {{counts: {products: number, images: number}, modelVersion: string}} index */
export function showCounts({ counts, modelVersion }) {
  const [products, images] = [counts.products, counts.images].map((n) => n.toLocaleString("en"));
  byId("counts").textContent = `${products} products, ${images} photos · model ${modelVersion}`;
}

function head(text) {
  byId("results-heading").textContent = text;
}

function announce(text) {
  const status = byId("status");
  // Writing the same text again would make a screen reader say it again.
  if (status.textContent !== text) status.textContent = text;
}

function notice({ problem = "", remark = "" }) {
  byId("notice").hidden = !problem && !remark;
  byId("problem").textContent = problem;
  byId("remark").textContent = remark;
}

/** What the API refused once for the photo's sake, it will refuse again. */
function mayWorkNextTime(error) {
  return !(error.status >= 400 && error.status < 500) || error.status === 429;
}

function adviceFor(error, retryable) {
  if (error.reason === "UNREACHABLE") {
    return "Check your connection. The search goes on by itself when it is back.";
  }
  return retryable ? "Please try again in a moment." : "Please choose another photo.";
}
