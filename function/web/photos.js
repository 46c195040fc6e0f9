/** The photos of this session, in memory: whoever goes back searches with them again. */

// A phone's photos fill its memory; who goes further back than this chooses again.
const MOST = 20;

/**
 * @typedef {object} Photo
 * @property {number} number
 * @property {string} url address of what was chosen, for showing it
 * @property {File} file
 */

/** @type {Map<number, Photo>} */
const photos = new Map();
// The browser's history outlives the page: no number may come again after it was loaded anew.
let chosen = Date.now();

/** @returns {number} the number of the photo from now on */
export function keep(file) {
  const number = ++chosen;
  photos.set(number, { number, url: URL.createObjectURL(file), file });
  if (photos.size > MOST) {
    const [oldest] = photos.values();
    photos.delete(oldest.number);
    URL.revokeObjectURL(oldest.url);
  }
  return number;
}

/** @returns {Photo|undefined} undefined after the page was loaded anew */
export function photoOf(number) {
  return photos.get(number);
}
