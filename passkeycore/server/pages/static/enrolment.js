// The page where a passkey is made, or not yet.

import { FOLLOW, createPasskey, during, element, end, needPasskeys } from "./page.js";

const button = element("create");
needPasskeys(button);
button.addEventListener("click", () =>
  during(button, async () => end(await createPasskey(), "Your passkey is ready"), FOLLOW),
);
