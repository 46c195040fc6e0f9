/** Shows the present search as code, and copies it. */

import { announce } from "./announce.js";
import { curl, javascript } from "./snippets.js";

const byId = (id) => document.getElementById(id);

const SHOWN_MS = 2000;

/** Makes the buttons copy what they stand beside. */
export function openRequest() {
  for (const button of document.querySelectorAll("[data-copies]")) {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      button.textContent = (await copy(byId(button.dataset.copies))) ? "Copied" : "Selected";
      announce(`${button.textContent}.`);
      setTimeout(() => {
        button.textContent = label;
      }, SHOWN_MS);
    });
  }
}

/**
 * @param {import("./query.js").Query} query
 * @param {number} pageSize
 */
export function showRequest(query, pageSize) {
  byId("request-curl").textContent = curl(query, pageSize);
  byId("request-javascript").textContent = javascript(query, pageSize);
}

/** @returns {Promise<boolean>} false where the code could only be selected */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    // Only pages on https may write there. A selection can be copied by hand everywhere.
    getSelection().selectAllChildren(element);
    return false;
  }
}
