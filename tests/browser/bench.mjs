// A server, a browser, clients and workers, each of its own, for tests of pages. All of it is ended by whoever began it.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const until = async (what, is, patience = 20_000) => {
  const begun = Date.now();
  for (;;) {
    const found = await is();
    if (found) return found;
    if (Date.now() - begun > patience) throw new Error(`waited in vain: ${what}`);
    await new Promise((go) => setTimeout(go, 50));
  }
};

const freePort = () => new Promise((go) => {
  const probe = net.createServer().listen(0, "127.0.0.1", () => { const { port } = probe.address(); probe.close(() => go(port)); });
});

/** A server with its own folder; `options` besides the ports. */
export async function startServer(options = []) {
  const folder = mkdtempSync(join(tmpdir(), "ringgear-browser-"));
  const socket = join(folder, "control.sock");
  const port = await freePort();
  const given = ["--listen", "127.0.0.1", "--port", String(port), "--control", "127.0.0.1:0", "--control", `unix:${socket}`, "--log-file", "stderr", "--verbose", "NOTICE", ...options];
  const child = spawn(process.env.RINGGEAR, given, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (data) => { log += data; });
  const ended = new Promise((go) => child.once("exit", go));
  const url = await until(`the server says where it is: ${log}`, () => {
    if (child.exitCode !== null) throw new Error(`the server ended: ${log}`);
    return log.match(/to be looked at on (http:\/\/127[^/\s]*)/)?.[1];
  });
  // A browser knows no unix sockets: this hands its requests on to the one where the user of the server may do all.
  const agent = new http.Agent({ keepAlive: true });
  const door = http.createServer((request, answer) => {
    const { method, url: path, headers } = request;
    const onward = http.request({ socketPath: socket, method, path, headers, agent }, (from) => { answer.writeHead(from.statusCode, from.headers); from.pipe(answer); });
    onward.on("error", () => answer.destroy());
    // Whoever goes away is gone for the server, too: a stream would take its place for ever.
    answer.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((go) => door.listen(0, "127.0.0.1", go));
  return {
    port, url, log: () => log, operator: `http://127.0.0.1:${door.address().port}`,
    end: async () => { door.closeAllConnections(); door.close(); agent.destroy(); child.kill("SIGTERM"); await ended; rmSync(folder, { recursive: true, force: true }); },
  };
}

/** A browser with a folder of its own. */
export async function startBrowser() {
  const folder = mkdtempSync(join(tmpdir(), "ringgear-chromium-"));
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args, viewport: { width: 1200, height: 800 },
  });
  return { context, end: async () => { await context.close(); rmSync(folder, { recursive: true, force: true }); } };
}

/** What axe finds wrong with a page: nothing, or a line for each. */
export async function findings(page) {
  // A page of ours runs no script of others; the browser itself may.
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${one.help}: ${node.target} ${node.failureSummary}`));
}

const REQUEST = Buffer.from("\0REQ"), packet = (kind, ...parts) => {
  const data = Buffer.concat(parts.flatMap((part, at) => (at ? [Buffer.from([0]), Buffer.from(part)] : [Buffer.from(part)])));
  const head = Buffer.alloc(12);
  REQUEST.copy(head); head.writeUInt32BE(kind, 4); head.writeUInt32BE(data.length, 8);
  return Buffer.concat([head, data]);
};

/** A connection that speaks Gearman: `send` a packet, `next` what comes. */
export async function connect(port) {
  const socket = net.connect(port, "127.0.0.1").setNoDelay(true);
  await new Promise((go, fail) => socket.once("connect", go).once("error", fail));
  let bytes = Buffer.alloc(0);
  socket.on("data", (data) => { bytes = Buffer.concat([bytes, data]); });
  socket.on("error", () => {});
  const next = () => until("a packet comes", () => {
    if (bytes.length < 12 || bytes.length < 12 + bytes.readUInt32BE(8)) return null;
    const length = bytes.readUInt32BE(8), got = { kind: bytes.readUInt32BE(4), data: bytes.subarray(12, 12 + length) };
    bytes = bytes.subarray(12 + length);
    return got;
  });
  return { socket, next, send: (kind, ...parts) => socket.write(packet(kind, ...parts)), end: () => socket.destroy() };
}

/** Submits a background job, and tells its handle. */
export async function submit(port, name, unique, workload = "work") {
  const client = await connect(port);
  client.send(18, name, unique, workload);
  const { kind, data } = await client.next();
  client.end();
  if (kind !== 8) throw new Error(`not accepted: ${kind} ${data}`);
  return data.toString();
}

/** A worker that takes one job and does nothing with it. */
export async function holdOne(port, name, id) {
  const worker = await connect(port);
  worker.send(22, id);
  worker.send(1, name);
  worker.send(9);
  const { kind, data } = await worker.next();
  if (kind !== 11) throw new Error(`no job: ${kind}`);
  return { end: worker.end, handle: data.subarray(0, data.indexOf(0)).toString(), complete: () => worker.send(13, data.subarray(0, data.indexOf(0)), "done") };
}
