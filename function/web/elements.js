/** Makes elements without HTML: no text can become a script. */

/** @returns {HTMLElement} with these properties and children */
export function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
