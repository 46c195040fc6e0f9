/** Lays the parts that made a match over a picture: the warmer, the more a part added. */

const LONGEST_SIDE_PX = 256;
// Pale to deep, so that the order of the colours can be told without telling colours apart.
const COLD = [255, 214, 102];
const HOT = [196, 12, 46];
const STRONGEST_ALPHA = 0.86;

/**
 * @param {HTMLElement} frame holds a picture, as `fillFrame` put it there
 * @param {?number[][]} grid what each part adds to the score, rows from the top; null clears
 */
export async function heat(frame, grid) {
  frame.querySelector("canvas")?.remove();
  const image = frame.querySelector("img");
  frame.classList.toggle("heated", Boolean(grid && image));
  if (!grid || !image) return;
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  frame.append(canvas);
  // A picture that does not load has been replaced by its title, and the canvas with it.
  await image.decode().catch(() => {});
  // The same proportions as the picture's make both fit their frame alike.
  const { naturalWidth: width, naturalHeight: height } = image;
  const scale = LONGEST_SIDE_PX / Math.max(width, height, 1);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(pixelsOf(grid), 0, 0, canvas.width, canvas.height);
}

/** A picture of one pixel for each part. What took from the score stays clear. */
function pixelsOf(grid) {
  const [rows, columns] = [grid.length, grid[0].length];
  const most = Math.max(...grid.flat(), Number.MIN_VALUE);
  const pixels = new ImageData(columns, rows);
  grid.flat().forEach((value, part) => {
    const share = Math.max(0, value) / most;
    const color = COLD.map((cold, channel) => cold + (HOT[channel] - cold) * share);
    pixels.data.set([...color, 255 * STRONGEST_ALPHA * Math.sqrt(share)], part * 4);
  });
  const canvas = new OffscreenCanvas(columns, rows);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}
