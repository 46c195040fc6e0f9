/** Wires the page together; decides nothing. */

import { api, useKey } from "./access.js";
import { WHOLE } from "./box.js";
import { applyBranding } from "./branding.js";
import { follow, idOf } from "./cards.js";
import { Crop } from "./crop.js";
import { countFacets } from "./facets.js";
import { FilterPanel } from "./filterpanel.js";
import { openIntake } from "./intake.js";
import { Lightbox } from "./lightbox.js";
import { Navigation } from "./navigation.js";
import { keep } from "./photos.js";
import { openRequest, showRequest } from "./request.js";
import { Search } from "./search.js";
import { openStage, showSubject } from "./subject.js";
import { append, messageOf, show, showCounts, showMore } from "./view.js";

const byId = (id) => document.getElementById(id);
const onClick = (id, act) => byId(id).addEventListener("click", act);

const pageSize = applyBranding();
const lightbox = new Lightbox();
const search = new Search(pageSize, present);
const navigation = new Navigation(begin);
const crop = new Crop((box) => navigation.go({ ...query, box }));
const panel = new FilterPanel((filters) => navigation.go({ ...query, filters }));

let query = null;
let found = null;
let subject = null;
let refined = false;
let labelKeys = null;

const actions = {
  onOpen(hit) {
    tell(hit);
    lightbox.open(
      {
        hits: found.hits,
        subject,
        // Only photos are explained.
        explainable: found.query.kind === "photo" && !found.unexplained,
        explain: (one) => search.explain(found, one),
        onSimilar: actions.onSimilar,
      },
      hit.position,
    );
  },
  onSimilar(hit) {
    tell(hit);
    navigation.go({ kind: "similar", id: idOf(hit.result), filters: {} });
  },
};

openStage();
openRequest();
openIntake((file) => {
  navigation.go({ kind: "photo", photo: keep(file), box: WHOLE, filters: {} });
});
onClick("browse", (event) => {
  follow(event, () => navigation.go({ kind: "browse", filters: {} }));
});
onClick("cancel", () => search.cancel({ byHand: true }));
onClick("retry", () => search.retry());
onClick("more", more);
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value.trim());
  byId("key").value = "";
  search.retry();
});
onClick("skip", (event) => {
  // To the browser, a fragment would be a step of the history that asks for nothing.
  event.preventDefault();
  byId("results").focus();
});
count();
navigation.resume();

/** @param {?import("./query.js").Query} next what is searched from now on */
function begin(next) {
  lightbox.close();
  if (!next) {
    search.cancel();
    return;
  }
  refined = ["kind", "photo", "id"].every((name) => next[name] === query?.[name]);
  query = next;
  subject = showSubject(query);
  if (query.kind === "photo") crop.show(query.box);
  panel.showChosen(query.filters);
  search.run(query);
}

/** @param {import("./search.js").State} state */
function present(state) {
  if (state.name === "results") found = state.found;
  show(state, { refined, actions });
  if (state.name !== "results") return;
  pageSize.then((size) => showRequest(found.query, size));
  showFilters();
}

async function more() {
  const before = found;
  if (byId("more").getAttribute("aria-disabled") === "true") return;
  showMore(true, { busy: true });
  try {
    const longer = await search.more(before);
    if (!longer || found !== before) return;
    found = longer;
    append(found, before.hits.length, actions);
  } catch (error) {
    if (found !== before) return;
    // The index was replaced meanwhile, or the key withdrawn: only a new search can tell.
    if (error.reason === "PAGE_TOKEN_EXPIRED" || error.status === 401) search.retry();
    else showMore(true, { problem: messageOf(error) });
  }
}

async function showFilters() {
  // The index could not be described while the release was still loading.
  if (!labelKeys) await count();
  const { filters } = query;
  const facets = await countFacets(labelKeys ?? [], filters);
  if (query.filters === filters) panel.showCounts(facets);
}

/** The counts are an ornament: without them the page is complete. */
async function count() {
  try {
    const index = await api().index();
    showCounts(index);
    labelKeys = index.labelKeys ?? [];
  } catch {
    // Asked again with the next answer.
  }
}

/** Tells the shop which result was chosen. Nobody waits for that, nor misses it. */
function tell({ result, requestId, position }) {
  if (!requestId) return;
  const event = { requestId, type: "click", productId: idOf(result), position: position + 1 };
  api()
    .event(event)
    .catch(() => {});
}
