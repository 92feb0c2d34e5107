// Text of others is text: node hostile.mjs DIST
// The stand-in's pool has payloads in every field that an upstream, a caller or an importer fills;
// every place is opened. No dialog, no report of the policy, no request elsewhere, no error.
import { serve } from "../../web/dev/server.mjs";
import { check, openBrowser, openPage, until } from "./browser.mjs";

const PAYLOADS = [
  `<img src=x onerror=alert(1)>`, `"><svg onload=alert(1)>`, `<script>alert(1)</script>`, `javascript:alert(1)`, `'-alert(1)-'`,
  `</textarea><iframe srcdoc="<script>alert(1)</script>">`, `{{constructor.constructor('alert(1)')()}}`, `\u202E\u0000<b>x`, `<a href="javascript:alert(1)">x</a>`,
  `<style>*{background:url(//evil.example)}</style>`, `<link rel=stylesheet href=//evil.example>`, `<math><mtext></p><img src=//evil.example/x>`,
];

const { server, state, url } = await serve({ dist: process.argv[2], keys: 60 });
state.world.list.forEach((key, i) => {
  const p = PAYLOADS[i % PAYLOADS.length];
  Object.assign(key, { name: p, key: p, account: p, reason: p, lastError: p, source: i % 2 ? p : null });
  if (i % 3 === 0) key.baseUrl = `http://${p}`;
});
state.world.hosts[1] = PAYLOADS[0];
state.world.log.forEach((entry, i) => {
  const p = PAYLOADS[i % PAYLOADS.length];
  Object.assign(entry, { model: p, keyName: p, host: p, end: p, caller: p, route: p });
});

const browser = await openBrowser();
const page = await openPage(browser, url);
await page.goto(`${url}/admin`);
await page.locator("input[type=password]").fill("admin123");
await page.locator("form .primary").click();
await page.locator(".problem").first().waitFor();
const p = encodeURIComponent(PAYLOADS[0]);
const places = ["", "/keys", `/keys?q=${p}&host=${p}&status=${p}&sort=${p}`, `/log?model=${p}&key=${p}&host=${p}&q=${p}&status=${p}`, "/log", `/log/${state.world.log[0].id}`,
  `/chat?model=${p}`, "/settings", `/keys/${p}`, `/${p}`, ...[...PAYLOADS.keys()].map((i) => `/keys/${i + 1}`)];
for (const place of places) {
  await page.goto(`${url}/admin${place}`);
  await page.locator("main").waitFor();
  await page.waitForTimeout(150);
  const odd = await page.locator("#app img, #app iframe, #app script, #app style, #app link, #app math, a[href^='javascript:']").count();
  check(odd === 0, `${place} has markup of others`);
}
await page.goto(`${url}/admin/keys/add`);
await page.locator(".paste textarea").fill(PAYLOADS.map((x) => `${x} ${x}`).join("\n"));
await page.locator(".verdicts td").first().waitFor();
check(page.faults.length === 0, page.faults.join("; "));
// That nothing was counted says something only if all is counted.
await page.evaluate(() => {
  const image = new Image();
  image.src = "https://evil.example/x.png";
  document.body.append(image);
  setTimeout(() => alert(1));
});
await until("the policy's report and the dialog are counted", () =>
  page.faults.some((f) => f.startsWith("policy: Content Security Policy: img-src")) && page.faults.some((f) => f.startsWith("dialog:")));
await browser.close();
server.closeAllConnections();
server.close();
