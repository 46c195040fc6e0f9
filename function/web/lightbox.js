/** The large view: what was searched with beside one product, why they match, and the next one. */

import { fillFrame, linkToSimilar, probability, similarity, titleOf } from "./cards.js";
import { element } from "./elements.js";
import { heat } from "./heatmap.js";

const byId = (id) => document.getElementById(id);

/**
 * @typedef {object} View
 * @property {Array<object>} hits all that were found
 * @property {() => Promise<?{urls: string[], text: string}>} subject what was searched with
 * @property {boolean} explainable whether it may be asked why
 * @property {(hit: object) => Promise<{explanation?: object, unavailable?: string}>} explain
 * @property {(hit: object) => void} onSimilar called when someone wants what looks like a product
 */

export class Lightbox {
  #dialog = byId("lightbox");
  #why = byId("why");
  /** @type {View} */
  #view = null;
  #position = 0;

  constructor() {
    byId("close").addEventListener("click", () => this.#dialog.close());
    byId("previous").addEventListener("click", () => this.#move(-1));
    byId("next").addEventListener("click", () => this.#move(1));
    this.#why.addEventListener("click", () => this.#toggleHeat());
    this.#dialog.addEventListener("keydown", ({ key }) => {
      if (key === "ArrowLeft") this.#move(-1);
      if (key === "ArrowRight") this.#move(1);
    });
    // The dialog's own box has no padding: a click on the dialog itself is one on the backdrop.
    this.#dialog.addEventListener("click", ({ target }) => {
      if (target === this.#dialog) this.#dialog.close();
    });
  }

  /**
   * @param {View} view
   * @param {number} position which of its hits to show
   */
  async open(view, position) {
    this.#view = view;
    this.#position = position;
    this.#why.hidden = !view.explainable;
    this.#dialog.showModal();
    const subject = await view.subject();
    if (this.#view !== view) return;
    const { urls, text } = subject ?? { urls: [], text: "" };
    byId("lightbox-query").hidden = !subject;
    fillFrame(byId("lightbox-photo"), urls, text);
    byId("lightbox-subject").textContent = text;
    this.#show();
  }

  close() {
    this.#dialog.close();
  }

  get #heated() {
    return this.#why.getAttribute("aria-pressed") === "true" && !this.#why.hidden;
  }

  #move(step) {
    const position = this.#position + step;
    if (position < 0 || position >= this.#view.hits.length) return;
    this.#position = position;
    this.#show();
  }

  #show() {
    const { hits, onSimilar } = this.#view;
    const hit = hits[this.#position];
    const { result } = hit;
    const title = titleOf(result);
    byId("lightbox-title").textContent = title;
    byId("lightbox-position").textContent = `${this.#position + 1} of ${hits.length}`;
    // Disabled buttons lose the focus; these stay where they are and do nothing.
    byId("previous").setAttribute("aria-disabled", String(this.#position === 0));
    byId("next").setAttribute("aria-disabled", String(this.#position === hits.length - 1));
    fillFrame(byId("lightbox-product"), [result.imageUrl, result.thumbnailUrl], title);
    byId("lightbox-facts").replaceChildren(...facts(result));
    linkToSimilar(byId("lightbox-similar"), hit, onSimilar);
    this.#explain(hit);
  }

  #toggleHeat() {
    this.#why.setAttribute("aria-pressed", String(!this.#heated));
    this.#explain(this.#view.hits[this.#position]);
  }

  async #explain(hit) {
    this.#lay(null, "");
    if (!this.#heated) return;
    const view = this.#view;
    const outcome = await view.explain(hit).catch(({ message }) => ({ message }));
    if (this.#view !== view || view.hits[this.#position] !== hit || !this.#heated) return;
    const { explanation, unavailable, message } = outcome;
    if (explanation) {
      this.#lay(explanation, legendOf(explanation));
    } else {
      this.#lay(null, message ?? "Why it was found cannot be shown.");
      // It will never be available here: nothing is left to press.
      if (unavailable) {
        view.explainable = false;
        byId("close").focus();
        this.#why.hidden = true;
      }
    }
  }

  #lay(explanation, legend) {
    heat(byId("lightbox-photo"), explanation?.photo ?? null);
    heat(byId("lightbox-product"), explanation?.product ?? null);
    byId("legend").hidden = !legend;
    byId("scale").hidden = !explanation;
    byId("legend-text").textContent = legend;
  }
}

function legendOf({ product }) {
  const legend = "The darker a part, the more it added to the similarity. Clear parts added nothing.";
  return product ? legend : `${legend} This product's own photo is not kept here.`;
}

/** @returns {Array<HTMLElement>} name–value groups for the description list */
function facts(result) {
  const { productCategory, price, productLabels = [] } = result.product;
  const pairs = [
    ["Match", probability(result)],
    ["Similarity", similarity(result)],
    ["Category", productCategory],
    ["Price", price],
    ...productLabels.map(({ key, value }) => [key, value]),
  ].filter(([, value]) => value);
  return pairs.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value)),
  );
}
