/** One product as the grid shows it, and the frame that every picture of the page stands in. */

/**
 * @param {object} result one of the API's results
 * @param {() => void} onOpen called when someone wants to see it large
 * @returns {HTMLLIElement}
 */
export function card(result, onOpen) {
  const item = cloneTemplate("card");
  const title = titleOf(result);
  const frame = item.querySelector(".frame");
  frame.setAttribute("aria-label", `Enlarge ${title}`);
  frame.addEventListener("click", onOpen);
  fillFrame(frame, [result.thumbnailUrl, result.imageUrl], title);
  item.querySelector("h3").textContent = title;
  item.querySelector(".category").textContent = result.product.productCategory;
  item.querySelector(".price").textContent = result.product.price;
  item.querySelector(".number").textContent = `${similarity(result)} similar`;
  item.querySelector(".track span").style.inlineSize = similarity(result);
  return item;
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
  const image = new Image();
  image.alt = text;
  image.loading = "lazy";
  image.decoding = "async";
  image.addEventListener("error", tryNext);
  frame.replaceChildren(image);
  tryNext();

  function tryNext() {
    const address = untried.shift();
    if (address) {
      image.src = address;
      return;
    }
    const missing = document.createElement("span");
    missing.className = "missing";
    missing.textContent = text;
    frame.replaceChildren(missing);
  }
}

export function titleOf({ product }) {
  return product.displayName || product.name.replace(/^products\//, "");
}

/** The score, a cosine, as per cent. Below zero nothing is similar in any sense people know. */
export function similarity({ score }) {
  return `${Math.round(Math.min(Math.max(score, 0), 1) * 100)}%`;
}

function cloneTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}
