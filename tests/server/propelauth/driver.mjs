// Runs methods of the SDK's client: {"url", "key", "method", "data"} on a line, the result on another.
import { createInterface } from "node:readline";
import { createClient } from "@propelauth/byo-node";

console.warn = () => {};

for await (const line of createInterface({ input: process.stdin })) {
    const { url, key, method, data } = JSON.parse(line);
    const client = createClient({ url, integrationKey: key });
    const result = method === "ping" ? await client.ping(data) : await client.passkeys[method](data);
    console.log(JSON.stringify({ good: result.ok, members: result.ok ? result.data : result.error }));
}
