/** Wires the page together; decides nothing. */

import { applyBranding } from "./branding.js";
import { openIntake } from "./intake.js";
import { Lightbox } from "./lightbox.js";
import { Lookalike } from "./lookalike.js";
import { Search } from "./search.js";
import { show, showCounts, showPhoto } from "./view.js";

const lightbox = new Lightbox();
// The page waits visibly by itself.
const shop = new Lookalike(undefined, { patienceMs: 0 });
const search = new Search(shop, applyBranding(), present);
let photo = "";

openIntake((file) => search.start(file));
document.getElementById("cancel").addEventListener("click", () => search.cancel());
document.getElementById("retry").addEventListener("click", () => search.retry());
count();

/** @param {import("./search.js").State} state */
function present(state) {
  if (state.name === "loading") {
    lightbox.close();
    URL.revokeObjectURL(photo);
    photo = URL.createObjectURL(state.file);
    showPhoto(photo);
  }
  // The index could not be described while the release was still loading.
  if (state.name === "results") count();
  show(state, (position) => lightbox.open(state.results, position, photo));
}

/** The counts are an ornament: without them the page is complete. */
function count() {
  shop.index().then(showCounts, () => {});
}
