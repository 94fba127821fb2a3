// Plays calls of @authsignal/node: one JSON object a line in, {"name", "secret", "url", "arguments"}; its answer out,
// {"result"} or {"error"}. Run in the folder that has the package.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const { Authsignal } = createRequire(process.cwd() + "/")("@authsignal/node");

for await (const line of createInterface({ input: process.stdin })) {
  const { name, secret, url, arguments: given } = JSON.parse(line);
  const sdk = new Authsignal({ apiSecretKey: secret, apiUrl: url });
  let answer;
  try {
    const result =
      name === "constructEvent" ? sdk.webhook.constructEvent(given[0], given[1], given[2]) : await sdk[name](given[0]);
    answer = { result: result ?? null };
  } catch (error) {
    answer = {
      error: { name: error.name, message: error.message, errorCode: error.errorCode, statusCode: error.statusCode },
    };
  }
  console.log(JSON.stringify(answer));
}
