// What pages do besides being read: keys, looks at what has changed that leave focus and choice alone, curves, copying. All of it is
// convenience: without this file every page works as links and forms.
"use strict";
(() => {
  const live = () => document.getElementById("live");
  const pulse = document.getElementById("pulse");
  const say = (text) => { if (pulse) { pulse.hidden = !text; pulse.textContent = text; } };

  // ---- A look when the server says that something has changed (/api/v1/events), and every few seconds: less often where that is told.
  let frozen = false, missed = "", looking = false, timer = 0, rested = 0, stream = null;
  const boxes = () => document.querySelectorAll('#live input[type="checkbox"][name="job"]');
  const each = () => Number(live()?.dataset.live ?? 0) * 1000;
  const later = (wait) => { clearTimeout(timer); timer = setTimeout(look, wait); };
  // How far a job is, and who has said something, is no event.
  const isTold = () => stream?.readyState === EventSource.OPEN && !["/job", "/connections"].includes(location.pathname);
  const look = async () => {
    if (!each() || !window.htmx || looking) return;
    const begun = performance.now();
    const busy = document.activeElement?.matches?.("#live input:not([type=checkbox]), #live select, #live textarea");
    looking = true;
    if (!frozen && !document.hidden && !busy) {
      missed = "";
      try {
        await htmx.ajax("GET", location.pathname + location.search, { target: "#live", select: "#live", swap: "outerMorph" });
      } catch { missed = "no answer: what is shown is old"; }
      say(missed);
      finish();
    }
    looking = false;
    // Looks take a fifth of the time at the most, however long one takes.
    const now = performance.now(), rest = (now - begun) * 4;
    rested = now + rest;
    later(Math.max(isTold() ? each() * 3 : each(), rest));
  };
  // One stream for a page that is seen; without one it looks as often as ever. Where there is no place for another it tries again later.
  const listen = () => {
    if (!each() || !window.htmx || document.hidden || stream) return;
    const name = location.pathname === "/function" ? new URLSearchParams(location.search).get("name") : null;
    const topics = ["overview", ...(name && !name.includes(",") ? [`function:${name}`] : [])];
    const heard = (event) => {
      // The first of each tells how it is.
      if (Number(event.lastEventId) > topics.length && !looking) later(Math.max(0, rested - performance.now()));
    };
    stream = new EventSource(`/api/v1/events?topics=${encodeURIComponent(topics.join(","))}`);
    stream.addEventListener("overview", heard);
    stream.addEventListener("function", heard);
    stream.addEventListener("error", () => { if (stream?.readyState === EventSource.CLOSED) { stream = null; setTimeout(listen, 30_000); } });
  };
  const hush = () => { stream?.close(); stream = null; };
  document.addEventListener("visibilitychange", () => { if (document.hidden) hush(); else { listen(); later(0); } });
  addEventListener("pagehide", hush);
  // What was chosen and what has the focus, by what they stand for: rows may change places.
  let chosen = new Set(), mark = null;
  const standsFor = (at) => (at?.closest?.("#live") ? at.getAttribute("href") ?? at.value ?? null : null);
  document.addEventListener("htmx:before:swap", () => {
    chosen = new Set([...boxes()].filter((box) => box.checked).map((box) => box.value));
    mark = standsFor(document.activeElement);
  });
  document.addEventListener("htmx:after:swap", () => {
    for (const box of boxes()) box.checked = chosen.has(box.value);
    if (mark !== null && standsFor(document.activeElement) !== mark) {
      [...document.querySelectorAll("#live a, #live input, #live button")].find((each) => standsFor(each) === mark)?.focus({ preventScroll: true });
    }
  });
  // What is no page of this kind (an error, a way to log in) leaves the old one, and says so.
  document.addEventListener("htmx:before:response", (event) => {
    const { raw, status } = event.detail.ctx.response;
    if (status < 400 && !raw.redirected) return;
    event.preventDefault();
    missed = raw.redirected ? "logged out: what is shown is old" : `answered ${status}: what is shown is old`;
  });
  document.addEventListener("htmx:error", () => { missed = "no answer: what is shown is old"; });

  // ---- Curves.
  let plot = null;
  const draw = () => {
    const place = document.getElementById("chart"), data = document.getElementById("chart-now");
    if (!place || !data || !window.uPlot) { plot = null; return; }
    const list = (name) => (data.dataset[name] ? data.dataset[name].split(",").map(Number) : []);
    const now = Date.now() / 1000, ago = list("ago");
    if (ago.length < 2) return;
    const values = [ago.map((ago) => now - ago), list("in"), list("done"), list("failed"), list("waiting")];
    if (plot && place.contains(plot.root)) { plot.setData(values); return; }
    const style = getComputedStyle(document.documentElement), color = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--faint"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 } };
    const curve = (label, name, extra) => ({ label, stroke: color(name), width: 2, points: { show: false }, ...extra });
    plot = new uPlot({
      width: Math.max(260, place.clientWidth), height: 200, legend: { live: false }, cursor: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] }, w: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
      axes: [{ ...axis, space: 90, values: (_, splits) => splits.map((at) => new Date(at * 1000).toISOString().slice(11, 19)) }, { ...axis, size: 50 }, { ...axis, side: 1, scale: "w", size: 50, grid: { show: false } }],
      series: [{}, curve("in /s", "--link"), curve("done /s", "--ok"), curve("failed /s", "--bad", { dash: [4, 3] }), curve("waiting", "--warn", { scale: "w", dash: [8, 3] })],
    }, values, place);
  };
  addEventListener("resize", () => { if (plot) plot.setSize({ width: Math.max(260, document.getElementById("chart").clientWidth), height: 200 }); });

  // ---- Copying.
  const finish = () => { for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard; draw(); };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) navigator.clipboard.writeText(button.dataset.copy).then(() => { button.textContent = "Copied"; });
  });

  // ---- Keys.
  const rows = () => [...document.querySelectorAll("#live tr[data-row]")];
  const step = (by) => {
    const all = rows(), at = all.findIndex((row) => row.contains(document.activeElement));
    const row = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    const link = row?.querySelector("th a, a");
    if (link) { link.focus(); row.scrollIntoView({ block: "nearest" }); }
  };
  const press = (key) => {
    const found = [...document.querySelectorAll("[aria-keyshortcuts]")].find((each) => each.getAttribute("aria-keyshortcuts") === key);
    if (!found) return false;
    if (found.matches("input, select, textarea")) { found.focus(); found.select?.(); } else found.click();
    return true;
  };
  const keys = {
    j: () => step(1), k: () => step(-1),
    u: () => document.querySelector('#live a[rel="up"]')?.click(),
    n: () => document.querySelector('#live a[rel="next"]')?.click(),
    x: () => { const box = document.activeElement?.closest("tr")?.querySelector('input[type="checkbox"]'); if (box) box.checked = !box.checked; },
    " ": () => { frozen = !frozen; say(frozen ? "frozen (space lets it go on)" : ""); },
    "?": () => { const list = document.getElementById("keys"); list.open = !list.open; if (list.open) { list.querySelector("summary").focus(); list.scrollIntoView(); } },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const at = event.target, typing = at.matches?.('input:not([type="checkbox"]), textarea, select');
    if (typing) { if (event.key === "Escape") at.blur(); return; }
    if (event.key === " " && at.matches?.("button, summary, input, .button")) return;
    const key = keys[event.key];
    if (key) { key(); event.preventDefault(); return; }
    const own = event.key === "C" && document.activeElement?.closest("tr")?.querySelector('a[href^="/order/close"]');
    if (own) { own.click(); event.preventDefault(); return; }
    if (/^[1-7A-Z/]$/.test(event.key) && press(event.key)) event.preventDefault();
  });
  document.querySelector('a[aria-keyshortcuts="?"]')?.addEventListener("click", () => { document.getElementById("keys").open = true; });

  finish();
  listen();
  later(each());
})();
