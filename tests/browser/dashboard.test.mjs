// What an operator does at night, in a browser: sees what waits, since when and why, kills a worker, pauses, retries what is dead. By keys
// alone, on a phone, in the dark; and nothing of it needs a script.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { findings, holdOne, startBrowser, startServer, submit, until } from "./bench.mjs";

const HOSTILE = `<script>document.title="taken"</script>"'&\u0001`;
const RESULTS = process.env.SCREENSHOTS;
let server, browser, page;

before(async () => {
  server = await startServer(["--job-retries", "2"]);
  browser = await startBrowser();
  page = await browser.context.newPage();
  // Whatever is asked for is asked of this server, and nothing a page says is an error.
  page.on("request", (request) => { assert.match(request.url(), /^(http:\/\/127\.0\.0\.1|data:)/); });
  page.on("pageerror", (error) => { throw error; });
  page.on("console", (line) => { if (line.type() === "error" && !/status of 4/.test(line.text())) throw new Error(line.text()); });
  page.on("dialog", (dialog) => { throw new Error(dialog.message()); });
});
after(async () => { await browser?.end(); await server?.end(); });

const text = () => page.locator("#live").innerText();
const sees = (wanted) => until(`the page says ${wanted}`, async () => (wanted instanceof RegExp ? wanted.test(await text()) : (await text()).includes(wanted)));
const clean = async (what) => assert.deepEqual(await findings(page), [], what);
const photo = async (name) => { if (RESULTS) { mkdirSync(RESULTS, { recursive: true }); await page.screenshot({ path: `${RESULTS}/${name}.png` }); } };
const noSideways = async (what) => {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `${what} is ${wide} wide in a window of ${window}`);
};

test("an empty server says that all is well", async () => {
  await page.goto(server.url);
  await sees("All well.");
  assert.match(await page.locator(".about").innerText(), /read-only/);
  await clean("Now, empty");
});

test("a job is seen with its age, its worker and why it waits", async () => {
  // As a shell submits it.
  execFileSync(process.env.RINGGEAR, ["submit", "--host", "127.0.0.1", "--port", String(server.port), "--background", "--unique", "u1", "mail", "text"]);
  await page.goto(server.operator);
  await sees("no worker has ever registered this name");
  await page.getByRole("link", { name: "mail" }).first().click();
  await sees("No worker has ever registered this name");
  const worker = await holdOne(server.port, "mail", "mailer-1");
  // Without a click: the page looks again by itself.
  await sees("mailer-1");
  await sees(worker.handle);
  await page.getByRole("link", { name: worker.handle }).first().click();
  await sees("has it for");
  await sees("mailer-1");
  await clean("Job");
  worker.end();
  await sees("waits in its queue");
  await page.keyboard.press("u");
  await sees("the last one left");
  await clean("Function");
});

test("a killed worker makes a dead job, which is retried from the page", async () => {
  const again = await holdOne(server.port, "mail", "mailer-2");
  again.end();
  await page.goto(`${server.operator}/dead`);
  await sees("its worker left");
  await clean("Dead");
  await page.locator('input[name="job"]').first().check();
  await page.getByRole("button", { name: "Retry the chosen…" }).click();
  await sees("Retry 1 chosen job?");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
  await clean("a question");
  await page.getByRole("button", { name: "Retry 1" }).click();
  await sees("1 job put back.");
});

test("keys alone pause and resume", async () => {
  await page.goto(server.operator);
  await page.keyboard.press("/");
  await page.keyboard.type("mai");
  await page.keyboard.press("Enter");
  await page.waitForURL(/filter=mai/);
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/function\?name=mail/);
  await page.keyboard.press("P");
  await page.waitForURL(/order\/pause/);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
  await page.getByLabel("Why").focus();
  await page.keyboard.type("the relay is down");
  await page.keyboard.press("Enter");
  await sees("mail is paused");
  await sees("the relay is down");
  await page.keyboard.press("1");
  await page.waitForURL(/\/$/);
  await sees("paused");
  await page.goto(`${server.operator}/function?name=mail`);
  await page.keyboard.press("R");
  await page.waitForURL(/order\/resume/);
  await page.getByRole("button", { name: "Resume" }).focus();
  await page.keyboard.press("Enter");
  await sees("mail goes on.");
  await page.keyboard.press("6");
  await page.waitForURL(/server/);
  await sees("pause mail");
  await clean("Server");
});

