/** One product as the grid shows it, and the frame that every picture of the page stands in. */

import { element } from "./elements.js";
import { addressOf } from "./query.js";

/**
 * @param {import("./search.js").Hit} hit
 * @param {{onOpen: (hit: object) => void, onSimilar: (hit: object) => void}} actions called when
 *   someone wants to see it large, or what looks like it
 * @returns {HTMLLIElement}
 */
export function card(hit, { onOpen, onSimilar }) {
  const { result } = hit;
  const item = cloneTemplate("card");
  const title = titleOf(result);
  const frame = item.querySelector(".frame");
  frame.setAttribute("aria-label", `Enlarge ${title}`);
  frame.addEventListener("click", () => onOpen(hit));
  fillFrame(frame, [result.thumbnailUrl, result.imageUrl], title);
  item.querySelector("h3").textContent = title;
  item.querySelector(".category").textContent = result.product.productCategory;
  item.querySelector(".price").textContent = result.product.price;
  item.querySelector(".score").hidden = result.score === undefined;
  item.querySelector(".number").textContent = likeness(result);
  item.querySelector(".track span").style.inlineSize = percent(
    isLikely(result) ? result.matchProbability : similar(result),
  );
  linkToSimilar(item.querySelector(".alike"), hit, onSimilar);
  return item;
}

/** Makes a link lead to what looks like a product: within the page, or in a tab of its own. */
export function linkToSimilar(link, hit, onSimilar) {
  link.href = addressOf({ kind: "similar", id: idOf(hit.result), filters: {} });
  link.setAttribute("aria-label", `More like ${titleOf(hit.result)}`);
  link.onclick = (event) => follow(event, () => onSimilar(hit));
}

/** Does what a link is for, where it is not to open in a tab of its own. */
export function follow(event, go) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go();
}

/** @returns {HTMLLIElement} the place of a product that has not arrived yet */
export function skeleton() {
  return cloneTemplate("skeleton");
}

/**
 * Puts a picture into a frame: the first of the addresses that loads, else the text in its place.
 * @param {HTMLElement} frame
 * @param {Array<string|undefined>} addresses
 * @param {string} text what the picture shows
 */
export function fillFrame(frame, addresses, text) {
  const untried = addresses.filter(Boolean);
  const image = element("img", { alt: text, loading: "lazy", decoding: "async" });
  image.addEventListener("error", tryNext);
  frame.replaceChildren(image);
  tryNext();

  function tryNext() {
    const address = untried.shift();
    if (address) {
      image.src = address;
      return;
    }
    frame.replaceChildren(element("span", { className: "missing" }, text));
  }
}

/** @returns {string} the product's id in the shop */
export function idOf({ product }) {
  return product.name.replace(/^products\//, "");
}

export function titleOf({ product }) {
  return product.displayName || idOf({ product });
}

/** The score as per cent: below zero nothing is similar. "" of what is only listed. */
export function similarity(result) {
  return result.score === undefined ? "" : percent(similar(result));
}

/** How likely this is the product, where it probably is; or how similar. */
export function likeness(result) {
  return isLikely(result) ? probability(result) : `${similarity(result)} similar`;
}

/** How likely this is the product; "" where nobody knows. */
export function probability({ matchProbability: part }) {
  return part === undefined ? "" : `${percent(part)} likely the same product`;
}

function isLikely({ matchProbability = 0 }) {
  return matchProbability >= 0.5;
}

function similar({ score }) {
  return Math.min(Math.max(score, 0), 1);
}

function percent(part) {
  return `${Math.round(part * 100)}%`;
}

function cloneTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}
