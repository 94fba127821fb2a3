// The page of the demonstration: asks the server for options, the browser for passkeys, and shows what came of it.
// What belongs here: the WebAuthn calls of a site with passkeys first, then the page around them.

const element = (id) => document.getElementById(id);
const RENEW_MS = 60_000; // so long before its challenge expires, autofill gets a new one
const REFRESH_MS = 30_000; // "5 minutes ago" goes stale

const SENTENCES = {
  AbortError: "Nothing was changed.",
  ConstraintError: "This device cannot make a passkey with a fingerprint, face or PIN.",
  InvalidStateError: "This device already has a passkey for your account.",
  NotAllowedError: "The request was cancelled, or it took too long. Nothing was changed.",
  NotSupportedError: "This device cannot make the kind of passkey that is needed here.",
  SecurityError: "Passkeys do not work at this address. Please open the page as http://localhost.",
};

class Refusal extends Error {
  constructor(status, { message, signal }) {
    super(message);
    this.status = status;
    this.signal = signal;
  }
}

let account = null; // as the server shows it; null: nobody is signed in
let autofill = null; // the AbortController of the passkey request that waits in the name field
let renewal = { timer: 0, at: Infinity };
let busy = false;

// --- Talking to the server ---

async function answer(request) {
  let response, members;
  try {
    response = await request;
    members = await response.json();
  } catch {
    throw new Refusal(0, { message: "The server does not answer. Is it still running?" });
  }
  if (!response.ok) throw new Refusal(response.status, members.error);
  return members;
}

const post = (path, members) =>
  answer(fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(members) }));

// --- WebAuthn ---

const supported = () =>
  "PublicKeyCredential" in window &&
  ["parseCreationOptionsFromJSON", "parseRequestOptionsFromJSON"].every((name) => name in PublicKeyCredential) &&
  "toJSON" in PublicKeyCredential.prototype;

async function createPasskey(path, members) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await post(`${path}/start`, members));
  const credential = await navigator.credentials.create({ publicKey });
  return post(`${path}/finish`, credential.toJSON());
}

async function usePasskey(members, more, onStart) {
  const options = await post("/webauthn/sign-in/start", members);
  onStart?.(options);
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey, ...more });
  return { finish: () => post("/webauthn/sign-in/finish", credential.toJSON()) };
}

// Tells the browser which passkeys are still good, so that it offers no others. A courtesy: it may fail.
async function signal(signals = {}) {
  for (const [method, argument] of Object.entries(signals)) {
    await PublicKeyCredential[method]?.(argument).catch(() => {});
  }
}

async function startAutofill() {
  stopAutofill();
  if (account || busy || !supported()) return;
  const controller = (autofill = new AbortController());
  const left = () => controller.signal.aborted;
  try {
    const available = await PublicKeyCredential.isConditionalMediationAvailable?.();
    if (left()) return;
    if (!available) return stopAutofill();
    const renew = ({ timeout }) => {
      if (left()) throw controller.signal.reason;
      const after = Math.max(timeout - RENEW_MS, timeout / 2);
      renewal = { timer: setTimeout(startAutofill, after), at: Date.now() + after };
    };
    const mediation = "conditional";
    const chosen = await usePasskey({ autofill: true }, { mediation, signal: controller.signal }, renew);
    stopAutofill();
    await during(null, async () => enter(await chosen.finish(), "You are signed in."));
  } catch (error) {
    if (left()) return;
    stopAutofill(); // the field asks again when it is used, so that a browser which always refuses is left in peace
    if (error instanceof Refusal) explain(error);
  }
}

function stopAutofill() {
  autofill?.abort();
  autofill = null;
  clearTimeout(renewal.timer);
  renewal = { timer: 0, at: Infinity };
}

// --- What the visitor does ---

async function during(button, work, waiting = "") {
  if (busy) return;
  busy = true;
  stopAutofill();
  say(waiting);
  document.body.setAttribute("aria-busy", "true");
  const buttons = [...document.querySelectorAll("button")].filter((one) => !one.disabled);
  for (const one of buttons) one.disabled = true;
  try {
    await work();
  } catch (error) {
    await explain(error);
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
    for (const one of buttons) one.disabled = false;
    limitAdding();
    if (document.activeElement === document.body) button?.focus();
    if (!account) startAutofill();
  }
}

