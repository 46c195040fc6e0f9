/**
 * The part of a photo that is searched, and what dragging does to it. All measures are fractions
 * of the photo's width and height.
 *
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box
 */

/** @type {Box} */
export const WHOLE = Object.freeze({ left: 0, top: 0, right: 1, bottom: 1 });

// Less of a photo than this shows no product.
const LEAST_SIDE = 0.08;
const DIGITS = 4;

/** @returns {boolean} whether nothing is cut off */
export function isWhole(box) {
  return Object.keys(WHOLE).every((side) => box[side] === WHOLE[side]);
}

/** @returns {Box} of the same size, as far along as the photo reaches */
export function moved({ left, top, right, bottom }, across, down) {
  const [x, y] = [within(across, -left, 1 - right), within(down, -top, 1 - bottom)];
  return rounded({ left: left + x, top: top + y, right: right + x, bottom: bottom + y });
}

/**
 * @param {Box} box
 * @param {string} sides those that are dragged, as "top left"
 * @returns {Box}
 */
export function resized(box, sides, across, down) {
  const next = { ...box };
  const least = LEAST_SIDE;
  if (sides.includes("left")) next.left = within(box.left + across, 0, box.right - least);
  if (sides.includes("right")) next.right = within(box.right + across, box.left + least, 1);
  if (sides.includes("top")) next.top = within(box.top + down, 0, box.bottom - least);
  if (sides.includes("bottom")) next.bottom = within(box.bottom + down, box.top + least, 1);
  return rounded(next);
}

/** @returns {?Box} with these two corners; null where it is too small to be meant */
export function spanned([x1, y1], [x2, y2]) {
  const [left, right] = [x1, x2].map((x) => within(x, 0, 1)).sort((a, b) => a - b);
  const [top, bottom] = [y1, y2].map((y) => within(y, 0, 1)).sort((a, b) => a - b);
  if (right - left < LEAST_SIDE || bottom - top < LEAST_SIDE) return null;
  return rounded({ left, top, right, bottom });
}

/** @returns {object} the box as the API's `boundingPoly` */
export function toPolygon({ left, top, right, bottom }) {
  const corners = [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
  return { normalizedVertices: corners.map(([x, y]) => ({ x, y })) };
}

/** @returns {string} the box in words */
export function described({ left, top, right, bottom }) {
  const [x, y, width, height] = [left, top, right - left, bottom - top].map(
    (part) => `${Math.round(part * 100)}%`,
  );
  return `${width} wide, ${height} high, ${x} from the left, ${y} from the top`;
}

function within(value, lowest, highest) {
  return Math.min(Math.max(value, lowest), highest);
}

function rounded(box) {
  const round = ([side, value]) => [side, Number(value.toFixed(DIGITS))];
  return Object.fromEntries(Object.entries(box).map(round));
}
