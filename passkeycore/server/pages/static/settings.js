// The page with the user's passkeys and devices: rename, remove, add.

import { FOLLOW, again, createPasskey, during, element, goOnAs, post, say, signal, supported } from "./page.js";

const list = element("list");

for (const row of list.children) {
  const form = row.querySelector(".renaming");
  const name = row.querySelector(".what");
  const opener = row.querySelector(".rename");

  const edit = (editing) => {
    form.hidden = !editing;
    name.hidden = editing;
    if (editing) {
      form.querySelector("input").value = name.textContent;
      form.querySelector("input").select();
    } else {
      opener.focus();
    }
  };
  opener?.addEventListener("click", () => {
    say("");
    edit(true);
  });
  form?.querySelector(".give-up").addEventListener("click", () => edit(false));
  form?.addEventListener("keydown", (event) => {
    if (event.key === "Escape") edit(false);
  });
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    during(form.querySelector("[type=submit]"), async () => {
      const changed = await post("/authenticators/rename", { id: row.dataset.id, name: form.querySelector("input").value });
      name.textContent = changed.name;
      for (const unseen of row.querySelectorAll(".unseen")) unseen.textContent = ` ${changed.name}`;
      edit(false);
      say("The name was changed.");
    });
  });
  row.querySelector(".remove")?.addEventListener("click", async ({ currentTarget }) => {
    if (!(await sure(name.textContent))) return currentTarget.focus();
    during(currentTarget, async () => {
      const { left, signals, token, address } = await post("/authenticators/remove", { id: row.dataset.id });
      row.remove();
      if (token) {
        goOnAs(token, address); // which only shows what is left
        for (const control of document.querySelectorAll(".rename, .remove, #add")) control.remove();
      }
      element("empty").hidden = left > 0;
      say(`${name.textContent} was removed.`);
      element("title").focus();
      await signal(signals);
    });
  });
}

function sure(name) {
  const dialog = element("dialog");
  element("dialog-title").textContent = `Remove ${name}?`;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "remove"), { once: true });
  });
}

element("dialog-cancel")?.addEventListener("click", () => element("dialog").close(""));
element("dialog-confirm")?.addEventListener("click", () => element("dialog").close("remove"));

const add = element("add");
if (add && !supported()) add.hidden = true;
add?.addEventListener("click", () =>
  during(
    add,
    async () => {
      await createPasskey();
      again();
    },
    FOLLOW,
  ),
);
