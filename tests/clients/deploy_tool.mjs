// Before Auth0's deploy tool starts: it compiles what it knows of prompts, seven seconds and a gigabyte and a half for
// every import, whatever is in the file. Here prompts are an object to it; KEYSTEAD_WHOLE_SCHEMA=yes leaves it as it is.
import { createRequire } from "node:module";
import "./localhost.mjs";

if (process.env.KEYSTEAD_WHOLE_SCHEMA !== "yes") {
  const require = createRequire(new URL("./packages/node_modules/auth0-deploy-cli/lib/index.js", import.meta.url));
  require("./tools/auth0/schema").default.properties.prompts = { type: "object" };
}
