// The page where somebody signs in: by the passkeys that the browser offers in the field, or by the button.

import { FOLLOW, Refusal, during, element, end, explain, needPasskeys, supported, usePasskey } from "./page.js";

const RENEW_MS = 60_000; // so long before its challenge expires, autofill gets a new one
const TITLE = "You are signed in";

let autofill = null; // the AbortController of the passkey request that waits in the field
let renewal = { timer: 0, at: Infinity };

async function startAutofill() {
  stopAutofill();
  if (!supported()) return;
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
    const finish = await usePasskey({ autofill: true }, { mediation, signal: controller.signal }, renew);
    stopAutofill();
    await during(null, async () => end(await finish(), TITLE));
  } catch (error) {
    if (left()) return;
    stopAutofill(); // the field asks again when it is used, so that a browser which always refuses is left in peace
    if (error instanceof Refusal) await explain(error);
  }
}

function stopAutofill() {
  autofill?.abort();
  autofill = null;
  clearTimeout(renewal.timer);
  renewal = { timer: 0, at: Infinity };
}

const button = element("use");
needPasskeys(button);
element("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  stopAutofill(); // a browser has one request at a time
  during(
    button,
    async () => {
      const finish = await usePasskey();
      end(await finish(), TITLE);
    },
    FOLLOW,
  );
});
element("user-name").addEventListener("focus", () => {
  if (!autofill && !document.body.hasAttribute("aria-busy")) startAutofill();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && Date.now() > renewal.at) startAutofill(); // timers stand still while a computer sleeps
});
startAutofill();
