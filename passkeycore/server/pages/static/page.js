// What the scripts of all hosted pages have in common: asking the server, telling the page around, and how a page ends.

const element = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);

const SENTENCES = {
  AbortError: "Nothing was changed.",
  ConstraintError: "This device cannot make a passkey with a fingerprint, face or PIN.",
  InvalidStateError: "This device already has a passkey for your account.",
  NotAllowedError: "The request was cancelled, or it took too long. Nothing was changed.",
  NotSupportedError: "This device cannot make the kind of passkey that is needed here.",
  SecurityError: "Passkeys do not work at the address of this page.",
};
const STALE = new Set(["action_state", "token_expired", "token_invalid"]); // the page that shows why is a reload away

export { element, page };

// --- The address of this page ---

// It opens the page to whoever has it, so it does not stay where people see and copy it: the tab remembers it, and a
// page that is loaded again without it finds it there. A frame has no address that anybody sees.
let address = location.href;
const isFrame = window.parent !== window;

function hide() {
  if (!isFrame) history.replaceState({ address }, "", location.pathname);
}

if (page.lost) {
  if (history.state?.address) location.replace(history.state.address);
  else element("content").hidden = false;
} else {
  hide();
}

export const again = () => (location.href === address ? location.reload() : location.replace(address));

// The same page, which the server now knows by something else.
export function goOnAs(token, other) {
  page.token = token;
  address = new URL(other, location.href).href;
  hide();
}

export class Refusal extends Error {
  constructor(status, { code, message, signal }) {
    super(message);
    Object.assign(this, { status, code, signal });
  }
}

// --- The page around this one, or the one that has opened it ---

const listener = () => (isFrame ? window.parent : window.opener);

// To each origin by itself: the browser hands it to a page of that origin, and to no other.
function tell(message) {
  for (const origin of page.origins) listener()?.postMessage(message, origin);
}

const tellEvent = (event, members = {}) => tell(JSON.stringify({ event, ...members }));

if (page.origins.length) {
  const shown = element("page");
  new ResizeObserver(() => tell({ height: Math.ceil(shown.getBoundingClientRect().height) })).observe(shown);
  tellEvent("AUTHSIGNAL_READY");
}
if (page.event) tellEvent("AUTHSIGNAL_API_ERROR", page.event);

// --- How a page ends ---

export function end({ page: next, redirect, token }, title = "All done") {
  if (next) return location.replace(next);
  if (redirect) return location.replace(redirect);
  element("content").hidden = true;
  say("");
  element("ended-title").textContent = title;
  element("ended").hidden = false;
  element("ended").focus();
  if (page.origins.length && listener()) tellEvent("AUTHSIGNAL_CLOSE_POPUP", token ? { token } : {});
}

export const leave = () => end(page.leave, "Nothing was changed");

// Nothing can be pressed before every script has run: it would do nothing.
document.addEventListener("DOMContentLoaded", () => {
  element("content").inert = false;
});

// --- Talking to the server ---

export async function post(path, members = {}) {
  let response, answer;
  try {
    response = await fetch(page.api + path, {
      method: "POST",
      headers: { Authorization: `Bearer ${page.token}`, "Content-Type": "application/json" },
      body: JSON.stringify(members),
      credentials: "omit",
      cache: "no-store",
    });
    answer = await response.json();
  } catch {
    throw new Refusal(0, { message: "The server does not answer. Please check your connection." });
  }
  if (response.ok) return answer;
  const refusal = new Refusal(response.status, answer.error);
  tellEvent("AUTHSIGNAL_API_ERROR", { errorCode: eventCode(refusal.code), statusCode: refusal.status });
  throw refusal;
}

const eventCode = (code) => ({ token_expired: "expired_token", 429: "too_many_requests" })[code] ?? code;

// Tells the browser which passkeys are still good, so that it offers no others. A courtesy: it may fail.
export async function signal(signals = {}) {
  for (const [method, argument] of Object.entries(signals)) {
    await PublicKeyCredential[method]?.(argument).catch(() => {});
  }
}

// --- Telling the user ---

export function say(text) {
  element("alert").textContent = "";
  element("status").textContent = text;
}

export async function explain(error) {
  if (error.signal) await signal({ signalUnknownCredential: error.signal });
  if (STALE.has(error.code)) return again();
  element("status").textContent = "";
  element("alert").textContent =
    error instanceof Refusal ? error.message : (SENTENCES[error.name] ?? "Something went wrong. Please try again.");
}

let busy = false;

// One thing at a time: what is pressed meanwhile does nothing, and the focus stays where it was.
export async function during(button, work, waiting = "") {
  if (busy) return;
  busy = true;
  say(waiting);
  document.body.setAttribute("aria-busy", "true");
  button?.setAttribute("aria-disabled", "true");
  try {
    await work();
  } catch (error) {
    await explain(error);
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
    button?.removeAttribute("aria-disabled");
  }
}

export const FOLLOW = "Please follow the instructions of your device.";

// --- WebAuthn ---

export const supported = () =>
  "PublicKeyCredential" in window &&
  ["parseCreationOptionsFromJSON", "parseRequestOptionsFromJSON"].every((name) => name in PublicKeyCredential) &&
  "toJSON" in PublicKeyCredential.prototype;

export function needPasskeys(button) {
  if (supported()) return;
  button.disabled = true;
  element("alert").textContent =
    "This browser is too old for passkeys. Please use a current Chrome, Edge, Firefox or Safari.";
}

export async function createPasskey() {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await post("/enrolment/start"));
  const credential = await navigator.credentials.create({ publicKey });
  const { ending, signals } = await post("/enrolment/finish", credential.toJSON());
  await signal(signals);
  return ending;
}

export async function usePasskey(members = {}, more = {}, onStart = () => {}) {
  const options = await post("/passkey/start", members);
  onStart(options);
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey, ...more });
  return () => post("/passkey/finish", credential.toJSON());
}

element("leave")?.addEventListener("click", () => {
  if (!busy) leave();
});
