/** The box on the photo: dragged by its edges and corners, moved, drawn anew, or by the keyboard. */

import { announce } from "./announce.js";
import { described, isWhole, moved, resized, spanned, WHOLE } from "./box.js";

const byId = (id) => document.getElementById(id);

// How near to an edge a pointer takes hold of it, in CSS pixels: half of what a finger needs.
const REACH_PX = 22;
const KEY_STEP = 0.02;
const KEYS_REST_MS = 500;
const DIRECTIONS = {
  ArrowLeft: [-KEY_STEP, 0],
  ArrowRight: [KEY_STEP, 0],
  ArrowUp: [0, -KEY_STEP],
  ArrowDown: [0, KEY_STEP],
};

export class Crop {
  #stage = byId("stage");
  #handle = byId("crop");
  #box = WHOLE;
  #onChange;
  #typing = 0;

  /** @param {(box: import("./box.js").Box) => void} onChange called when a change is complete */
  constructor(onChange) {
    this.#onChange = onChange;
    this.#handle.addEventListener("pointerdown", (event) => this.#drag(event));
    this.#handle.addEventListener("pointermove", (event) => this.#hint(event));
    this.#handle.addEventListener("keydown", (event) => this.#type(event));
    byId("whole").addEventListener("click", () => {
      this.show(WHOLE);
      this.#handle.focus();
      this.#commit();
    });
  }

  /** @param {import("./box.js").Box} box */
  show(box) {
    clearTimeout(this.#typing);
    this.#box = box;
    const { style } = this.#stage;
    style.setProperty("--left", box.left);
    style.setProperty("--top", box.top);
    style.setProperty("--right", 1 - box.right);
    style.setProperty("--bottom", 1 - box.bottom);
    byId("whole").hidden = isWhole(box);
    this.#handle.setAttribute("aria-label", `Part of the photo that is searched: ${words(box)}`);
  }

  #commit() {
    announce(`Searching ${words(this.#box)}.`);
    this.#onChange(this.#box);
  }

  #drag(event) {
    if (event.button !== 0) return;
    const from = this.#point(event);
    const before = this.#box;
    const change = this.#gesture(from);
    const follow = (to) => this.show(change(before, from, this.#point(to)) ?? before);
    const handle = this.#handle;
    handle.setPointerCapture(event.pointerId);
    // The listeners go with the gesture, however it ends.
    const gesture = new AbortController();
    const { signal } = gesture;
    handle.addEventListener("pointermove", follow, { signal });
    const end = ({ type }) => {
      gesture.abort();
      if (type === "pointercancel") this.show(before);
      else if (described(this.#box) !== described(before)) this.#commit();
    };
    handle.addEventListener("pointerup", end, { signal });
    handle.addEventListener("pointercancel", end, { signal });
  }

  /** What a drag from here does to the box. */
  #gesture(from) {
    const sides = this.#sidesAt(from);
    if (sides) {
      return (box, [x1, y1], [x2, y2]) => resized(box, sides, x2 - x1, y2 - y1);
    }
    // The whole photo cannot be moved, so a drag within it draws a box, as one outside the box does.
    if (isWhole(this.#box) || !this.#contains(from)) {
      return (_, start, end) => spanned(start, end);
    }
    return (box, [x1, y1], [x2, y2]) => moved(box, x2 - x1, y2 - y1);
  }

  #hint(event) {
    if (event.buttons) return;
    const point = this.#point(event);
    const sides = this.#sidesAt(point);
    const within = !isWhole(this.#box) && this.#contains(point);
    const towards = sides && sides.split(" ").map((side) => COMPASS[side]).join("");
    this.#handle.style.cursor = towards ? `${towards}-resize` : within ? "move" : "crosshair";
  }

  #type(event) {
    const direction = DIRECTIONS[event.key];
    if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const box = event.shiftKey
      ? resized(this.#box, "right bottom", ...direction)
      : moved(this.#box, ...direction);
    if (described(box) === described(this.#box)) return;
    this.show(box);
    announce(words(box));
    this.#typing = setTimeout(() => this.#commit(), KEYS_REST_MS);
  }

  /** Where an event is on the photo, in fractions of it. */
  #point({ clientX, clientY }) {
    const area = this.#stage.getBoundingClientRect();
    return [(clientX - area.left) / area.width, (clientY - area.top) / area.height];
  }

  #contains([x, y]) {
    const { left, top, right, bottom } = this.#box;
    return x > left && x < right && y > top && y < bottom;
  }

  /** The edges that a pointer here takes hold of, as "top left"; "" for none. */
  #sidesAt([x, y]) {
    const { width, height } = this.#stage.getBoundingClientRect();
    const { left, top, right, bottom } = this.#box;
    const across = nearest(x, left, right, REACH_PX / width, ["left", "right"]);
    const down = nearest(y, top, bottom, REACH_PX / height, ["top", "bottom"]);
    if (across === null || down === null) return "";
    return [down, across].filter(Boolean).join(" ");
  }
}

const COMPASS = { top: "n", bottom: "s", left: "w", right: "e" };

/** The name of the end that `at` is near; "" between them; null beyond both. */
function nearest(at, low, high, reach, [lowName, highName]) {
  if (at < low - reach || at > high + reach) return null;
  // A third of a small box must be left to move it by.
  const inner = Math.min(reach, (high - low) / 3);
  if (at < low + inner) return lowName;
  return at > high - inner ? highName : "";
}

function words(box) {
  return isWhole(box) ? "the whole photo" : described(box);
}
