/** What is searched with: the visitor's photo and its box, or one of the shop's products. */

import { api } from "./access.js";
import { isWhole } from "./box.js";
import { fillFrame, titleOf } from "./cards.js";
import { photoOf } from "./photos.js";

const byId = (id) => document.getElementById(id);
const image = byId("photo-image");

const CUTOUT_SIDE_PX = 1024;

/**
 * @typedef {{urls: string[], text: string}} Subject addresses of one picture, the best first
 *
 * @param {import("./query.js").Query} query
 * @returns {() => Promise<?Subject>} the part that is searched, for showing it large; null: nothing
 */
export function showSubject(query) {
  const { kind } = query;
  byId("photo").hidden = kind !== "photo";
  byId("subject").hidden = kind !== "similar";
  byId("browse").ariaCurrent = kind === "browse" ? "page" : null;
  if (kind === "browse") return async () => null;
  return kind === "photo" ? showPhoto(query) : showProduct(query);
}

/** The photo fills its stage, so that the box lies on the photo and nothing else. */
export function openStage() {
  image.addEventListener("load", () => {
    byId("stage").style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  });
  image.addEventListener("error", () => showWhetherItLoads(false));
  // On a phone, the photo is large only while its box is drawn.
  byId("cut").addEventListener("click", () => {
    const cutting = byId("photo").classList.toggle("cutting");
    byId("cut-label").textContent = cutting ? "Done" : "Crop";
    if (cutting) byId("crop").focus();
  });
}

function showPhoto({ photo, box }) {
  const { url } = photoOf(photo);
  if (image.src !== url) {
    showWhetherItLoads(true);
    image.src = url;
  }
  const text = "Your photo";
  return async () => ({ urls: isWhole(box) ? [url] : [await cutout(box), url], text });
}

function showWhetherItLoads(loads) {
  byId("stage").hidden = !loads;
  byId("cut").hidden = !loads;
  byId("photo-missing").hidden = loads;
}

function showProduct({ id }) {
  const frame = byId("subject-frame");
  frame.replaceChildren();
  byId("subject-title").textContent = "";
  const found = api()
    .product(id)
    .then((product) => ({
      urls: product.images.flatMap(({ imageUrl, thumbnailUrl }) => [imageUrl, thumbnailUrl]),
      text: titleOf({ product }),
    }))
    // The search itself will say what is wrong.
    .catch(() => ({ urls: [], text: id }));
  found.then(({ urls, text }) => {
    fillFrame(frame, urls, text);
    byId("subject-title").textContent = text;
  });
  return () => found;
}

let shown = "";

/** @returns {Promise<string>} address of the picture within the box; "" where memory is short */
async function cutout({ left, top, right, bottom }) {
  await image.decode().catch(() => {});
  const { naturalWidth, naturalHeight } = image;
  const [width, height] = [(right - left) * naturalWidth, (bottom - top) * naturalHeight];
  const scale = Math.min(1, CUTOUT_SIDE_PX / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const source = [left * naturalWidth, top * naturalHeight, width, height];
  canvas.getContext("2d").drawImage(image, ...source, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg"));
  URL.revokeObjectURL(shown);
  shown = blob ? URL.createObjectURL(blob) : "";
  return shown;
}
