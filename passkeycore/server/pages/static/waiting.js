// The page that waits for the user's phone: after a push message, or until the phone has scanned the code.

import { again, during, element, end, explain, leave, page, post, say } from "./page.js";

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
let done = false;
let asking = false; // the proof is given out once: two questions at a time, and one is told that it has gone

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
  if (!begun || asking) return;
  const asked = begun;
  let after = POLL_MS;
  asking = true;
  try {
    const { state, ending } = await post("/device/poll", { challenge: asked.challenge });
    asking = false;
    if (ending) {
      remember(null); // even of one that was given up meanwhile: the user has confirmed it
      begun = null;
      done = true;
      return end(ending, "Confirmed");
    }
    if (begun !== asked) return poll();
    if (state === "expired" && way === "qr-code" && !document.hidden) return await start(); // nobody was asked yet
    if (state === "rejected") return again(); // it ends the action
    if (state === "failed" || state === "expired") return stop(WORDS[state]);
    if (state === "claimed") say(WORDS.claimed);
  } catch (error) {
    asking = false;
    if (begun !== asked) return poll();
    if (error.code === "challenge_unknown") {
      remember(null); // the answer before this one was lost on its way: the page that is shown now knows what came of it
      return again();
    }
    if (error.status && error.status !== 429) {
      stop("");
      return explain(error);
    }
    after = LATE_MS;
  }
  timer = setTimeout(poll, after);
}

// No device shall go on asking for what nobody waits for. Gives false when it was confirmed in that moment.
async function giveUp() {
  if (!begun) return !done;
  const { challenge } = begun;
  begun = null;
  remember(null);
  clearTimeout(timer);
  await post("/device/cancel", { challenge }).catch(() => {});
  return !done;
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
    if (await giveUp()) location.replace(other.href);
  });
}
element("leave")?.addEventListener(
  "click",
  async (event) => {
    if (!begun) return;
    event.stopImmediatePropagation();
    if (await giveUp()) leave();
  },
  true,
);

const before = remembered();
if (before) show(before);
else await during(null, start);
if (!begun) stop(element("status").textContent);
