/** Dresses the page in the shop's name, logo and colour. */

const DEFAULT_RESULTS = 12;

/**
 * Applies the shop's branding. The page works without it, so a failure leaves the page as it is.
 * @returns {Promise<number>} how many products a search should find
 */
export async function applyBranding() {
  try {
    const response = await fetch("branding.json");
    const { title, logo, accent, results } = await response.json();
    if (title) showTitle(title);
    if (logo) showLogo(logo);
    if (accent && CSS.supports("color", accent)) showAccent(accent);
    return results || DEFAULT_RESULTS;
  } catch {
    return DEFAULT_RESULTS;
  } finally {
    // Until now the brand was held back, so that nobody sees another name for an instant.
    document.documentElement.dataset.branded = "";
  }
}

function showTitle(title) {
  document.title = title;
  document.getElementById("title").textContent = title;
}

function showLogo(address) {
  const logo = document.getElementById("logo");
  logo.src = address;
  logo.hidden = false;
  document.querySelector(".mark").remove();
}

function showAccent(accent) {
  const { style } = document.documentElement;
  style.setProperty("--accent", accent);
  // One of the two always reaches a contrast of 4.5: the worst case is √21 = 4.58.
  style.setProperty("--on-accent", luminance(accent) < 0.1791 ? "white" : "black");
}

/** Relative luminance of a CSS colour, 0 to 1 (WCAG 2.2). A canvas reads every notation. */
function luminance(color) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = Array.from(context.getImageData(0, 0, 1, 1).data, (channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
