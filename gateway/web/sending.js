/* Files on their way from this page into the gateway. */

import { button, bytes, drawCard, el, fill, say, show } from "/web/cards.js";

const LOOKS = { failed: "bad", taken: "good", sending: "busy" };
const WORDS = { waiting: "Waiting", sending: "Sending", taken: "Taken over", failed: "! Not taken over" };
const MAGIC = "ASI";
const TAKEN_FOR_MS = 20_000;

const uploads = [];
let address = "", maxBytes, changed, made = 0;

export const isSending = () => uploads.some((it) => it.state === "sending");

/* Take what is dropped on the page or chosen, and send it to `root`; `refresh` is called when the gateway has more. */
export function receiveFiles(root, limit, refresh) {
  [address, maxBytes, changed] = [root, limit, refresh];
  const over = (isOver) => (event) => {
    event.preventDefault();
    el("drop").classList.toggle("over", isOver);
  };
  addEventListener("dragover", over(true));
  addEventListener("dragleave", over(false));
  addEventListener("drop", (event) => {
    over(false)(event);
    dropped(event.dataTransfer);
  });
  el("drop").addEventListener("submit", (event) => event.preventDefault());
  el("files").addEventListener("change", ({ target }) => {
    add([...target.files].map((file) => [file, file.name]));
    target.value = "";
  });
  addEventListener("beforeunload", (event) => { if (isSending()) event.preventDefault(); });
}

async function dropped({ items, files }) {
  const plain = [...files].map((file) => [file, file.name]);
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  try {
    add(entries.length ? (await Promise.all(entries.map(within))).flat() : plain);
  } catch {
    add(plain);
  }
}

/* A folder is looked through: its name may say the tracker. */
async function within(entry) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) return [[await new Promise((resolve, reject) => entry.file(resolve, reject)), path]];
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const inner of some) found.push(...await within(inner));
  }
}

function add(files) {
  const said = { tracker: el("tracker").value, author: el("author").value };
  for (const [file, name] of files) {
    uploads.push({ key: `${++made}`, file, name, said, state: "waiting", text: "", sent: 0, request: null });
  }
  sendNext();
}

/* One after another: several at once would only take longer, each of them. */
async function sendNext() {
  draw();
  const it = uploads.find((upload) => upload.state === "waiting");
  if (isSending() || !it) return;
  it.state = "sending";
  const why = await unfit(it.file);
  if (why) Object.assign(it, { state: "failed", text: why });
  else if (uploads.includes(it)) await send(it);
  if (it.state === "taken") setTimeout(leave, TAKEN_FOR_MS, it);  // it is in the list then
  changed();
  sendNext();
}

async function unfit(file) {
  if (!file.size) return "It is empty: look for the right file.";
  if (file.size > maxBytes()) return `It is larger than ${bytes(maxBytes())}: look whether it is a recording.`;
  try {
    const head = new TextDecoder().decode(await file.slice(0, MAGIC.length).arrayBuffer());
    return head === MAGIC ? "" : "It is no .asi recording: choose the file that comes from the tracker.";
  } catch {
    return "It cannot be read: choose it again.";
  }
}

function send(it) {
  return new Promise((resolve) => {
    const request = it.request = new XMLHttpRequest();
    const end = (state, text) => resolve(Object.assign(it, { state, text, request: null }));
    request.upload.addEventListener("progress", ({ loaded }) => {
      const isAll = loaded >= it.file.size;
      const text = isAll ? "All of it is sent; the gateway writes it down." : `${bytes(loaded)} of ${bytes(it.file.size)} sent.`;
      Object.assign(it, { sent: loaded, text });
      draw();
    });
    request.addEventListener("load", () => end(...outcome(request)));
    request.addEventListener("error", () => end("failed", "The connection was cut: send it again."));
    request.addEventListener("abort", () => end("failed", "Nothing of it is in the gateway."));
    request.open("POST", `${address}?${new URLSearchParams({ name: it.name, modified_ms: it.file.lastModified, ...it.said })}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(it.file);
  });
}

function outcome({ status, responseText }) {
  try {
    const told = JSON.parse(responseText);
    if (status !== 201) return ["failed", told.text];
    return ["taken", told.sources.length > 1 ? "The gateway had it already." : "The gateway has it and keeps it."];
  } catch {
    return ["failed", "What answers here is no gateway: look at the address."];
  }
}

const draw = () => fill(el("sent"), uploads, (it) => it.key, drawUpload);

function drawUpload(card, it) {
  drawCard(card, LOOKS[it.state] ?? "", it.name, WORDS[it.state], [bytes(it.file.size)], it.text, "");
  const bar = card.querySelector("progress");
  show(bar, it.state === "sending");
  bar.setAttribute("aria-label", `How much of ${it.name} is in the gateway`);
  bar.value = it.file.size ? it.sent / it.file.size : 0;
  const controls = card.querySelector(".controls");
  if (!controls.children.length) controls.append(button("Send again", () => again(it)), button("Cancel", () => leave(it)));
  show(controls.children[0], it.state === "failed");
  say(controls.children[1], it.state === "failed" || it.state === "taken" ? "Clear" : "Cancel");
  for (const node of controls.children) node.setAttribute("aria-label", `${node.textContent}: ${it.name}`);
}

function again(it) {
  Object.assign(it, { state: "waiting", text: "", sent: 0 });
  sendNext();
}

function leave(it) {
  if (uploads.includes(it)) uploads.splice(uploads.indexOf(it), 1);
  it.request?.abort();
  draw();
}