async function explain(error) {
  if (error.signal) await signal({ signalUnknownCredential: error.signal });
  if (error.status === 401) leave();
  // An authenticator may hold a new passkey that the server refused: the list of those that count removes it.
  else if (account) await signal(account.signals);
  fail(error instanceof Refusal ? error.message : (SENTENCES[error.name] ?? "Something went wrong. Please try again."));
}

const WAITING = "Please follow the instructions of your device.";

element("sign-in").addEventListener("click", ({ currentTarget }) =>
  during(currentTarget, async () => enter(await (await usePasskey({})).finish(), "You are signed in."), WAITING));

element("sign-up").addEventListener("submit", (event) => {
  event.preventDefault();
  const members = { user_name: element("user-name").value };
  const work = async () => enter(await createPasskey("/webauthn/sign-up", members), "Your account is ready.");
  during(event.submitter, work, WAITING);
});

element("user-name").addEventListener("focus", () => autofill ?? startAutofill());

element("add").addEventListener("click", ({ currentTarget }) =>
  during(currentTarget, async () => {
    const shown = await createPasskey("/webauthn/passkeys", {});
    update(shown, "The passkey was added. What shall it be called?");
    edit(card(shown.added));
  }, WAITING));

element("sign-out").addEventListener("click", ({ currentTarget }) =>
  during(currentTarget, async () => leave(await post("/api/sign-out", {}), "You are signed out.")));

element("delete").addEventListener("click", async ({ currentTarget }) => {
  const text = "Your name and all your passkeys are removed. This cannot be undone.";
  if (!(await confirmed("Delete your account?", text, "Delete account"))) return;
  during(currentTarget, async () => leave(await post("/api/account/delete", {}), "Your account was deleted."));
});

async function remove(passkey) {
  const last = account.passkeys.length === 1;
  const text = last
    ? "It is your only passkey: without it you cannot sign in again after you have signed out."
    : "You cannot sign in with it any more.";
  if (!(await confirmed(`Remove “${passkey.name}”?`, text, "Remove passkey"))) return;
  await during(null, async () => {
    update(await post("/api/passkeys/remove", { credential_id: passkey.id }), `“${passkey.name}” was removed.`);
    element("passkeys-title").focus();
  });
}

async function rename(passkey, name) {
  await during(null, async () => {
    update(await post("/api/passkeys/rename", { credential_id: passkey.id, name }), "The name was changed.");
    card(passkey.id)?.querySelector(".rename").focus();
  });
}

