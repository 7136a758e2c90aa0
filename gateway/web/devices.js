/* What a device that wants to be let in brings: a name, and the code of a link. */

const SYSTEMS = [
  [/iPhone/, "iPhone"], [/iPad/, "iPad"], [/Android/, "Android"], [/CrOS/, "Chromebook"], [/Windows/, "Windows"],
  [/Macintosh/, "Mac"], [/Linux/, "Linux"],
];
const BROWSERS = [[/Edg\w*\//, "Edge"], [/Firefox|FxiOS/, "Firefox"], [/Chrome|CriOS/, "Chrome"], [/Safari/, "Safari"]];
const CODE = /^[\w-]{16,64}$/;

/* The code of a link, of its fragment, or as it stands; "" if there is none. */
export function codeIn(text) {
  const fragment = text.includes("#") ? text.slice(text.indexOf("#") + 1) : "";
  const code = fragment ? new URLSearchParams(fragment).get("code") ?? "" : text.trim();
  return CODE.test(code) ? code : "";
}

/* What people would call it: "Chrome on Windows". */
export function deviceName(agent) {
  const among = (names) => names.find(([mark]) => mark.test(agent))?.[1];
  return [among(BROWSERS) ?? "Browser", among(SYSTEMS)].filter(Boolean).join(" on ");
}