test("a look from time to time keeps focus and choice", async () => {
  for (let at = 0; at < 3; at += 1) {
    await submit(server.port, "crash", `c${at}`);
    for (let lost = 0; lost < 2; lost += 1) (await holdOne(server.port, "crash", `crasher-${at}`)).end();
  }
  await page.goto(`${server.operator}/dead`);
  await sees("crasher-2");
  const box = page.locator('input[name="job"]').nth(1), value = await box.getAttribute("value");
  await box.check();
  await box.focus();
  const looks = () => page.evaluate(() => performance.getEntriesByType("resource").filter((one) => one.initiatorType === "fetch").length);
  const before = await looks();
  await submit(server.port, "crash", "c9");
  for (let lost = 0; lost < 2; lost += 1) (await holdOne(server.port, "crash", "crasher-9")).end();
  await sees("crasher-9");
  await until("it was looked again", async () => (await looks()) >= before + 1);
  assert.equal(await page.evaluate(() => document.activeElement.value), value);
  assert.deepEqual(await page.locator('input[name="job"]:checked').evaluateAll((all) => all.map((each) => each.value)), [value]);
  // Frozen, it asks nobody.
  await page.locator("h1").click();
  await page.keyboard.press(" ");
  await until("it says so", async () => /frozen/.test(await page.locator("#pulse").innerText()));
});

test("what changes is seen when it does, and without a stream a little later", async () => {
  await page.goto(server.operator);
  const opened = page.waitForRequest((request) => request.resourceType() === "eventsource");
  await page.reload();
  await opened;
  // Told of changes, the page looks every nine seconds by itself: what is seen before was told.
  await until("the first look is over", async () => page.evaluate(() => performance.getEntriesByType("resource").some((one) => one.initiatorType === "fetch")));
  await submit(server.port, "told-at-once", "t1");
  const begun = Date.now();
  await sees("told-at-once");
  assert.ok(Date.now() - begun < 6_000, `seen after ${Date.now() - begun} ms`);
  await page.route("**/api/v1/events*", (route) => route.fulfill({ status: 404, body: "" }));
  await page.goto(server.operator);
  await sees("told-at-once");
  await submit(server.port, "polled-for", "t2");
  await sees("polled-for");
  await page.unroute("**/api/v1/events*");
});

test("a job is submitted from the page, and its result is shown", async () => {
  await page.goto(`${server.operator}/submit`);
  await clean("Submit");
  await page.getByLabel("Function").fill("reverse");
  await page.locator('textarea[name="workload"]').fill("one\ntwo <b>");
  await page.getByRole("button", { name: "Submit" }).click();
  await sees(/Job \S+ of reverse was submitted/);
  await page.getByRole("link", { name: "See it" }).click();
  await sees("No worker has ever registered this name");
  // Who may do all sees what is in it, and can have it as a file.
  assert.equal(await page.locator("pre.payload").innerText(), "one\ntwo <b>");
  await clean("Job with its workload");
  await page.getByRole("link", { name: "as hex" }).click();
  await sees("6f 6e 65 0a 74 77 6f 20");
  const saved = page.waitForEvent("download");
  await page.getByRole("link", { name: "download" }).click();
  assert.equal(readFileSync(await (await saved).path(), "utf8"), "one\ntwo <b>");
  const first = await holdOne(server.port, "reverse", "reverser");
  first.complete();
  first.end();
  // Waited for: the worker is there when the form is sent.
  await page.goto(`${server.operator}/submit?name=reverse`);
  await page.getByLabel("Wait for the result").selectOption("false");
  await page.locator('textarea[name="workload"]').fill("waited");
  const answered = page.getByRole("button", { name: "Submit" }).click();
  const worker = await until("the job is there", async () => holdOne(server.port, "reverse", "reverser").catch(() => null));
  worker.complete();
  await answered;
  await sees(/Job \S+ is complete/);
  assert.equal(await page.locator("pre.payload").innerText(), "done");
  assert.equal(await page.locator('textarea[name="workload"]').inputValue(), "waited");
  await clean("Submit, with a result");
  worker.end();
  await page.getByLabel("The workload is typed as").selectOption("hex");
  await page.locator('textarea[name="workload"]').fill("zz");
  await page.getByRole("button", { name: "Submit" }).click();
  await sees("two hexadecimal digits for each byte");
});

