// The page that waits for the user's phone: after a push message, or until the phone has scanned the code.

import { during, element, end, explain, leave, page, post, say } from "./page.js";

const POLL_MS = 2_000;
const LATE_MS = 10_000; // when the server does not answer, or says that there were too many requests
const PLACE = `passkeycore ${page.place}`;

const WORDS = {
  claimed: "Your phone has scanned the code. Please confirm there.",
  rejected: "The request was declined on your phone.",
  failed: "The request was not confirmed.",
  expired: "Nobody answered in time.",
};

const waiting = element("waiting");
const way = waiting.dataset.way;
let begun = null; // what the phone is to answer now
let timer = 0;

async function start() {
  const started = await post("/device/start", { way });
  show({ ...started, until: Date.now() + started.expires_in_s * 1000 });
}

function show(challenge) {
  begun = challenge;
  remember(challenge);
  waiting.hidden = false;
  element("again").hidden = true;
  if (challenge.qr) {
    element("qr").src = challenge.qr;
    element("qr").hidden = false;
    element("picture").classList.remove("spent");
  }
  if (challenge.code) {
    element("code").value = challenge.code;
    element("number").hidden = false;
  }
  poll();
}

function stop(words) {
  begun = null;
  remember(null);
  clearTimeout(timer);
  waiting.hidden = true;
  if (way === "qr-code") element("picture").classList.add("spent");
  else element("number").hidden = true;
  element("again").hidden = false;
  say(words);
}

async function poll() {
  clearTimeout(timer);
  if (!begun) return;
  const asked = begun;
  let after = POLL_MS;
  try {
    const { state, ending } = await post("/device/poll", { challenge: asked.challenge });
    if (begun !== asked) return;
    if (ending) {
      remember(null);
      begun = null;
      return end(ending, "Confirmed");
    }
    if (state === "expired" && way === "qr-code" && !document.hidden) return await start(); // nobody was asked yet
    if (state === "rejected") return location.reload(); // it ends the action
    if (state === "failed" || state === "expired") return stop(WORDS[state]);
    if (state === "claimed") say(WORDS.claimed);
  } catch (error) {
    if (begun !== asked) return;
    if (error.status && error.status !== 429) {
      stop("");
      return explain(error);
    }
    after = LATE_MS;
  }
  timer = setTimeout(poll, after);
}

// No device shall go on asking for what nobody waits for.
async function giveUp() {
  if (!begun) return;
  const { challenge } = begun;
  begun = null;
  remember(null);
  clearTimeout(timer);
  await post("/device/cancel", { challenge }).catch(() => {});
}

// So that a page that is loaded again goes on waiting, and does not ask the phone a second time.
function remember(challenge) {
  try {
    if (challenge) sessionStorage.setItem(PLACE, JSON.stringify(challenge));
    else sessionStorage.removeItem(PLACE);
  } catch {
    // a frame may have no storage
  }
}

function remembered() {
  try {
    const challenge = JSON.parse(sessionStorage.getItem(PLACE));
    return challenge?.until > Date.now() ? challenge : null;
  } catch {
    return null;
  }
}

element("again").addEventListener("click", ({ currentTarget }) => during(currentTarget, start));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) poll();
});
for (const other of document.querySelectorAll(".other")) {
  other.addEventListener("click", async (event) => {
    event.preventDefault();
    await giveUp();
    location.replace(other.href);
  });
}
element("leave")?.addEventListener(
  "click",
  async (event) => {
    if (!begun) return;
    event.stopImmediatePropagation();
    await giveUp();
    leave();
  },
  true,
);

const before = remembered();
if (before) show(before);
else await during(null, start);
if (!begun) stop(element("status").textContent);
