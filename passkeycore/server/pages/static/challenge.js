// The page where a challenge is met with a passkey.

import { FOLLOW, during, element, end, needPasskeys, usePasskey } from "./page.js";

const button = element("confirm");
needPasskeys(button);
button.addEventListener("click", () =>
  during(
    button,
    async () => {
      const finish = await usePasskey();
      end(await finish(), "Confirmed");
    },
    FOLLOW,
  ),
);