test("what is much is typed, and what is wrong is refused", async () => {
  await page.goto(`${server.operator}/order/purge?name=mail`);
  await page.getByLabel(/Type/).fill("mial");
  await page.getByRole("button", { name: /Purge/ }).click();
  await until("nothing was done", async () => (await text()).includes("Nothing was done"));
  await page.goto(`${server.operator}/order/purge?name=mail`);
  await page.getByLabel(/Type/).fill("mail");
  await page.getByRole("button", { name: /Purge/ }).click();
  await sees(/1 job of mail purged/);
});

test("names of peers are text", async () => {
  await submit(server.port, HOSTILE, "<img src=x>");
  const worker = await holdOne(server.port, HOSTILE, `"><b>id`);
  for (const path of ["/", "/connections", `/function?name=${encodeURIComponent(HOSTILE)}`, `/function?name=${encodeURIComponent(HOSTILE)}&tab=jobs`, `/job?handle=${worker.handle}`]) {
    await page.goto(server.operator + path);
    await until(`${path} shows it`, async () => /<script>|<b>id/.test(await text()));
    assert.doesNotMatch(await page.title(), /^taken/);
    assert.equal(await page.locator("#live script, #live b, #live img").count(), 0);
  }
  worker.complete();
  worker.end();
});

test("who may only look has no buttons, and is refused", async () => {
  await page.goto(`${server.url}/function?name=crash`);
  assert.equal(await page.locator(".orders").count(), 0);
  assert.equal(await page.getByRole("link", { name: "Submit" }).count(), 0);
  const unwanted = await page.request.post(`${server.url}/submit`, { form: { function: "f", workload: "x" } });
  assert.equal(unwanted.status(), 401);
  const refused = await page.request.post(`${server.url}/order/pause?name=crash`, { form: { reason: "x" } });
  assert.equal(refused.status(), 403);
  const forged = await page.request.post(`${server.operator}/order/pause?name=crash`, { form: {}, headers: { origin: "http://evil.example" } });
  assert.equal(forged.status(), 403);
});

test("on a phone, in the dark, and for readers of screens", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const width of [320, 1200]) {
      await page.setViewportSize({ width, height: 800 });
      for (const path of ["/", "/function?name=crash", "/function?name=crash&tab=jobs", "/function", "/job", "/dead", "/connections", "/server", "/submit", "/order/pause?name=crash", "/order/limits?name=crash"]) {
        await page.goto(server.operator + path);
        await noSideways(`${path} (${colorScheme})`);
        await clean(`${path}, ${width} wide, ${colorScheme}`);
      }
    }
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: null });
});

test("without scripts it works as links and forms", async () => {
  const plain = await browser.context.browser()?.newContext({ javaScriptEnabled: false });
  if (!plain) return assert.ok(true);
  const other = await plain.newPage();
  await other.goto(`${server.operator}/function?name=crash`);
  await other.getByRole("link", { name: "Pause…" }).click();
  await other.getByRole("button", { name: "Pause" }).click();
  assert.match(await other.locator("#live").innerText(), /crash is paused/);
  await other.goto(`${server.operator}/submit`);
  await other.getByLabel("Function").fill("scriptless");
  await other.getByRole("button", { name: "Submit" }).click();
  assert.match(await other.locator("#live").innerText(), /of scriptless was submitted/);
  await plain.close();
});

test("pictures of Now, Function and Dead", async () => {
  await page.setViewportSize({ width: 1200, height: 800 });
  const workers = [];
  for (let at = 0; at < 40; at += 1) await submit(server.port, "mail", `m${at}`);
  for (let at = 0; at < 3; at += 1) workers.push(await holdOne(server.port, "mail", `mailer-${at}`));
  for (let at = 0; at < 12; at += 1) await submit(server.port, "resize-image", `r${at}`);
  for (let at = 0; at < 6; at += 1) { await submit(server.port, "index", `i${at}`); const worker = await holdOne(server.port, "index", "indexer"); worker.complete(); worker.end(); }
  await page.goto(server.operator);
  await sees("resize-image");
  await until("there are curves", async () => (await page.locator(".curve").count()) > 0);
  await photo("now");
  await page.setViewportSize({ width: 360, height: 740 });
  await photo("now-phone");
  await page.setViewportSize({ width: 1200, height: 800 });
  await page.goto(`${server.operator}/function?name=mail`);
  await until("there is a chart", async () => (await page.locator("#chart canvas").count()) > 0);
  await photo("function");
  await page.goto(`${server.operator}/dead`);
  await sees("crasher-2");
  await photo("dead");
  for (const worker of workers) worker.end();
});
