/** The large view: the searcher's photo beside one product, and the way to the next. */

import { fillFrame, similarity, titleOf } from "./cards.js";

const byId = (id) => document.getElementById(id);

export class Lightbox {
  #dialog = byId("lightbox");
  #results = [];
  #position = 0;
  #photo = "";

  constructor() {
    byId("close").addEventListener("click", () => this.#dialog.close());
    byId("previous").addEventListener("click", () => this.#move(-1));
    byId("next").addEventListener("click", () => this.#move(1));
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
   * @param {Array<object>} results all that were found
   * @param {number} position which of them to show
   * @param {string} photo address of the photo that was searched with
   */
  open(results, position, photo) {
    this.#results = results;
    this.#position = position;
    this.#photo = photo;
    this.#show();
    this.#dialog.showModal();
  }

  close() {
    this.#dialog.close();
  }

  #move(step) {
    const position = this.#position + step;
    if (position < 0 || position >= this.#results.length) return;
    this.#position = position;
    this.#show();
  }

  #show() {
    const result = this.#results[this.#position];
    const title = titleOf(result);
    byId("lightbox-title").textContent = title;
    byId("lightbox-position").textContent = `${this.#position + 1} of ${this.#results.length}`;
    // Disabled buttons lose the focus; these stay where they are and do nothing.
    byId("previous").setAttribute("aria-disabled", String(this.#position === 0));
    byId("next").setAttribute(
      "aria-disabled",
      String(this.#position === this.#results.length - 1),
    );
    fillFrame(byId("lightbox-photo"), [this.#photo], "Your photo");
    fillFrame(byId("lightbox-product"), [result.imageUrl, result.thumbnailUrl], title);
    byId("lightbox-facts").replaceChildren(...facts(result));
  }
}

/** @returns {Array<HTMLElement>} name–value groups for the description list */
function facts(result) {
  const { productCategory, price, productLabels = [] } = result.product;
  const pairs = [
    ["Similarity", similarity(result)],
    ["Category", productCategory],
    ["Price", price],
    ...productLabels.map(({ key, value }) => [key, value]),
  ].filter(([, value]) => value);
  return pairs.map(([name, value]) => {
    const group = document.createElement("div");
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.textContent = name;
    description.textContent = value;
    group.append(term, description);
    return group;
  });
}
