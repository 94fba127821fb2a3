// The portal's only script: passkeys of the operator, and a button that copies. Everything else is a plain form.

const { csrf, portal } = document.body.dataset;
const element = (id) => document.getElementById(id);

const SENTENCES = {
  InvalidStateError: "This device has a passkey for the portal already.",
  NotAllowedError: "The request was cancelled, or it took too long.",
  NotSupportedError: "This device cannot make the kind of passkey that is needed here.",
  SecurityError: "Passkeys do not work at the address of this page.",
};

class Refusal extends Error {}

const BROKEN = "Something went wrong on the server. Please try again.";

// Where something before the server answers in words of its own, which are no JSON.
const STATUSES = {
  401: "Your session has ended. Please sign in again.",
  413: "What was sent is too long.",
  429: "Too many attempts. Please wait a minute and try again.",
};

async function messageOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return STATUSES[response.status] ?? BROKEN;
  }
}

async function post(path, members = {}) {
  let response;
  try {
    response = await fetch(portal + path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(csrf ? { "X-CSRF-Token": csrf } : {}) },
      body: JSON.stringify(members),
      cache: "no-store",
    });
  } catch {
    throw new Refusal("The server does not answer. Please check your connection.");
  }
  if (!response.ok) throw new Refusal(await messageOf(response));
  try {
    return await response.json();
  } catch {
    throw new Refusal(BROKEN);
  }
}

function secretShown() {
  const field = element("secret");
  const secret = field.value;
  field.value = "";
  return { secret };
}

const WORK = {
  async use() {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await post("/sign-in/passkey/start"));
    const credential = await navigator.credentials.get({ publicKey });
    return post("/sign-in/passkey/finish", credential.toJSON());
  },
  async create() {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await post("/access/passkey/start", secretShown()));
    const credential = await navigator.credentials.create({ publicKey });
    return post("/access/passkey/finish", credential.toJSON());
  },
};

const supported =
  "PublicKeyCredential" in window &&
  ["parseCreationOptionsFromJSON", "parseRequestOptionsFromJSON"].every((name) => name in PublicKeyCredential);

let busy = false;

for (const button of supported ? document.querySelectorAll("[data-passkey]") : []) {
  for (const shown of [button, element("with-passkey"), element("or")]) if (shown) shown.hidden = false;
  button.addEventListener("click", async (event) => {
    if (button.form && !button.form.reportValidity()) return;
    event.preventDefault();
    if (busy) return;
    busy = true;
    element("alert").textContent = "";
    button.setAttribute("aria-disabled", "true");
    try {
      const { next } = await WORK[button.dataset.passkey]();
      location.assign(next);
    } catch (error) {
      element("alert").textContent =
        error instanceof Refusal ? error.message : (SENTENCES[error.name] ?? "Something went wrong. Please try again.");
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
    }
  });
}

for (const button of navigator.clipboard ? document.querySelectorAll("[data-copy]") : []) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = element(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      element("status").textContent = "Copied.";
    } catch {
      element("status").textContent = "Please copy it by hand: it is selected.";
    }
  });
}