function confirmed(title, text, action) {
  const dialog = element("dialog");
  element("dialog-title").textContent = title;
  element("dialog-text").textContent = text;
  element("dialog-confirm").textContent = action;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

element("dialog-cancel").addEventListener("click", () => element("dialog").close());
element("dialog-confirm").addEventListener("click", () => element("dialog").close("yes"));

// --- What the visitor sees ---

function say(text) {
  element("alert").textContent = "";
  element("status").textContent = text;
}

function fail(text) {
  element("status").textContent = "";
  element("alert").textContent = text;
}

function enter(shown, text) {
  update(shown, text);
  element("passkeys-title").focus();
}

function leave(shown = {}, text = "") {
  show(null);
  say(text);
  signal(shown.signals);
  element("user-name").value = "";
  element("welcome").focus();
}

function update(shown, text) {
  show(shown);
  say(text);
  signal(shown.signals);
}

function show(shown) {
  account = shown;
  element("signed-in").hidden = element("visitor").hidden = !account;
  element("signed-out").hidden = Boolean(account);
  if (!account) return element("passkeys").replaceChildren();
  element("visitor-name").textContent = account.user.name;
  element("avatar").textContent = [...account.user.name][0].toUpperCase();
  element("passkeys").replaceChildren(...account.passkeys.map(drawn));
  element("empty").hidden = account.passkeys.length > 0;
  element("count").textContent = `${account.passkeys.length} of ${account.limit}`;
  limitAdding();
}

function limitAdding() {
  if (account) element("add").disabled = busy || account.passkeys.length >= account.limit;
}

const BACKUP = {
  synced: ["synced", "Synced", "Your passkey provider keeps a copy, for your other devices."],
  eligible: ["bound", "Not synced yet", "Your passkey provider may make a copy of it, but has not."],
  bound: ["bound", "Device-bound", "It never leaves the device that made it."],
};

const card = (id) => [...element("passkeys").children].find((one) => one.dataset.id === id);

function drawn(passkey) {
  const one = element("passkey").content.firstElementChild.cloneNode(true);
  const find = (selector) => one.querySelector(selector);
  const [backup, badge, meaning] = BACKUP[passkey.backup_state ? "synced" : passkey.backup_eligible ? "eligible" : "bound"];
  one.dataset.id = passkey.id;
  find("h2").textContent = passkey.name;
  find(".emblem use").setAttribute("href", `/static/icons.svg#${emblem(passkey.transports)}`);
  find(".badge").classList.add(backup);
  find(".badge").title = meaning;
  find(".badge use").setAttribute("href", `/static/icons.svg#${backup}`);
  find(".badge > span").textContent = badge;
  setTime(find(".created"), passkey.created_at, day);
  if (passkey.last_used_at) {
    const time = document.createElement("time");
    find(".use").append("Last used ", time);
    setTime(time, passkey.last_used_at, ago);
  } else {
    find(".use").textContent = "Not used yet";
  }
  find(".rename").setAttribute("aria-label", `Rename ${passkey.name}`);
  find(".remove").setAttribute("aria-label", `Remove ${passkey.name}`);
  find(".rename").addEventListener("click", () => edit(one));
  find(".remove").addEventListener("click", () => remove(passkey));
  find(".renaming").addEventListener("submit", (event) => {
    event.preventDefault();
    rename(passkey, find("input").value);
  });
  find(".cancel").addEventListener("click", () => edit(one, false));
  find(".renaming").addEventListener("keydown", ({ key }) => key === "Escape" && edit(one, false));
  return one;
}

function emblem(transports) {
  if (transports.some((one) => ["internal", "hybrid"].includes(one))) return "device";
  return transports.some((one) => ["usb", "nfc", "ble", "smart-card"].includes(one)) ? "security-key" : "passkey";
}

function edit(one, open = true) {
  const input = one.querySelector("input");
  one.querySelector(".renaming").hidden = !open;
  one.querySelector(".naming").hidden = one.querySelector(".actions").hidden = open;
  input.value = one.querySelector("h2").textContent;
  if (open) input.select();
  else one.querySelector(".rename").focus();
}

// --- Times ---

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["minute", 60], ["hour", 3600], ["day", 86_400]];

const day = (date) => DAY.format(date);

function ago(date) {
  const seconds = (Date.now() - date) / 1000;
  if (seconds < 45) return "just now";
  if (seconds > 30 * 86_400) return day(date);
  const [unit, size] = UNITS.findLast(([, size]) => seconds >= size) ?? UNITS[0];
  return RELATIVE.format(-Math.max(1, Math.round(seconds / size)), unit);
}

function setTime(time, at, text) {
  const date = new Date(at);
  time.dateTime = at;
  time.title = MOMENT.format(date);
  time.textContent = text(date);
}

setInterval(() => {
  for (const time of document.querySelectorAll(".use time")) setTime(time, time.dateTime, ago);
}, REFRESH_MS);

// --- The start, and coming back to the page ---

async function refresh() {
  const shown = await answer(fetch("/api/account"));
  if (shown.user) update(shown, "");
  else if (account || element("signed-out").hidden) show(null);
}

const editing = () => element("dialog").open || document.querySelector(".renaming:not([hidden])");

document.addEventListener("visibilitychange", async () => {
  if (document.hidden || busy || editing()) return;
  try {
    await refresh(); // somebody may have signed in or out in another tab
    if (!account && Date.now() > renewal.at) startAutofill();
  } catch (error) {
    fail(error.message);
  }
});

try {
  await refresh();
} catch (error) {
  show(null);
  fail(error.message);
}
if (supported()) {
  startAutofill();
} else {
  element("sign-in").disabled = element("sign-up").querySelector("button").disabled = true;
  fail("This browser is too old for passkeys. Please use a current Chrome, Edge, Firefox or Safari.");
}
