/** Every way a photo can come in: chosen, taken, dropped anywhere, pasted. */

/** @param {(file: File) => void} onPhoto */
export function openIntake(onPhoto) {
  connect("choose", "file", onPhoto);
  connect("take", "camera", onPhoto);
  listenForDrops(onPhoto);
  document.addEventListener("paste", (event) => {
    const file = firstFile(event.clipboardData);
    if (file) onPhoto(file);
  });
}

function connect(buttonId, inputId, onPhoto) {
  const input = document.getElementById(inputId);
  document.getElementById(buttonId).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file) onPhoto(file);
    // The same file may be chosen again, and must then count as a change.
    input.value = "";
  });
}

function listenForDrops(onPhoto) {
  const { dataset } = document.documentElement;
  // Each element that the pointer crosses sends its own enter and leave.
  let depth = 0;
  onFileDrag("dragenter", () => {
    depth += 1;
    dataset.dragging = "";
  });
  onFileDrag("dragleave", () => {
    depth -= 1;
    if (depth <= 0) rest();
  });
  onFileDrag("dragover", () => {});
  onFileDrag("drop", ({ dataTransfer }) => {
    rest();
    const file = firstFile(dataTransfer);
    if (file) onPhoto(file);
  });

  function rest() {
    depth = 0;
    delete dataset.dragging;
  }
}

/** Dragged text and links are none of our business; files must not replace the page. */
function onFileDrag(type, listener) {
  addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    listener(event);
  });
}

/** The first image among the files, else the first file: the API will say what is wrong with it. */
function firstFile(transfer) {
  const files = Array.from(transfer?.files ?? []);
  return files.find((file) => file.type.startsWith("image/")) ?? files[0];
}
