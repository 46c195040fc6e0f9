/** What is said to screen readers, beside what is shown. */

const status = document.getElementById("status");

/** @param {string} text */
export function announce(text) {
  // Writing the same text again would make a screen reader say it again.
  if (status.textContent !== text) status.textContent = text;
}
