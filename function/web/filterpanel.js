/** The filters beside the answers, and above them what was chosen. */

import { element } from "./elements.js";
import { CATEGORY, chosen, pairs, toggle } from "./filters.js";

const byId = (id) => document.getElementById(id);

// What is more than this is shown on demand.
const VALUES_AT_FIRST = 6;

export class FilterPanel {
  #panel = byId("filters");
  #filters = {};
  #unfolded = new Set();
  #onChange;

  /** @param {(filters: import("./filters.js").Filters) => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    // Beside the answers there is room for them; above, they would push the answers away.
    const wide = matchMedia("(width >= 800px)");
    const fit = () => {
      this.#panel.open = wide.matches;
    };
    wide.addEventListener("change", fit);
    fit();
  }

  /** Shows what is chosen, before it is known how many products are left. */
  showChosen(filters) {
    this.#filters = filters;
    const all = pairs(filters);
    byId("filters-count").textContent = all.length ? ` (${all.length})` : "";
    const items = all.map(([key, value]) => {
      const text = `${nameOf(key)}: ${value}`;
      const remove = () => this.#onChange(toggle(this.#filters, key, value));
      return this.#chip(text, `Remove ${text}`, remove);
    });
    if (all.length) items.push(this.#chip("Clear all", "", () => this.#onChange({})));
    byId("chips").replaceChildren(...items);
    byId("chips").hidden = !all.length;
    for (const input of this.#panel.querySelectorAll("input")) {
      input.checked = chosen(filters, input.name).includes(input.value);
    }
  }

  /** @param {import("./facets.js").Facet[]} facets */
  showCounts(facets) {
    const focused = document.activeElement;
    const groups = facets.map((facet) => this.#group(facet));
    this.#panel.hidden = !groups.length;
    byId("filter-groups").replaceChildren(...groups);
    // The keyboard stays at the choice that it was at.
    if (focused instanceof HTMLInputElement && !focused.isConnected) {
      const same = [...this.#panel.querySelectorAll("input")];
      same.find((one) => one.name === focused.name && one.value === focused.value)?.focus();
    }
  }

  #group({ key, values }) {
    const counted = new Set(values.map(({ value }) => value));
    const uncounted = chosen(this.#filters, key).filter((value) => !counted.has(value));
    const choices = [...values, ...uncounted.map((value) => ({ value, count: 0 }))];
    const items = choices.map((choice, place) => this.#choice(key, choice, place));
    const list = element("ul", {}, ...items);
    const group = element("fieldset", {}, element("legend", {}, nameOf(key)), list);
    const hidden = list.querySelectorAll("li[hidden]");
    if (hidden.length) group.append(this.#unfolder(key, hidden));
    return group;
  }

  #choice(key, { value, count }, place) {
    const checked = chosen(this.#filters, key).includes(value);
    const input = element("input", { type: "checkbox", name: key, value, checked });
    input.addEventListener("change", () => this.#onChange(toggle(this.#filters, key, value)));
    const number = element("span", { className: "count" }, count.toLocaleString("en"));
    const hidden = place >= VALUES_AT_FIRST && !checked && !this.#unfolded.has(key);
    return element("li", { hidden }, element("label", {}, input, element("span", {}, value), number));
  }

  #unfolder(key, hidden) {
    const text = `${hidden.length} more`;
    const button = element("button", { type: "button", className: "unfold" }, text);
    button.setAttribute("aria-label", `${text} of ${nameOf(key)}`);
    button.addEventListener("click", () => {
      this.#unfolded.add(key);
      for (const item of hidden) item.hidden = false;
      hidden[0].querySelector("input").focus();
      button.remove();
    });
    return button;
  }

  #chip(text, label, onPress) {
    const className = label ? "chip" : "clear";
    const button = element("button", { type: "button", className }, text);
    if (label) button.setAttribute("aria-label", label);
    button.addEventListener("click", onPress);
    return element("li", {}, button);
  }
}

function nameOf(key) {
  const name = key === CATEGORY ? "category" : key;
  return name.charAt(0).toUpperCase() + name.slice(1);
}
