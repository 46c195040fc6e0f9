/** The filters beside the answers, and above them what was chosen. */

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
    const items = all.map(([key, value]) =>
      this.#chip(`${nameOf(key)}: ${value}`, `Remove ${nameOf(key)}: ${value}`, () =>
        this.#onChange(toggle(this.#filters, key, value)),
      ),
    );
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
    const group = document.createElement("fieldset");
    const legend = document.createElement("legend");
    legend.textContent = nameOf(key);
    const list = document.createElement("ul");
    const counted = new Set(values.map(({ value }) => value));
    const uncounted = chosen(this.#filters, key).filter((value) => !counted.has(value));
    const choices = [...values, ...uncounted.map((value) => ({ value, count: 0 }))];
    list.append(...choices.map((choice, place) => this.#choice(key, choice, place)));
    group.append(legend, list);
    const hidden = list.querySelectorAll("li[hidden]");
    if (hidden.length) group.append(this.#unfolder(key, hidden));
    return group;
  }

  #choice(key, { value, count }, place) {
    const item = document.createElement("li");
    const label = document.createElement("label");
    const input = document.createElement("input");
    const name = document.createElement("span");
    const number = document.createElement("span");
    Object.assign(input, { type: "checkbox", name: key, value });
    input.checked = chosen(this.#filters, key).includes(value);
    input.addEventListener("change", () => this.#onChange(toggle(this.#filters, key, value)));
    name.textContent = value;
    number.textContent = count.toLocaleString("en");
    number.className = "count";
    label.append(input, name, number);
    item.append(label);
    item.hidden = place >= VALUES_AT_FIRST && !input.checked && !this.#unfolded.has(key);
    return item;
  }

  #unfolder(key, hidden) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "unfold" });
    button.textContent = `${hidden.length} more`;
    button.setAttribute("aria-label", `${hidden.length} more of ${nameOf(key)}`);
    button.addEventListener("click", () => {
      this.#unfolded.add(key);
      for (const item of hidden) item.hidden = false;
      hidden[0].querySelector("input").focus();
      button.remove();
    });
    return button;
  }

  #chip(text, label, onPress) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    if (label) {
      button.setAttribute("aria-label", label);
      button.className = "chip";
    } else {
      button.className = "clear";
    }
    button.addEventListener("click", onPress);
    item.append(button);
    return item;
  }
}

function nameOf(key) {
  const name = key === CATEGORY ? "category" : key;
  return name.charAt(0).toUpperCase() + name.slice(1);
}
