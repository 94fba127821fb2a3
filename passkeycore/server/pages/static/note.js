// A page where there is nothing to do.

import { leave, page } from "./page.js";

if (page.ends && (page.leave.redirect || page.origins.length)) leave();
