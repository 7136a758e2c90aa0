/* What the sections of the page are drawn with. */

const cards = new Map();

export const el = (id) => document.getElementById(id);

/* What is shown is changed only where it differs, so that whoever reads, types or chooses is not disturbed. */
export const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };
export const show = (node, isShown) => { if (node.hidden === isShown) node.hidden = !isShown; };
export const tell = (node, text) => { say(node, text); show(node, text !== ""); };

export function bytes(count) {
  if (count < 1e3) return `${Math.round(count)} B`;
  if (count < 1e6) return `${Math.ceil(count / 1e3)} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

export function lasting(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

export const day = (ms) => new Date(ms).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
export const date = (ms) => new Date(ms).toLocaleDateString([], { dateStyle: "medium" });
export const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "");

/* A new element, with properties and with what is in it. */
export function made(tag, properties = {}, inside = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...inside);
  return node;
}

export function button(word, act, look = "") {
  const node = made("button", { textContent: word, className: look, type: "button" });
  node.addEventListener("click", act);
  return node;
}

/* The list of a section: one card for each thing, made once, and kept while the thing is there. */
export function fill(section, things, keyOf, drawOne) {
  const list = section.querySelector("ul"), focused = document.activeElement;
  const keys = things.map((it) => `${section.id}/${keyOf(it)}`), kept = new Set(keys);
  for (const card of [...list.children]) {
    if (!kept.has(card.dataset.key)) {
      cards.delete(card.dataset.key);
      card.remove();
    }
  }
  things.forEach((it, place) => {
    const key = keys[place];
    const card = cards.get(key) ?? el("card").content.firstElementChild.cloneNode(true);
    card.dataset.key = key;
    cards.set(key, card);
    drawOne(card, it);
    if (list.children[place] !== card) list.insertBefore(card, list.children[place] ?? null);
  });
  show(section, things.length > 0);
  if (focused !== document.activeElement && focused?.isConnected) focused.focus();
}

export function drawCard(card, look, name, badge, facts, text, action) {
  const wanted = `card ${look}`.trim();
  if (card.className !== wanted) card.className = wanted;
  say(card.querySelector("h3"), name);
  say(card.querySelector(".badge"), badge);
  tell(card.querySelector(".facts"), facts.filter(Boolean).join(" · "));
  say(card.querySelector(".text"), text);
  tell(card.querySelector(".action"), action && `Next: ${action}.`);
}
