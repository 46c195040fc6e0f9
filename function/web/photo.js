/** Makes a photo small enough to travel fast: a phone's 12 megapixels take seconds to upload. */

const MAX_SIDE_PIXELS = 1280;
const JPEG_QUALITY = 0.9;
const TYPES_THE_API_READS = new Set(
  ["avif", "bmp", "gif", "jpeg", "png", "webp"].map((type) => `image/${type}`),
);

/**
 * The photo as it should be uploaded: upright JPEG of at most 1280 px a side. Photos that are
 * small already stay as they are, and so does what this browser cannot decode: whether it is a
 * photo at all is for the API to say.
 * @param {Blob} file
 * @returns {Promise<Blob>}
 */
export async function shrink(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file;
  }
  const scale = Math.min(1, MAX_SIDE_PIXELS / Math.max(bitmap.width, bitmap.height));
  const small = scale === 1 && TYPES_THE_API_READS.has(file.type);
  const photo = small ? file : await redraw(bitmap, scale);
  bitmap.close();
  return photo ?? file;
}

/** @returns {Promise<?Blob>} null where the browser has no memory for the canvas */
function redraw(bitmap, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  // JPEG has no transparency, and product pictures stand on white.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}
